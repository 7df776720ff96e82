"""Write training rows in the formats of other trainers, and read them.

Files are JSON lines, or one JSON list if the name ends with .json. Values for which a format has no field (id, labels,
options and the answer) are added as more fields, which trainers ignore, so that our rows are read back unchanged.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from quorum.data.split import HELD_OUT, Split
from quorum.disk import replace_file
from quorum.errors import BadInput, list_some
from quorum.question import Message, Prompt, Question
from quorum.tables.strict_json import parse_json
from quorum.train.row import TrainingRow
from quorum.train.rows.overlap import TextOverlap, find_text_overlap

RowFormat = Literal["prompt", "chat", "alpaca"]

_NO_ID_PREFIX = "row "  # begins the name of a row without an id
_FORMAT_FIELDS: dict[RowFormat, tuple[str, ...]] = {
    "prompt": ("prompt", "completion"),
    "chat": ("messages",),
    "alpaca": ("instruction", "input", "output"),
}


def write_rows(rows: Sequence[TrainingRow], path: Path, form: RowFormat) -> None:
    """Write rows as `.jsonl` or `.json`; the file is written completely or not at all.

    Args:
        form: *prompt* has a prompt and a completion that begins with a space (TRL joins the two directly). *chat* has
            messages, the last by the assistant. *alpaca* has the first paragraph of the prompt as the instruction and
            the rest as the input.

    Raises:
        BadInput: the suffix is another one, or a prompt with several messages is written as alpaca.
    """
    _write_documents([_make_document(row, form) for row in rows], path)


def write_explanations(questions: Sequence[Question], path: Path) -> None:
    """Write solved questions with `question`, `choices`, `explain` and `answer`, which `read_questions` reads.

    Raises:
        BadInput: the suffix is neither .jsonl nor .json.
    """
    documents = []
    for each in questions:
        document = {
            "id": each.id,
            "question": each.text,
            "choices": list(each.choices),
            "explain": each.rationale,
            "answer": each.answer,
            "subject": each.subject,
            "group": each.group,
            "context": each.context,
        }
        documents.append({name: value for name, value in document.items() if value not in (None, [])})
    _write_documents(documents, path)


def detect_row_format(path: Path) -> RowFormat | None:
    """Return the format of a file of rows by the fields of its first row; None if it holds no rows but questions."""
    if path.suffix not in (".json", ".jsonl"):
        return None
    try:
        first = next(iter(_read_documents(path)), {})
    except BadInput:
        return None
    return _detect_document_format(first)


def read_rows(path: Path, numbered: bool = True) -> list[TrainingRow]:
    """Read the rows of a file in any of the formats.

    Rows from other tools have no labels; their answer is the completion.

    Args:
        numbered: give rows without an id their number in the file, counted from 1; otherwise refuse them.

    Raises:
        BadInput: the file is not JSON, or a field of a row is missing or has the wrong type.
    """
    return _read_named_rows(path, lambda number: str(number) if numbered else None)


def _read_named_rows(path: Path, name: Callable[[int], str | None]) -> list[TrainingRow]:
    rows = []
    for number, document in enumerate(_read_documents(path), 1):
        try:
            rows.append(_make_training_row(document, name(number)))
        except (BadInput, KeyError) as error:
            problem = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise BadInput(f"{path}, row {number}: {problem}") from None
    if not rows:
        raise BadInput(f"{path}: the file has no rows")
    return rows


def read_split_rows(path: Path, split: Split) -> list[TrainingRow]:
    """Read the rows of a file in any of the formats, and check by their ids that all are of the training folds.

    Raises:
        BadInput: the file has no rows, a row has no id, or its question is held out or not in the split.
    """
    rows = read_rows(path, numbered=False)
    _check_folds(path, rows, split)
    return rows


def _check_folds(path: Path, rows: Sequence[TrainingRow], split: Split) -> None:
    """Raise BadInput if a row's question is held out or not in the split."""
    ids = list(dict.fromkeys(row.prompt.question_id for row in rows))
    held_out = [id for id in ids if split.fold_of.get(id) == HELD_OUT]
    if wrong := held_out or [id for id in ids if id not in split.fold_of]:
        problem = "are held out" if held_out else f"are not in the split of {len(split.fold_of)} questions"
        raise BadInput(
            f"{path}: rows must be of questions in the training folds, but {len(wrong)} of {len(ids)} questions"
            f" {problem}: {list_some(wrong)}; name the split that they were made with, or give the questions"
        )


def read_unnamed_rows(path: Path, split: Split, questions: Sequence[Question]) -> tuple[list[TrainingRow], TextOverlap]:
    """Read rows of which some have no id, without those whose text has a held-out question.

    A row with an id is checked as by `read_split_rows`; a row without one gets a name that is no id.

    Args:
        questions: all questions of the split.

    Raises:
        BadInput: the file has no rows, a row's id is held out or not in the split, or no row is left.
    """
    rows = _read_named_rows(path, lambda number: f"{_NO_ID_PREFIX}{number}")
    named = [row for row in rows if not row.prompt.question_id.startswith(_NO_ID_PREFIX)]
    _check_folds(path, named, split)
    overlap = find_text_overlap(rows, questions, split.held_out)
    kept = [row for number, row in enumerate(rows) if number not in overlap.held_out]
    if not kept:
        raise BadInput(f"{path}: each of the {len(rows)} rows has the text of a held-out question")
    return kept, overlap


