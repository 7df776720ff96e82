"""How the questions of a run are asked: in which words, and with what shown beside them."""

import random
from collections.abc import Callable, Sequence
from functools import partial

from quorum.ask.prompt import Style, render_prompt
from quorum.ask.retrieve import RetrievedContext, Retriever
from quorum.ask.search.example import make_example
from quorum.ask.settings import ExampleSettings
from quorum.ask.template import Template
from quorum.data.duplicates import exact_key
from quorum.data.read import read_questions
from quorum.errors import BadInput
from quorum.question import Prompt, Question

Ask = Callable[[Question], Prompt]
AskIn = Callable[[Style, Template, Question], Prompt]  # in any style and words


def read_examples(settings: ExampleSettings) -> list[Question]:
    """Read the solved questions to draw examples from; none without a file.

    Raises:
        BadInput: an example has no answer, or there are fewer than `count`.
    """
    pool = read_questions(settings.file) if settings.file else []
    if unsolved := [example.id for example in pool if example.answer is None]:
        raise BadInput(f"{settings.file}: {len(unsolved)} examples have no answer, {unsolved[0]} among them")
    if settings.count > len(pool):
        raise BadInput(f"prompt.examples.count is {settings.count}, but there are only {len(pool)} examples")
    return pool


def draw_examples(pool: Sequence[Question], question: Question, count: int, seed: int) -> list[Question]:
    """`count` of the pool, by chance, the same for the same question; in the pool's order where that is all, or 0."""
    if not count or count >= len(pool):
        return list(pool)
    return random.Random(f"{seed}/{question.id}").sample(pool, count)


def make_asker(
    retriever: Retriever,
    questions: Sequence[Question],
    style: Style,
    template: Template,
    shots: ExampleSettings | None = None,
) -> Ask:
    """How each of `questions` is asked in one style; see `make_styled_asker`."""
    return partial(make_styled_asker(retriever, questions, shots), style, template)


def make_styled_asker(
    retriever: Retriever, questions: Sequence[Question], shots: ExampleSettings | None = None, test: bool = False
) -> AskIn:
    """How each of `questions` is asked, in whatever order of its options; any other question has nothing beside it.

    The examples of `shots` stand first, then what was retrieved, whose choices follow the order in which the question
    is asked. A question is never shown itself; `test` says that these are the questions to submit.
    """
    shots = shots or ExampleSettings()
    pool = [(example, exact_key(example)) for example in read_examples(shots)]
    beside = dict(zip((question.id for question in questions), retriever.shown(questions, test=test), strict=True))

    def ask(style: Style, template: Template, question: Question) -> Prompt:
        shown = beside.get(question.id, RetrievedContext())
        key = exact_key(question) if pool else ""
        own = [example for example, other in pool if other != key]
        examples = draw_examples(own, question, shots.count, shots.seed)
        examples += [make_example(example, question) for example in shown.examples]
        return render_prompt(question, style, examples, [passage.shown for passage in shown.passages], template)

    return ask
