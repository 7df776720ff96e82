"""Build the function that turns a run's questions into prompts."""

import random
from collections.abc import Callable, Sequence
from functools import partial

from quorum.ask.example import make_example
from quorum.ask.prompt import Style, render_prompt
from quorum.ask.retrieve import RetrievedContext, Retriever
from quorum.ask.settings import ExampleSettings
from quorum.ask.template import Template
from quorum.data.duplicates import exact_key
from quorum.data.read import read_questions
from quorum.errors import BadInput, list_some
from quorum.question import Prompt, Question

Ask = Callable[[Question], Prompt]
AskIn = Callable[[Style, Template, Question], Prompt]  # the caller chooses style and template


def read_examples(settings: ExampleSettings) -> list[Question]:
    """Read the solved questions to draw examples from; return an empty list if no file is set.

    Raises:
        BadInput: an example has no answer, or there are fewer than `count`.
    """
    pool = read_questions(settings.file) if settings.file else []
    if unsolved := [example.id for example in pool if example.answer is None]:
        raise BadInput(f"{settings.file}: {len(unsolved)} examples have no answer: {list_some(unsolved)}")
    if settings.count > len(pool):
        raise BadInput(f"prompt.examples.count is {settings.count}, but prompt.examples.file has {len(pool)} examples")
    return pool


def draw_examples(pool: Sequence[Question], question: Question, count: int, seed: int) -> list[Question]:
    """Draw `count` examples at random, the same ones for the same question and seed.

    The whole pool, in its own order, if `count` is 0 or not below the size of the pool.
    """
    if not count or count >= len(pool):
        return list(pool)
    return random.Random(f"{seed}/{question.id}").sample(pool, count)


def _choose_examples(pool: Sequence[Question], question: Question, shots: ExampleSettings) -> list[Question]:
    """Return the examples of `shots` for a question."""
    if not shots.by_subject:
        return draw_examples(pool, question, shots.count, shots.seed)
    own = [example for example in pool if example.subject == question.subject]
    return own[: shots.count or None]


def make_asker(
    retriever: Retriever,
    questions: Sequence[Question],
    style: Style,
    template: Template,
    shots: ExampleSettings | None = None,
) -> Ask:
    """Return the function that renders each of `questions` in one style; see `make_styled_asker`."""
    return partial(make_styled_asker(retriever, questions, shots), style, template)


def make_styled_asker(
    retriever: Retriever,
    questions: Sequence[Question],
    shots: ExampleSettings | None = None,
    test: bool = False,
    on_retrieved: Callable[[Sequence[Question], Sequence[RetrievedContext]], None] | None = None,
) -> AskIn:
    """Return the function that renders each of `questions`, in any order of its options, with its context.

    The examples of `shots` come first, then the retrieved ones, with their choices in the question's order. A question
    is never shown itself as an example. Questions outside `questions` get no retrieved context.

    Args:
        test: These are the questions to submit, of which no score is taken.
        on_retrieved: Called with the questions and what was retrieved for each.
    """
    shots = shots or ExampleSettings()
    pool = [(example, exact_key(example)) for example in read_examples(shots)]
    retrieved = retriever.retrieve(questions, test=test)
    if on_retrieved:
        on_retrieved(questions, retrieved)
    context_of = dict(zip((question.id for question in questions), retrieved, strict=True))

    def ask(style: Style, template: Template, question: Question) -> Prompt:
        context = context_of.get(question.id, RetrievedContext())
        key = exact_key(question) if pool else ""
        others = [example for example, example_key in pool if example_key != key]
        examples = _choose_examples(others, question, shots)
        examples += [make_example(example, question) for example in context.examples]
        passages = [passage.prompt_text for passage in context.passages]
        return render_prompt(question, style, examples, passages, template)

    return ask
