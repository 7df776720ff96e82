"""Rows in the formats that other trainers read, and back.

JSON lines, or one JSON list where the file is called .json. What a format has no field for (id, labels, options and the
answer) stands beside its own fields, which trainers leave alone, so that our rows come back whole.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from quorum.data.table.cells import parse_json
from quorum.disk import replace_file
from quorum.errors import BadInput
from quorum.question import Message, Prompt, Question
from quorum.train.rows.row import TrainingRow

RowFormat = Literal["prompt", "chat", "alpaca"]

_OWN_FIELDS: dict[RowFormat, tuple[str, ...]] = {
    "prompt": ("prompt", "completion"),
    "chat": ("messages",),
    "alpaca": ("instruction", "input", "output"),
}


def write_rows(rows: Sequence[TrainingRow], path: Path, form: RowFormat) -> None:
    """Writes rows as `.jsonl` or `.json`, whole or not at all.

    `prompt`: prompt and completion, which begins with a blank (TRL joins the two as they stand). `chat`: messages, the
    last by the assistant. `alpaca`: the prompt's first paragraph as the instruction, the rest as the input.

    Raises:
        BadInput: another suffix, or a prompt of several turns as alpaca, which has no place for them.
    """
    _write_documents([_document(row, form) for row in rows], path)


def write_explained(questions: Sequence[Question], path: Path) -> None:
    """Writes solved questions with `question`, `choices`, `explain` and `answer`; `read_questions` reads them again.

    Raises:
        BadInput: another suffix than .jsonl and .json.
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


def detect_format(path: Path) -> RowFormat | None:
    """The format of a file of rows, by the fields of its first; None where it is none (a file of questions, say)."""
    if path.suffix not in (".json", ".jsonl"):
        return None
    try:
        first = next(iter(_documents(path)), {})
    except BadInput:
        return None
    return _format_of(first)


def read_rows(path: Path, numbered: bool = True) -> list[TrainingRow]:
    """The rows of a file in any of the formats.

    Rows of other hands have no labels: their answer is the completion, and their id, where they may be `numbered`, is
    their place, counted from 1.

    Raises:
        BadInput: it is not JSON, or a row lacks a field or has another type there.
    """
    rows = []
    for number, document in enumerate(_documents(path), 1):
        try:
            rows.append(_row_of(document, str(number) if numbered else None))
        except (BadInput, KeyError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise BadInput(f"{path}, row {number}: {why}") from None
    if not rows:
        raise BadInput(f"{path}: the file has no rows")
    return rows


def _document(row: TrainingRow, form: RowFormat) -> dict[str, Any]:
    content = row.prompt.content
    turns: list[dict[str, str]] = []  # of a prompt that is a conversation
    if not isinstance(content, str):
        turns = [{"role": turn.role, "content": turn.content} for turn in content]
    said = [{"role": "assistant", "content": row.completion}]
    match form:
        case "prompt":
            own: dict[str, Any] = {"prompt": turns or content, "completion": said if turns else f" {row.completion}"}
        case "chat":
            asked = turns or [{"role": "user", "content": str(content)}]
            own = {"messages": [*asked, *said]}
        case "alpaca":
            if not isinstance(content, str):
                raise BadInput(
                    f"question {row.prompt.question_id}: its prompt is a conversation of {len(turns)} turns, which "
                    "alpaca has no place for; allowed are prompt, chat"
                )
            instruction, _, rest = content.partition("\n\n")
            own = {"instruction": instruction if rest else content, "input": rest, "output": row.completion}
    prompt = row.prompt
    beside = {"id": prompt.question_id, "labels": prompt.labels, "options": prompt.options, "answer": row.answer}
    return own | beside | ({"plain": True} if form == "chat" and not turns else {})


def _row_of(document: Mapping[str, Any], place: str | None) -> TrainingRow:
    form = _format_of(document)
    if form is None:
        fields = "; ".join(", ".join(names) for names in _OWN_FIELDS.values())
        raise BadInput(f"its fields are {', '.join(document)}; looked for {fields}")
    completion: str
    content: str | tuple[Message, ...]
    match form:
        case "prompt":
            content, completion = _content(document["prompt"]), _completion_of(document["completion"])
        case "chat":
            *before, last = _turns(document["messages"])
            if last.role != "assistant":
                raise BadInput(f"its last turn is by {last.role!r}, where the assistant's is to be learnt")
            content, completion = tuple(before), last.content
            if document.get("plain") and len(before) == 1:
                content = before[0].content
        case "alpaca":
            content, rest, completion = (_text(document.get(name, "")) for name in _OWN_FIELDS["alpaca"])
            content += f"\n\n{rest}" if rest else ""
    labels, options = (_texts_of(document.get(name, [])) for name in ("labels", "options"))
    if place is None and "id" not in document:
        raise BadInput("it has no id, and without one no split can tell that it may be learnt from; give the questions")
    prompt = Prompt(_text(document.get("id", place)), content, labels, options)
    return TrainingRow(prompt, _text(document.get("answer", completion)), completion)


def _format_of(document: Mapping[str, Any]) -> RowFormat | None:
    """The first format whose fields are all there; alpaca's input may be missing."""
    for form, fields in _OWN_FIELDS.items():
        if all(field in document or field == "input" for field in fields):
            return form
    return None


def _content(given: Any) -> str | tuple[Message, ...]:
    return given if isinstance(given, str) else tuple(_turns(given))


def _completion_of(given: Any) -> str:
    """What is to be written: a text (its first blank only joins it to the prompt), or one turn."""
    if isinstance(given, str):
        return given.removeprefix(" ")
    turns = _turns(given)
    if len(turns) != 1:
        raise BadInput(f"its completion has {len(turns)} turns, where 1 is expected")
    return turns[0].content


def _turns(given: Any) -> list[Message]:
    if not isinstance(given, list) or not given or not all(isinstance(turn, dict) for turn in given):
        raise BadInput(f"{given!r:.40} is no list of turns")
    return [Message(_text(turn["role"]), _text(turn["content"])) for turn in given]


def _texts_of(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise BadInput(f"{given!r:.40} stands where a list is expected")
    return tuple(map(_text, given))


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise BadInput(f"{given!r:.40} stands where a text is expected")
    return given


def _write_documents(documents: Sequence[Mapping[str, Any]], path: Path) -> None:
    if path.suffix not in (".json", ".jsonl"):
        raise BadInput(f"{path}: rows are written as .jsonl or .json")
    with replace_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".json":
            json.dump(documents, file, ensure_ascii=False, indent=1)
        else:
            file.writelines(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


def _documents(path: Path) -> list[Mapping[str, Any]]:
    """The objects of a file of JSON lines, or of one JSON list."""
    text = path.read_text(encoding="utf-8-sig")
    whole = text.lstrip().startswith("[")
    found: list[Any] = []
    for number, line in enumerate([text] if whole else text.split("\n"), 1):
        try:
            found += parse_json(line) if whole else [parse_json(line)] if line.strip() else []
        except ValueError as error:
            raise BadInput(f"{path}{'' if whole else f', line {number}'}: not JSON: {error}") from None
    for number, document in enumerate(found, 1):
        if not isinstance(document, dict):
            raise BadInput(f"{path}, row {number}: {document!r:.40} is no object")
    return found
