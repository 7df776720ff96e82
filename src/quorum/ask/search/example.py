"""A solved question as another may see it: its answer says the same text under the same letter.

Near-duplicates agree in the answer's text far more often than in its letter (CodeMMLU: 94 and 75 %). So where the
answer is also one of the present question's options, the example's choices are put in the present question's order.
"""

import re
from collections import Counter
from dataclasses import replace

from quorum.question import Question, fold_text

_CITED_LETTER = re.compile(r"(?<![^\W_])[A-Z](?![^\W_])")  # "A and B": it would cite another choice elsewhere


def make_example(example: Question, question: Question) -> Question:
    """`example`, its choices in another order where its answer can be mapped by text to a choice of `question`.

    It stays as it is where the answer's text is not exactly one choice of each, where that choice has a letter that the
    example has not, or where its choices or its rationale cite letters.
    """
    if example.answer is None or not example.choices or _contains_cited_letter(example):
        return example
    texts = [fold_text(choice) for choice in example.choices]
    asked = [fold_text(choice) for choice in question.choices]
    said = texts[example.labels.index(example.answer)]
    once = {text for text, count in Counter(texts).items() if count == 1 == asked.count(text)}
    if said not in once or asked.index(said) >= len(texts):
        return example
    order: list[int | None] = [
        texts.index(asked[place]) if place < len(asked) and asked[place] in once else None
        for place in range(len(texts))
    ]
    rest = (place for place in range(len(texts)) if place not in order)
    places = [next(rest) if place is None else place for place in order]
    choices = tuple(example.choices[place] for place in places)
    return replace(example, choices=choices, answer=example.labels[asked.index(said)])


def _contains_cited_letter(example: Question) -> bool:
    written = (*(choice for choice in example.choices if " " in choice.strip()), example.rationale or "")
    return any(_CITED_LETTER.search(text) for text in written)