def _make_document(row: TrainingRow, form: RowFormat) -> dict[str, Any]:
    content = row.prompt.content
    turns: list[dict[str, str]] = []  # empty if the prompt is one text
    if not isinstance(content, str):
        turns = [{"role": turn.role, "content": turn.content} for turn in content]
    reply = [{"role": "assistant", "content": row.completion}]
    match form:
        case "prompt":
            fields: dict[str, Any] = {
                "prompt": turns or content,
                "completion": reply if turns else f" {row.completion}",
            }
        case "chat":
            messages = turns or [{"role": "user", "content": str(content)}]
            fields = {"messages": [*messages, *reply]}
        case "alpaca":
            if not isinstance(content, str):
                raise BadInput(
                    f"question {row.prompt.question_id}: the prompt has {len(turns)} messages, which alpaca cannot"
                    " hold; allowed are prompt, chat"
                )
            instruction, _, rest = content.partition("\n\n")
            fields = {"instruction": instruction if rest else content, "input": rest, "output": row.completion}
    prompt = row.prompt
    extra = {"id": prompt.question_id, "labels": prompt.labels, "options": prompt.options, "answer": row.answer}
    soft = {"soft": dict(zip(prompt.labels, row.soft, strict=True))} if row.soft else {}
    return fields | extra | soft | ({"plain": True} if form == "chat" and not turns else {})


def _make_training_row(document: Mapping[str, Any], default_id: str | None) -> TrainingRow:
    form = _detect_document_format(document)
    if form is None:
        fields = "; ".join(", ".join(names) for names in _FORMAT_FIELDS.values())
        raise BadInput(f"the fields are {', '.join(document)}; expected {fields}")
    completion: str
    content: str | tuple[Message, ...]
    match form:
        case "prompt":
            content, completion = _read_content(document["prompt"]), _read_completion(document["completion"])
        case "chat":
            *before, last = _read_turns(document["messages"])
            if last.role != "assistant":
                raise BadInput(f"the last message is by {last.role!r}, expected 'assistant'")
            content, completion = tuple(before), last.content
            if document.get("plain") and len(before) == 1:
                content = before[0].content
        case "alpaca":
            content, rest, completion = (_read_text(document.get(name, "")) for name in _FORMAT_FIELDS["alpaca"])
            content += f"\n\n{rest}" if rest else ""
    labels, options = (_read_texts(document.get(name, [])) for name in ("labels", "options"))
    if default_id is None and "id" not in document:
        raise BadInput("there is no id, so the row cannot be checked against the split; give the questions instead")
    prompt = Prompt(
        question_id=_read_text(document.get("id", default_id)), content=content, labels=labels, options=options
    )
    soft = _read_soft_labels(document["soft"], labels) if "soft" in document else ()
    return TrainingRow(prompt, _read_text(document.get("answer", completion)), completion, soft)


def _detect_document_format(document: Mapping[str, Any]) -> RowFormat | None:
    """Return the first format whose fields are all present; alpaca's input may be missing."""
    for form, fields in _FORMAT_FIELDS.items():
        if all(field in document or field == "input" for field in fields):
            return form
    return None


def _read_content(value: Any) -> str | tuple[Message, ...]:
    return value if isinstance(value, str) else tuple(_read_turns(value))


def _read_completion(value: Any) -> str:
    """Return the text of a completion: a text without the space that joins it to the prompt, or one message."""
    if isinstance(value, str):
        return value.removeprefix(" ")
    turns = _read_turns(value)
    if len(turns) != 1:
        raise BadInput(f"the completion has {len(turns)} messages, expected 1")
    return turns[0].content


def _read_turns(value: Any) -> list[Message]:
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        raise BadInput(f"{value!r:.40} is not a list of messages")
    return [Message(_read_text(turn["role"]), _read_text(turn["content"])) for turn in value]


def _read_soft_labels(value: Any, labels: Sequence[str]) -> tuple[float, ...]:
    """Return a teacher's probability of each label, times its weight."""
    try:
        shares = {label: float(share) for label, share in value.items()}  # a JSON number with a point is read as text
    except (AttributeError, TypeError, ValueError):
        shares = {}
    if not shares or not shares.keys() <= set(labels):
        raise BadInput(f"soft is {value!r:.60}, expected a number for each of the labels {', '.join(labels)}")
    return tuple(shares.get(label, 0.0) for label in labels)


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadInput(f"found {value!r:.40}, expected a list")
    return tuple(map(_read_text, value))


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadInput(f"found {value!r:.40}, expected a text")
    return value


def _write_documents(documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    if path.suffix not in (".json", ".jsonl"):
        raise BadInput(f"{path}: the suffix is {path.suffix!r}; allowed are .jsonl or .json")
    with replace_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".json":
            json.dump(documents, file, ensure_ascii=False, indent=1)
        else:
            file.writelines(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


def _read_documents(path: Path) -> list[Mapping[str, Any]]:
    """Read the objects of a file of JSON lines, or of one JSON list."""
    text = path.read_text(encoding="utf-8-sig")
    is_list = text.lstrip().startswith("[")
    documents: list[Any] = []
    for number, line in enumerate([text] if is_list else text.split("\n"), 1):
        try:
            documents += parse_json(line) if is_list else [parse_json(line)] if line.strip() else []
        except ValueError as error:
            raise BadInput(f"{path}{'' if is_list else f', line {number}'}: not JSON: {error}") from None
    for number, document in enumerate(documents, 1):
        if not isinstance(document, dict):
            raise BadInput(f"{path}, row {number}: found {document!r:.40}, expected an object")
    return documents
