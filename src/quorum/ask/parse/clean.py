"""Remove thinking blocks, markup and later turns from a reply."""

import re
import unicodedata

_THOUGHT = re.compile(
    r"(?i)(?P<open><(?:think|thinking|thought|thoughts|reasoning|scratchpad|\|begin_of_thought\|)>|\[THINK\]|◁think▷)"
    r"|(?P<close></(?:think|thinking|thought|thoughts|reasoning|scratchpad)>|<\|end_of_thought\|>|\[/THINK\]|◁/think▷)"
)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>final[^<\n]{0,40}<\|message\|>")
_OTHER_CHANNEL = re.compile(r"<\|channel\|>(?:analysis|commentary)")
_TURN_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|eot|end|endoftext|end_of_text|return|user|im_start)\|>|</s>|<end_of_turn>|\[INST\]"
)
_OPENING = re.compile(r"^\s{0,9}(?:<\|im_start\|>(?:assistant)?|<\|assistant\|>|<s>|<bos>)\s{0,9}")

_WIDE = re.compile("[\uff01-\uff5e\u249c-\u24e9\U0001d400-\U0001d7ff\U0001f130-\U0001f149\U0001f150-\U0001f169]+")
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad\ufe0f]+")
_FONT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathsf|mathit|mathtt|operatorname|boldsymbol|bm"
    r"|underline|emph|mbox)\s?\{([^{}]{0,300})\}"
)
_LATEX_MARKS = re.compile(
    r"\\[()\[\],;!: ]|\\(?:left|right|quad|qquad|displaystyle|bf|rm|Large|large)(?![A-Za-z])|\\\\"
)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|p|div|span|code|pre|mark|h[1-6]|li|ul|ol|sub|center)(?:\s[^<>]{0,200})?>")
_SUM = re.compile(r"<<[^<>\n]{1,100}>>")  # a calculator's note, as GSM8K writes it: 9 * 2 = <<9*2=18>>18
_SPECIES = re.compile(  # the E of E. coli is not a label
    r"(?<![A-Za-z])[A-Z]\.\s?(?=(?:coli|elegans|difficile|thaliana|melanogaster|subtilis|pylori|albicans|botulinum|cereus"
    r"|anthracis|fragilis|trachomatis|burgdorferi|jejuni|perfringens|diphtheriae|tetani|sapiens)\b)"
)
_BREAK = re.compile(r"<br\s?/?>|\r\n?")
# 3*4 and 2**3 are sums, not emphasis
_EMPHASIS = re.compile(
    r"\*{2,3}(?!\d)|(?<!\d)\*{2,3}|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|`{1,3}|~~|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)"
)


def strip_reasoning(text: str) -> str | None:
    """Return the text outside of thinking blocks; None if the text ends inside one, before an answer was given."""
    finals = list(_FINAL_CHANNEL.finditer(text))
    if finals:
        text = text[finals[-1].end() :]
    elif _OTHER_CHANNEL.search(text):
        return None
    parts, start, thinking = [], 0, False
    for mark in _THOUGHT.finditer(text):
        if mark["open"] and not thinking:
            parts.append(text[start : mark.start()])
            thinking = True
        elif mark["close"]:
            if not thinking:  # the chat template opened the block, so all text before this is inside it
                parts.clear()
            thinking = False
        start = mark.end()
    if not thinking:
        parts.append(text[start:])
    outside = "".join(parts)
    return None if thinking and not outside.strip() else outside


def strip_markup(text: str) -> str:
    """Return `text` up to the end of the turn, without Markdown, HTML and LaTeX marks, and with plain ASCII letters."""
    text = _OPENING.sub("", text, count=1)
    if (end := _TURN_ENDS.search(text)) is not None:
        text = text[: end.start()]
    text = _UNSEEN.sub("", _WIDE.sub(lambda wide: unicodedata.normalize("NFKC", wide[0]), text))
    text = (
        _BREAK.sub("\n", text)
        .replace("\u3000", " ")
        .replace("\u00a0", " ")
        .replace("\\%", "%")
        .replace("\\$", "$")
        .replace("{,}", ",")
    )
    for _ in range(3):  # fonts nest: \textbf{\text{B}}
        text = _FONT.sub(r"\1", text)
    return _EMPHASIS.sub("", _TAG.sub("", _LATEX_MARKS.sub(" ", _SUM.sub("", _SPECIES.sub(_lower_match, text)))))


def _lower_match(found: re.Match[str]) -> str:
    return found[0].lower()
