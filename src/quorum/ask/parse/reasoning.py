"""Separate a model's answer from the reasoning before it, by the marks around the reasoning."""

import re
from collections.abc import Sequence

from quorum.question import ReasoningMarkers

_NAMES = (
    r"think(?:ing)?|thoughts?|reason(?:ing|s)?|rationale|analysis|analy[sz]e|scratch_?pad|reflect(?:ion|ing)?"
    r"|(?:inner_|internal_)?monologue|cot|chain_of_thought|deliberat(?:e|ion)|planning|brainstorm(?:ing)?|commentary"
)
_ANSWER_TAGS = r"final(?:_?answer)?|answers?|response|solution|output|result|conclusion|choice"
# A mark in any kind of bracket, with anything around the name but letters: <think>, [THINK], ◁think▷, <seed:think>,
# <|begin_of_thought|>, <|END_THINKING|>, <unused_thought>.
_MARK = re.compile(
    rf"(?i)(?:<[|｜]?|\[(?=/?(?:think|thought))|◁)(?P<close>/)?(?P<side>begin|start|open|end|close)?[\w:▁]{{0,12}}?(?<![a-z])(?:{_NAMES})(?![a-z])"
    r"(?:_(?P<after>begin|start|open|end|close))?(?:\s[^<>\n]{0,80})?[|｜]?(?:>|\]|▷)"
)
# <|channel|>analysis<|message|>, and <|channel>thought with <channel|> at its end.
_CHANNEL = re.compile(r"<\|channel\|?>\s?(?P<name>\w{1,30})(?P<rest>[^<\n]{0,40}(?:<\|message\|>)?)")
_CHANNEL_END = re.compile(r"<channel\|>")
_ANSWER_CHANNEL = re.compile(rf"(?i){_ANSWER_TAGS}")
# The same with the marks themselves removed, as some programs decode them.
_BARE_CHANNEL = re.compile(r"\s{0,9}analysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
_PAIR = re.compile(r"<(?P<name>[A-Za-z][\w:-]{0,30})(?:\s[^<>]{0,200})?>|</(?P<close>[A-Za-z][\w:-]{0,30})>")
_FORMATS = re.compile(
    rf"(?i){_ANSWER_TAGS}|a|b|i|u|s|em|strong|p|div|span|code|pre|mark|h[1-6]|li|ul|ol|su[bp]|center|br|t[rdh]|table|font"
    r"|label|letter|option|html|body|xml"
)
_ANSWER_MARK = re.compile(rf"(?i)<\|?(?:begin_of_|start_)?(?:{_ANSWER_TAGS})\|?>")
_SHORT = 40  # characters: a shorter block is a word in a format, not reasoning


def strip_reasoning(text: str, markers: ReasoningMarkers | None = None) -> str | None:
    """Return the text outside of reasoning; None if the text ends inside it, before an answer was given.

    Reasoning is a channel that is not the final one; a block between marks that name it in any kind of bracket; a block
    between `markers`; and a longer block in any other pair of tags, if there is text outside of it.
    """
    if markers is not None and (markers.start in text or markers.end in text):
        own = _cut_blocks(text, _list_own_marks(text, markers))
        if own is None:
            return None
        text = own
    if not any(bracket in text for bracket in "<[◁"):
        return _strip_bare_channels(text)
    if "<|channel" in text or "<channel|>" in text:
        channel = _strip_channels(text)
        if channel is None:
            return None
        text = channel
    marks = [(mark.start(), len(mark[0]), not _is_closing(mark)) for mark in _MARK.finditer(text)]
    if marks and marks[-1][2] and (answer := _ANSWER_MARK.search(text, marks[-1][0])):
        marks.append((answer.start(), 0, False))  # the answer's own mark ends reasoning that is not closed
    outside = _cut_blocks(text, marks) if marks else text
    return outside and _strip_pairs(outside) if "</" in (outside or "") else outside


def _is_closing(mark: re.Match[str]) -> bool:
    return bool(mark["close"]) or (mark["side"] or mark["after"] or "").lower() in ("end", "close")


def _list_own_marks(text: str, own: ReasoningMarkers) -> list[tuple[int, int, bool]]:
    longest_first = sorted((own.start, own.end), key=len, reverse=True)
    either = re.compile("|".join(map(re.escape, longest_first)))
    return [(found.start(), len(found[0]), found[0] == own.start) for found in either.finditer(text)]


def _cut_blocks(text: str, marks: Sequence[tuple[int, int, bool]]) -> str | None:
    """Return the text outside of the blocks; each mark is its place, its length and whether it opens a block."""
    parts, start, inside = [], 0, False
    for place, length, opens in marks:
        if opens and not inside:
            parts.append(text[start:place])
            inside = True
        elif not opens:
            if not inside:  # the chat template opened the block, so all text before this is inside it
                parts.clear()
            inside = False
        start = place + length
    if not inside:
        parts.append(text[start:])
    outside = "".join(parts)
    return None if inside and not outside.strip() else outside


def _strip_channels(text: str) -> str | None:
    channels = list(_CHANNEL.finditer(text))
    finals = [channel for channel in channels if _ANSWER_CHANNEL.fullmatch(channel["name"])]
    if finals:
        return text[finals[-1].end() :]
    closed = list(_CHANNEL_END.finditer(text))
    if closed and (not channels or closed[-1].start() > channels[-1].start()):
        return text[closed[-1].end() :]
    return None


def _strip_bare_channels(text: str) -> str | None:
    if not _BARE_CHANNEL.match(text):
        return text
    _, final, answer = text.rpartition(_BARE_FINAL)
    return answer if final else None


def _strip_pairs(text: str) -> str:
    """Return the text without long blocks in pairs of tags that are not known to hold an answer or a format."""
    spans, opened = [], dict[str, re.Match[str]]()
    for tag in _PAIR.finditer(text):
        name = tag["name"] or tag["close"]
        if _FORMATS.fullmatch(name):
            continue
        if tag["name"]:
            opened.setdefault(name, tag)
        elif (start := opened.pop(name, None)) and tag.end() - start.end() > _SHORT:
            spans.append((start.start(), tag.end()))
    outside, at = [], 0
    for begin, end in sorted(spans):
        outside.append(text[at : max(at, begin)])
        at = max(at, end)
    rest = "\n".join([*outside, text[at:]])
    return rest if rest.strip() and not _PAIR.fullmatch(rest.strip()) else text
