"""Compile the patterns that find labels in a text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from quorum.ask.parse.words import (
    AFTER_WORD,
    AND_WORDS,
    ANSWER_WORDS,
    BECAUSE_WORDS,
    BEFORE_WORD,
    CHOICE_WORDS,
    COPULA_AFTER,
    FILLING_WORDS,
    GOOD_AFTER,
    GOOD_WORDS,
    THEREFORE_WORDS,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # compared by identity: one for each set of labels
class LabelPatterns:
    """The patterns of one set of labels; the group of each pattern that matches is the label."""

    value: re.Pattern[str]  # after a word that announces it: " is clearly option (D) because"
    more: re.Pattern[str]  # after another label: " and (C)"
    firm: re.Pattern[str]  # in brackets, or with nothing after it
    judged: re.Pattern[str]  # "(C) is the correct answer"
    judgement: re.Pattern[str]  # what follows the label there
    site: re.Pattern[str]  # a label as a word of its own, in capitals or small letters
    concluded: re.Pattern[str]  # "… is (C) because": the end of a sentence that leads to a label
    line: re.Pattern[str]  # at the start of a line: "C. text"
    last: re.Pattern[str]  # a word that is all of the last sentence: "… in no case. FALSE"
    listed: re.Pattern[str]  # as in a list: "C." or "C:"
    listed_item: re.Pattern[str]  # at the start of a line or of a part of a sentence: "; (C) text"
    named: re.Pattern[str]  # in brackets, or after the word option
    canonical: Mapping[str, str]

    def find_label(self, found: re.Match[str]) -> str:
        """Return the label in a match of one of the patterns."""
        return self.canonical[next(group for group in found.groups() if group).casefold()]


# Letters of other scripts: a Latin label before one is complete. Greek is left out: "E = hν" is a formula.
_OTHER_SCRIPT = r"[\u0400-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
_OPERATOR = r"=+*/^×·÷<>≤≥≈~%°#&@\-–—\u2190-\u22ff\u2a00-\u2aff"
# A label is complete before anything but a word, an operator of a formula, or a bracket: that list is open. "C#", "C++"
# and "B-" are other things than labels.
_CLOSED = (
    rf"(?:\s{{0,3}}(?:$|\n|[^\w\s{_OPERATOR}(\[{{.:'’\\]|\\[\"']|\.(?!\d|\s?[A-Z]\.)|:(?!\w)|['’](?![A-Za-z])"
    rf"|<[/|]?[A-Za-z][\w|]{{0,30}}>|[#@%~/]{{2,9}}|[=%~@&°]{{1,9}}(?!\s{{0,2}}[\w(\[{{\\$.]))|\s?{_OTHER_SCRIPT}|{COPULA_AFTER})"
)
# An explanation after the label.
_GOES_ON = rf"(?:\s{{1,3}}[-–—]\s?(?!\w\b)|\s[(\[](?!\w\b)|\s{{1,3}}(?:{BECAUSE_WORDS}){AFTER_WORD})"
_BEFORE_LABEL = r"(?:[\s:,=\"'“”‘’*~>|\\\-–—•✅➡👉→$\[({…「『]|\.{3}){0,16}"
_PLACED = (  # text before a letter without brackets that is judged
    rf"(?:^|[\n.,;:!?。]\s{{0,3}}|(?i:{CHOICE_WORDS}|{ANSWER_WORDS}|{THEREFORE_WORDS}(?:\s(?:ist|est|es|è|é))?"
    rf"|{BEFORE_WORD}(?:that|think|believe|only|but|makes?|making|have|leaves|leaving|sondern|sino|mais){AFTER_WORD}"
    rf"|ではなく|아니라|而是)[,、]?\s{{0,2}})"
)
_JUDGED_GOOD = (
    r"(?:\s(?:is|was|would be|seems|must be|should be|appears|appears to be|seems to be)"
    r"(?:\s(?:the|a|an|most|only|clearly|therefore|thus|indeed|definitely|likely|probably|closest|my|one|single|more|very"
    rf"|correct|best|right|final)){{0,6}}\s(?:{GOOD_WORDS})(?:\s(?:answer|choice|option|one|statement|response))?{AFTER_WORD}"
    rf"|\sbest\s\w{{3,12}}|\s(?:fits|works|matches)\sbest|\sit\sis(?=\s{{0,3}}(?:$|[.!\n]))"  # "So B it is."
    r"|\s(?:as\s)?(?:the|my|our)\s(?:(?:only|most|likely|plausible|correct|best|right|final)\s){0,3}(?:answer|choice|option)"
    r"|\sis\sthe\sonly\s(?:(?:one|option|choice|answer|statement|remaining|possible)\s){1,2}(?:that|which)\s"
    r"(?:fits|works|matches|makes\ssense|is\s(?:correct|right|true|valid|left))"
    rf"|{GOOD_AFTER})"
)


@lru_cache(maxsize=64)
def compile_label_patterns(labels: tuple[str, ...]) -> LabelPatterns:
    """Return the patterns for `labels`: letters in capitals or in brackets, words (TRUE, FALSE) in any case."""
    single = all(len(label) == 1 for label in labels)
    one = "|".join(re.escape(label.upper()) for label in labels)
    one = one if single else f"(?i:{one})"
    # "(b)" may be part (b) of a question: in small letters a label needs the end of its phrase after it
    small = rf"(?i:{one})(?=[\"']?\s?[)\]}}>」】](?:{_CLOSED}|\s(?:because|since)\s))" if single else "(?!)"
    bracketed = (
        rf"(?<![A-Za-z0-9_])[(\[{{「【<]\s?(?i:option\s|choice\s)?[\"']?((?:{one})|{small})[\"']?\s?[)\]}}>」】]"
    )
    opening = r"(?<![A-Za-zÀ-ỹ0-9_\\^])"
    bare, alone = _make_bare_patterns(labels, one)
    but = rf"(?:not\s(?:option\s)?\(?(?:{one})\)?,?\sbut\s(?:rather\s)?)?"
    # "that is true, but": a word is a verdict only at the end of a sentence
    concluding = "" if single else "(?:because|since|as)\\s"
    return LabelPatterns(
        value=re.compile(rf"{_BEFORE_LABEL}(?i:{FILLING_WORDS}){but}(?:{bracketed}|{opening}(?:{bare}))"),
        more=re.compile(
            rf"[\"')\]}}]{{0,2}}\s{{0,3}}(?i:{AND_WORDS}\s{{0,3}}(?:(?:and|or|also|rather|possibly|maybe|options?"
            rf"|perhaps)\s){{0,3}})"
            rf"[\"'(\[]{{0,2}}(?:{bracketed}|{opening}{alone})"
        ),
        firm=re.compile(
            rf"[\s:,\"'“]{{0,6}}(?i:{FILLING_WORDS})"
            rf"(?:{bracketed}|{opening}({one})(?=(?:\s?[选選]?[项項])?[.!。।\"”')]{{0,3}}\s{{0,3}}(?:$|\n)|[.。।]\s(?![A-Z]\.)|。|{COPULA_AFTER}))"
        ),
        judged=re.compile(
            rf"(?:{bracketed}|{_PLACED}({one}))(?i:{_JUDGED_GOOD})(?!\s(?:only\s)?(?:if|when|had|than)\s)"
        ),
        judgement=re.compile(rf"[\"']?\s?[)\]}}>」】]?(?i:{_JUDGED_GOOD})"),
        site=re.compile(rf"[{''.join(labels)}{''.join(labels).lower()}](?<![A-Za-z0-9_].)(?![A-Za-z0-9_])")
        if single
        else re.compile(rf"(?i:{one})"),
        concluded=re.compile(
            rf"(?i:{BEFORE_WORD}(?:is|be|was|are|ist|est|es|là){AFTER_WORD}|:)\s(?i:{FILLING_WORDS})"
            rf"(?:{bracketed}|{opening}({one})(?=\.\s(?![A-Z]\.)|:\s(?![A-Z]\b)|,\s{concluding}))"
        ),
        line=re.compile(
            rf"[\s>\-•#✅✔☑👉→]{{0,6}}(?:(?i:option|choice|ans|answer)\s{{1,2}}|(?i:result|output|key|decision)\s?:\s{{1,2}})?"
            rf"(?:{bracketed}|({one})(?=[.):]|\s{{0,3}}$|\s[-–—]\s)"
            rf"|((?i:{one}))(?=[^\w(]{{0,3}}$))[.):]?"
        ),
        last=re.compile("(?!)" if single else rf"[.:!?。\n]\s{{0,3}}({one})[.!。]?\s{{0,3}}$"),
        listed=re.compile(rf"(?<!\w)({one})(?=[\"']?[.):])"),
        listed_item=re.compile(rf"(?:^|\n|\s)[\s>\-•#*]{{0,6}}(?:[(\[]({one})[)\]]|({one})[.):])(?=\s|$)"),
        named=re.compile(
            rf"{bracketed}|\b(?i:option|choice|letter)\s({one})(?={_CLOSED})"
            rf"|\b(?:is|ist|est|es|là)\s(?i:{FILLING_WORDS})({one})(?=[.!]?\s{{0,3}}$)"
        ),
        canonical={label.casefold(): label for label in labels},
    )


def _make_bare_patterns(labels: tuple[str, ...], one: str) -> tuple[str, str]:
    """Return the patterns of a label without brackets: after an announcing word, and after another label."""
    if all(len(label) == 1 for label in labels):
        # a capital after A or I may go on with a title or a sentence; after another letter it starts the option's text
        titled = "|".join(re.escape(label.upper()) for label in labels if label.upper() not in {"A", "I"}) or "(?!)"
        bare = (
            rf"({one})(?={_CLOSED}|{_GOES_ON})|({titled})(?=\s{{1,3}}[A-Z0-9\\\"“$])"
            rf"|((?i:{one}))(?=[.)\"'}}]{{1,2}}\s{{0,3}}(?:$|\n)|\n|</)|((?i:{titled}))(?=\s{{0,3}}$|\s(?:because|since)\s)"
        )
        alone = rf"({one})(?={_CLOSED}|\s(?:are|were|respectively|could|might){AFTER_WORD}|\s(?i:{AND_WORDS})\s)"
        return bare, alone
    return rf"({one})(?!\w)", rf"({one})(?!\w)"
