import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.prompt import Style, render_prompt
from quorum.data.read import read_questions
from quorum.errors import BadInput
from quorum.question import Message, Prompt, Question
from quorum.train.build_rows import build_rows
from quorum.train.row import TrainingRow
from quorum.train.row_files import RowFormat, detect_row_format, read_rows, write_explanations, write_rows
from quorum.train.settings import RowSettings
from tests.support.folds import make_folds
from tests.support.real import real_data

EVEN = Question(
    id="q1", text="Is 2 even?", choices=("no", "yes"), answer="B", subject="maths", rationale="2 is\ntwice 1."
)
PASSAGE = Question(id="q2", text="Who?", choices=("Nobody", "Élodie"), answer="A", context="Crossed by nobody.")
OPEN = Question(id="q3", text="How many legs?", answer="16", rationale="4 * 4 = 16")
FORMATS: tuple[RowFormat, ...] = ("prompt", "chat", "alpaca")


def rows_of(style: Style = "letter") -> list[TrainingRow]:
    return build_rows(make_folds([EVEN, PASSAGE, OPEN]), RowSettings(style=style)).rows


def documents(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def own(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("id", "labels", "options", "answer")}


def test_prompt_and_completion_join_to_the_text_that_is_learned(tmp_path):
    write_rows(rows_of(), tmp_path / "rows.jsonl", "prompt")
    first = documents(tmp_path / "rows.jsonl")[0]
    assert first["prompt"] + first["completion"] == f"{render_prompt(EVEN, 'letter').content} B"
    assert set(own(first)) == {"prompt", "completion"}


def test_a_conversation_keeps_its_turns_and_ends_with_the_assistant(tmp_path):
    write_rows(rows_of("bare"), tmp_path / "rows.json", "chat")
    write_rows(rows_of("bare"), tmp_path / "rows.jsonl", "prompt")
    turns = [
        {"role": "system", "content": "Crossed by nobody."},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "A"},
    ]
    assert own(documents(tmp_path / "rows.json")[1]) == {"messages": turns}
    assert own(documents(tmp_path / "rows.jsonl")[1]) == {"prompt": turns[:2], "completion": turns[2:]}


def test_alpaca_separates_the_instruction_from_the_question(tmp_path):
    write_rows(rows_of(), tmp_path / "rows.json", "alpaca")
    assert own(documents(tmp_path / "rows.json")[0]) == {
        "instruction": "Answer the multiple-choice question with the letter of the right choice and nothing else.",
        "input": "Question: Is 2 even?\nA. no\nB. yes\nAnswer:",
        "output": "B",
    }


def test_alpaca_cannot_hold_a_conversation(tmp_path):
    with pytest.raises(BadInput, match="allowed are prompt, chat"):
        write_rows(rows_of("bare"), tmp_path / "rows.json", "alpaca")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "style"),
    [
        (form, style)
        for form in FORMATS
        for style in ("letter", "option", "bare")
        if (form, style) != ("alpaca", "bare")
    ],
)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_rows_are_read_back_unchanged(tmp_path, form, style, name):
    write_rows(rows_of(style), tmp_path / name, form)
    assert read_rows(tmp_path / name) == rows_of(style)
    assert detect_row_format(tmp_path / name) == form


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text('a \n\r\t"\\{}é答\u2028\x00', min_size=1, max_size=12), min_size=3, max_size=3),
    turns=st.integers(0, 2),
    form=st.sampled_from(FORMATS),
    suffix=st.sampled_from(["json", "jsonl"]),
)
def test_rows_of_any_text_are_read_back_unchanged(tmp_path_factory, texts, turns, form, suffix):
    content = tuple(Message("user", text) for text in texts[:turns]) or texts[0]
    if form == "alpaca" and turns:
        return
    rows = [
        TrainingRow(
            Prompt(question_id="q", content=content, labels=("A", "B"), options=(texts[0], texts[1])),
            "A",
            f"x{texts[2]}",
        )
    ]
    path = tmp_path_factory.mktemp("rows") / f"rows.{suffix}"
    write_rows(rows, path, form)
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("text", "content", "completion"),
    [
        ('\ufeff{"prompt": "1+1=", "completion": " 2"}\r\n\r\n', "1+1=", "2"),
        ('[{"instruction": "Add.", "input": "1+1", "output": "2"}]', "Add.\n\n1+1", "2"),
        ('[{"instruction": "Add 1+1.", "output": "2"}]', "Add 1+1.", "2"),
        (
            '{"messages": [{"role": "user", "content": "1+1"}, {"role": "assistant", "content": "2"}]}',
            (Message("user", "1+1"),),
            "2",
        ),
    ],
)
def test_rows_of_other_tools_are_numbered_and_their_answer_is_the_completion(tmp_path, text, content, completion):
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8", newline="")
    assert read_rows(tmp_path / "rows.jsonl") == [
        TrainingRow(Prompt(question_id="1", content=content, labels=()), completion, completion)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "line 1: not JSON"),
        ("[{]", "rows.jsonl: not JSON"),
        ("[1]", "row 1: found '1', expected an object"),
        ("", "has no rows"),
        ('{"prompt": "x"}', "row 1: the fields are prompt; expected prompt, completion; messages"),
        ('{"prompt": "x", "completion": " "}', "the completion is empty"),
        ('{"prompt": "x", "completion": "y", "labels": ["A", "B"]}', "'y' is not among A, B"),
        ('{"prompt": null, "completion": "y"}', "None is not a list of messages"),
        ('{"prompt": "x", "completion": []}', "not a list of messages"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "by 'user'"),
        ('{"messages": [{"role": "user"}]}', "the field 'content' is missing"),
        ('{"messages": ["x"]}', "row 1: ['x'] is not a list of messages"),
        ('{"prompt": "x", "completion": "y", "labels": "AB"}', "expected a list"),
        ('{"instruction": null, "output": "y"}', "found None, expected a text"),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, found):
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(BadInput) as caught:
        read_rows(tmp_path / "rows.jsonl")
    assert found in str(caught.value)


@pytest.mark.parametrize("questions", [[EVEN, PASSAGE], [OPEN]])
@pytest.mark.parametrize("name", ["solved.json", "solved.jsonl"])
def test_questions_with_explanations_are_read_again_as_they_were(tmp_path, questions, name):
    write_explanations(questions, tmp_path / name)
    assert documents(tmp_path / name)[0]["explain"] == questions[0].rationale
    assert read_questions(tmp_path / name) == questions
    assert detect_row_format(tmp_path / name) is None


def test_a_csv_with_an_explain_column_gives_rationales(tmp_path):
    (tmp_path / "solved.csv").write_text(
        'id,question,choices,explain,answer\nq1,2 even?,"[""no"", ""yes""]","twice 1",B\n'
    )
    assert [question.rationale for question in read_questions(tmp_path / "solved.csv")] == ["twice 1"]


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"\.jsonl or \.json"):
        write_rows(rows_of(), tmp_path / "rows.csv", "prompt")


def test_real_solutions_are_read_back_from_every_format(tmp_path):
    questions = read_questions(real_data("gsm8k") / "test.jsonl")[:100]
    rows = build_rows(make_folds(questions), RowSettings(style="cot", target="rationale")).rows
    for form in FORMATS:
        write_rows(rows, tmp_path / "rows.jsonl", form)
        assert read_rows(tmp_path / "rows.jsonl") == rows
    write_explanations(questions, tmp_path / "solved.jsonl")
    assert read_questions(tmp_path / "solved.jsonl") == questions
