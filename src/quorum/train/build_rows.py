"""Build training rows from the questions of the training folds."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quorum.ask.asker import draw_examples
from quorum.ask.prompt import Style, format_answer, render_prompt
from quorum.ask.reply import parse_reply
from quorum.ask.retrieve import RetrievedContext, Retriever
from quorum.ask.search.example import make_example
from quorum.ask.search.sources import Passage
from quorum.ask.settings import RetrievalSettings
from quorum.ask.shuffle import make_random_orders
from quorum.ask.template import Template
from quorum.data.layout import Layout
from quorum.data.read import write_questions
from quorum.data.repair import read_clean_questions
from quorum.data.split import TrainingFolds, read_split, select_training_folds, split_questions, write_split
from quorum.errors import BadInput
from quorum.model.embed import load_embedder, load_reranker
from quorum.question import Question
from quorum.train.rows.formats import detect_format
from quorum.train.rows.given import read_given_rows
from quorum.train.rows.pool import ExamplePool, set_examples_apart
from quorum.train.rows.row import TrainingRow
from quorum.train.rows.selection import select_folds
from quorum.train.settings import RowSettings, SelectionSettings, Target, TrainSettings

_WRITTEN: dict[Target, Style] = {"letter": "letter", "option": "option", "rationale": "cot"}
# words by which a rationale points at an option's place: in another order of the options it would point elsewhere
_POINTS_AT_A_PLACE = re.compile(
    r"(?i)\b(?:option|choice|answer|statement|alternative)s?\s*[#(]?\s*\d"
    r"|\b(?:first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th)\s+(?:option|choice|answer|alternative)"
)


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


def rows_for_training(settings: TrainSettings, out: Path, report: Callable[[str], None]) -> list[TrainingRow]:
    """Return the rows of a training: rendered from questions, or read from a file of rows.

    Writes OUT/split.parquet, the split that the rows respect, and OUT/examples.parquet where examples were set apart.

    Args:
        report: takes a line for the log.

    Raises:
        BadInput: a file is missing or cannot be read, a row is not of the training folds, or no row is left.
    """
    if settings.layout == Layout() and detect_format(settings.train) is not None:
        return _rows_from_file(settings, out, report)
    return _rows_from_questions(settings, out, report)


def _rows_from_questions(settings: TrainSettings, out: Path, report: Callable[[str], None]) -> list[TrainingRow]:
    """Render the questions of the training folds as the infer kernel will ask them."""
    for path in (settings.split.file, settings.sampling.ids):
        if path and not path.is_file():
            raise BadInput(
                f"{path}: no such file; `quorum sample {settings.train} --backend TOML` draws ids and their split,"
                f" `quorum split {settings.train}` makes a split alone"
            )
    solved = read_clean_questions(settings.train, settings.layout)
    parts = (
        read_split(settings.split.file)
        if settings.split.file
        else split_questions(solved, settings.split.held_out, seed=settings.split.seed)
    )
    whole = select_training_folds(parts, solved)
    folds = select_folds(whole, settings.sampling)
    write_split(parts, out / "split.parquet")
    retriever = Retriever(settings.retrieval, whole, load_embedder, load_reranker)
    ids = [question.id for question in folds.questions]
    beside = dict(zip(ids, retriever.retrieve(folds.questions), strict=True))
    built = build_rows(folds, settings.rows, beside)
    count = f"{len(folds.questions)} of {len(whole.questions)} training questions"
    report(f"{settings.run}: {len(built.rows)} rows from {count}")
    if built.unreasoned:
        report(f"{settings.run}: {built.unreasoned} questions have no rationale that leads to their answer")
    if built.examples:
        write_questions(built.examples, out / "examples.parquet")
        report(f"{settings.run}: {len(built.examples)} examples; {built.apart} questions give no row for that")
    return built.rows


def _rows_from_file(settings: TrainSettings, out: Path, report: Callable[[str], None]) -> list[TrainingRow]:
    """Read a file of rows as they are; settings that render questions have no effect and are refused."""
    rendering = {"rows": RowSettings(), "sampling": SelectionSettings(), "retrieval": RetrievalSettings()}
    if idle := [name for name, default in rendering.items() if getattr(settings, name) != default]:
        raise BadInput(
            f"{settings.train} holds rows, which are learned as they are: {', '.join(idle)} would change nothing;"
            f" remove the settings there ({' '.join(f'{name}={{}}' for name in idle)}), or name the questions"
        )
    file = settings.split.file
    if file is None or not file.is_file():
        raise BadInput(
            f"{settings.train} holds rows: name the split that they were made with (split.file = FILE; found "
            f"{file or 'none'}), so that nothing held out is learned, or name the questions"
        )
    parts = read_split(file)
    rows = read_given_rows(settings.train, parts)
    write_split(parts, out / "split.parquet")
    report(f"{settings.run}: {len(rows)} rows of {settings.train}, as they are")
    return rows


def make_rows(
    training: TrainingFolds, settings: RowSettings, passages: Mapping[str, Sequence[str]] | None = None
) -> list[TrainingRow]:
    """Return the rows of `build_rows`; `passages` are shown with a question, by its id."""
    texts_by_id = passages or {}
    shown = {
        id: RetrievedContext(passages=tuple(Passage("", text) for text in texts)) for id, texts in texts_by_id.items()
    }
    return build_rows(training, settings, shown).rows


def build_rows(
    training: TrainingFolds, settings: RowSettings, beside: Mapping[str, RetrievedContext] | None = None
) -> TrainingRows:
    """Return one row for each solved question of the training folds and each order of its options, in order.

    Retrieved context is shown as when the question is asked. "All of the above" and similar options stay last, and
    a question whose options or rationale cite letters or positions keeps its order.

    Args:
        beside: retrieved context by question id.

    Raises:
        BadInput: no question of the training folds is solved, or none is left to learn from.
    """
    solved = tuple(question for question in training.questions if question.answer is not None)
    if not solved:
        raise BadInput(f"none of the {len(training.questions)} questions in the training folds has an answer")
    reasons, template = settings.target == "rationale", settings.template
    pool = ExamplePool((), TrainingFolds(training.split, solved))
    if settings.examples:
        pool = set_examples_apart(pool.rest, settings.pool or settings.examples, settings.seed, worked=reasons)
    unreasoned = {each.id for each in pool.rest.questions if reasons and not _leads_to_its_answer(each, template)}
    letter_alone = replace(settings, style="letter", target="letter")
    rows = []
    for question in pool.rest.questions:
        if settings.fallback or question.id not in unreasoned:
            own = letter_alone if question.id in unreasoned else settings
            shown = (beside or {}).get(question.id, RetrievedContext())
            examples = draw_examples(pool.questions, question, settings.examples, settings.seed)
            rows += [_make_row(asked, own, examples, shown) for asked in _option_orders(question, own)]
    if not rows:
        raise BadInput(f"none of {len(pool.rest.questions)} questions has a rationale that leads to its answer")
    return TrainingRows(rows, pool.questions, len(solved) - len(pool.rest.questions), len(unreasoned))


def _make_row(
    question: Question, settings: RowSettings, examples: Sequence[Question], beside: RetrievedContext
) -> TrainingRow:
    assert question.answer is not None
    retrieved = [make_example(example, question) for example in beside.examples]
    passages = [passage.prompt_text for passage in beside.passages]
    prompt = render_prompt(question, settings.style, [*examples, *retrieved], passages, settings.template)
    return TrainingRow(prompt, question.answer, format_answer(question, _WRITTEN[settings.target], settings.template))


def _leads_to_its_answer(question: Question, template: Template) -> bool:
    """Whether the question has a rationale, and the reader of replies reads it, with its last line, as the answer."""
    if not question.rationale:
        return False
    written = format_answer(question, "cot", template)
    return parse_reply(written, question.labels, question.choices).label == question.answer


def _option_orders(question: Question, settings: RowSettings) -> list[Question]:
    """Return the question in its own order of options, and in as many others as are set and the question allows."""
    if not settings.shuffles or (settings.target == "rationale" and _cites_its_options(question)):
        return [question]
    return make_random_orders(question, 1 + settings.shuffles, settings.seed).list_variants()


def _cites_its_options(question: Question) -> bool:
    """Whether the rationale names a letter or a place: it would be wrong in another order of the options."""
    text = question.rationale or ""
    letter = re.compile(rf"(?<![^\W_])[{''.join(question.labels)}](?![^\W_])")
    return bool(question.labels) and bool(letter.search(text) or _POINTS_AT_A_PLACE.search(text))
