"""Reorder a solved example's choices so that its answer has the same letter as the equal choice of the question.

Near-duplicates agree in the answer's text far more often than in its letter (CodeMMLU: 94 and 75 %). So if the
answer is also one of the current question's options, the example's choices are put in the question's order.
"""

import re
from collections import Counter
from dataclasses import replace

from quorum.question import Question, fold_text

_CITED_LETTER = re.compile(r"(?<![^\W_])[A-Z](?![^\W_])")  # "A and B" would cite other choices after a reordering


def make_example(example: Question, question: Question) -> Question:
    """Return `example` with its choices in the order of `question`, as far as they have equal texts.

    Returns `example` unchanged if the answer's text is not exactly one choice of both questions, if the example does
    not have the answer's letter in `question`, or if the example's choices or rationale cite letters.
    """
    if example.answer is None or not example.choices or _contains_cited_letter(example):
        return example
    texts = [fold_text(choice) for choice in example.choices]
    targets = [fold_text(choice) for choice in question.choices]
    answer = texts[example.labels.index(example.answer)]
    unique = {text for text, count in Counter(texts).items() if count == 1 == targets.count(text)}
    if answer not in unique or targets.index(answer) >= len(texts):
        return example
    matches: list[int | None] = [
        texts.index(targets[index]) if index < len(targets) and targets[index] in unique else None
        for index in range(len(texts))
    ]
    rest = (index for index in range(len(texts)) if index not in matches)
    order = [next(rest) if match is None else match for match in matches]
    choices = tuple(example.choices[index] for index in order)
    return replace(example, choices=choices, answer=example.labels[targets.index(answer)])


def _contains_cited_letter(example: Question) -> bool:
    texts = (*(choice for choice in example.choices if " " in choice.strip()), example.rationale or "")
    return any(_CITED_LETTER.search(text) for text in texts)
