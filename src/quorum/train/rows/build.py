"""Questions of the training folds as rows to learn from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from quorum.ask.asker import draw_examples
from quorum.ask.prompt import BUILT_IN, Style, format_answer, render_prompt
from quorum.ask.reply import parse_reply
from quorum.ask.retrieve import RetrievedContext
from quorum.ask.search.example import make_example
from quorum.ask.search.sources import Passage
from quorum.ask.shuffle import random_orders
from quorum.ask.template import Template
from quorum.data.split import TrainingFolds
from quorum.errors import BadInput
from quorum.question import Question
from quorum.train.rows.pool import ExamplePool, set_examples_apart
from quorum.train.rows.row import TrainingRow

Target = Literal["letter", "option", "rationale"]

_WRITTEN: dict[Target, Style] = {"letter": "letter", "option": "option", "rationale": "cot"}
# words by which a rationale points at an option's place: in another order of the options it would point elsewhere
_POINTS_AT_A_PLACE = re.compile(
    r"(?i)\b(?:option|choice|answer|statement|alternative)s?\s*[#(]?\s*\d"
    r"|\b(?:first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th)\s+(?:option|choice|answer|alternative)"
)


@dataclass(frozen=True)
class RowSettings:
    """How questions become rows.

    Raises:
        BadInput: a number below 0, settings that contradict each other.
    """

    style: Style = "letter"  # as the infer kernel's setting `prompt`
    target: Target = "letter"  # what is to be written: the letter, the option's own text, or reasoning and the letter
    fallback: bool = True  # what has no rationale is asked for its letter alone; false: it is left out
    shuffles: int = 0  # further orders of the options, each a row of its own
    examples: int = 0  # solved questions shown before each, from a pool that is not learnt from
    pool: int = 0  # how many questions these are drawn from; 0: as many as are shown, the same before each question
    seed: int = 42  # of the orders and the pool

    def __post_init__(self) -> None:
        if min(self.shuffles, self.examples, self.pool) < 0:
            raise BadInput("lesson: shuffles, examples and pool are 0 or more")
        if (self.style == "cot") != (self.target == "rationale"):
            raise BadInput(
                f"lesson: style {self.style!r} does not go with target {self.target!r}; "
                "cot asks for reasoning and goes with rationale, and no other style does"
            )
        if self.shuffles and self.style in ("option", "bare"):
            raise BadInput(f"lesson: style {self.style!r} shows no letters: other orders of the options teach nothing")
        if self.pool and self.pool < self.examples:
            raise BadInput(f"lesson: {self.examples} examples can't be drawn from a pool of {self.pool}")


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The rows, and what did not become one.

    `examples` is the pool, and `apart` counts the solved questions that share a cluster with it, itself included;
    `unreasoned` counts questions without a rationale that leads to their answer, where rationales were wanted.
    """

    rows: list[TrainingRow]
    examples: tuple[Question, ...]
    apart: int
    unreasoned: int


def make_rows(
    training: TrainingFolds, lesson: RowSettings, passages: Mapping[str, Sequence[str]] | None = None
) -> list[TrainingRow]:
    """The rows of `build_rows` in the built-in wording; `passages` are shown beside a question, by its id."""
    told = passages or {}
    shown = {id: RetrievedContext(passages=tuple(Passage("", text) for text in texts)) for id, texts in told.items()}
    return build_rows(training, lesson, shown).rows


def build_rows(
    training: TrainingFolds,
    lesson: RowSettings,
    beside: Mapping[str, RetrievedContext] | None = None,
    template: Template = BUILT_IN,
) -> TrainingRows:
    """One row for each solved question of the training folds and each order of its options, in order.

    What is retrieved stands `beside` a question, by its id, as where it is asked. "All of the above" and its like stay
    last, and a question whose options or rationale cite letters or places keeps its order.

    Raises:
        BadInput: no question of the training folds is solved, or none is left to learn from.
    """
    solved = tuple(question for question in training.questions if question.answer is not None)
    if not solved:
        raise BadInput(f"none of the {len(training.questions)} questions in the training folds has an answer")
    wanted = lesson.target == "rationale"
    pool = ExamplePool((), TrainingFolds(training.split, solved))
    if lesson.examples:
        pool = set_examples_apart(pool.rest, lesson.pool or lesson.examples, lesson.seed, worked=wanted)
    unreasoned = {each.id for each in pool.rest.questions if wanted and not _leads_to_its_answer(each, template)}
    letter_alone = replace(lesson, style="letter", target="letter")
    rows = []
    for question in pool.rest.questions:
        if lesson.fallback or question.id not in unreasoned:
            own = letter_alone if question.id in unreasoned else lesson
            shown = (beside or {}).get(question.id, RetrievedContext())
            examples = draw_examples(pool.questions, question, lesson.examples, lesson.seed)
            rows += [_lesson_row(asked, own, examples, shown, template) for asked in _orders(question, own)]
    if not rows:
        raise BadInput(f"none of {len(pool.rest.questions)} questions has a rationale that leads to its answer")
    return TrainingRows(rows, pool.questions, len(solved) - len(pool.rest.questions), len(unreasoned))


def _lesson_row(
    question: Question, lesson: RowSettings, examples: Sequence[Question], beside: RetrievedContext, template: Template
) -> TrainingRow:
    assert question.answer is not None
    retrieved = [make_example(example, question) for example in beside.examples]
    passages = [passage.shown for passage in beside.passages]
    prompt = render_prompt(question, lesson.style, [*examples, *retrieved], passages, template)
    return TrainingRow(prompt, question.answer, format_answer(question, _WRITTEN[lesson.target], template))


def _leads_to_its_answer(question: Question, template: Template) -> bool:
    """Whether the question has a rationale, and the reader of replies reads it, with its last line, as the answer."""
    if not question.rationale:
        return False
    written = format_answer(question, "cot", template)
    return parse_reply(written, question.labels, question.choices).label == question.answer


def _orders(question: Question, lesson: RowSettings) -> list[Question]:
    """The question in its own order of options, and in as many others as the lesson wants and the question allows."""
    if not lesson.shuffles or (lesson.target == "rationale" and _cites_its_options(question)):
        return [question]
    return random_orders(question, 1 + lesson.shuffles, lesson.seed).asked()


def _cites_its_options(question: Question) -> bool:
    """Whether the rationale names a letter or a place: it would be wrong in another order of the options."""
    text = question.rationale or ""
    letter = re.compile(rf"(?<![^\W_])[{''.join(question.labels)}](?![^\W_])")
    return bool(question.labels) and bool(letter.search(text) or _POINTS_AT_A_PLACE.search(text))
