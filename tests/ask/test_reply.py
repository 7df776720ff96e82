"""Reading replies: what is clear is read, and nothing else."""

import csv
import gzip
import json
import lzma
import time
from math import log
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.ask.reply import ballot_from_reply, parse_reply
from quorum.number import canonical_number
from quorum.question import Prompt, Reply, letters
from tests.support.real import real_data
from tests.support.verb import run_verb

HARD = [json.loads(line) for line in Path(__file__).with_name("hard_replies.jsonl").read_text("utf-8").splitlines()]


def read(text: str, labels: str = "ABCD", options: tuple[str, ...] = ()) -> str | None:
    return parse_reply(text, tuple(labels), options).label


def test_hard_replies_are_read_as_a_careful_person_reads_them() -> None:
    found = [
        (row["text"], row["label"], parse_reply(row["text"], row["labels"], row.get("options", ()))) for row in HARD
    ]
    assert len(found) >= 200
    assert [(text, label, reading) for text, label, reading in found if reading.label != label] == []


def test_a_ballot_is_the_models_own_probabilities_where_it_gives_them() -> None:
    reply = Reply(text="B", label_logprobs={"A": log(0.75), "B": log(0.25)})
    assert ballot_from_reply(reply, Prompt(question_id="q", content="?", labels=("A", "B"))) == pytest.approx(
        {"A": 0.75, "B": 0.25}
    )


def test_a_ballot_without_probabilities_is_the_one_clear_label() -> None:
    assert ballot_from_reply(
        Reply(text="The answer is (B)."), Prompt(question_id="q", content="?", labels=("A", "B"))
    ) == {"B": 1.0}


def test_an_unread_reply_is_an_empty_ballot() -> None:
    assert ballot_from_reply(Reply(text="A or B"), Prompt(question_id="q", content="?", labels=("A", "B"))) == {}


def test_the_prompts_options_are_read_too() -> None:
    assert ballot_from_reply(
        Reply(text="It is clear: the answer is Rome."),
        Prompt(question_id="q", content="?", labels=("A", "B"), options=("Paris", "Rome")),
    ) == {"B": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("<think>The answer is A, but", "cut off"),
        ("A or B", "two claims"),
        ("The answer is none of the above.", "none of these"),
        ("The answer is (F).", "no such label"),
        ("I'm sorry, I cannot answer this.", "refused"),
        ("Let's think step by step.", "no claim"),
        ("The answer is B.", "answer"),
        ("B", "line"),
        ("I choose B.", "choice"),
        ("B, because it floats.", "start"),
        ("So the price is 12 euros (B).", "end"),
    ],
)
def test_a_reading_says_by_which_rule_or_why_not(text: str, reason: str) -> None:
    assert parse_reply(text, ("A", "B", "C", "D")).reason == reason


@given(st.sampled_from(letters(26)), st.integers(2, 26))
@settings(deadline=None)
def test_only_the_questions_own_labels_are_read(letter: str, count: int) -> None:
    labels = letters(count)
    assert read(f"The answer is ({letter}).", "".join(labels)) == (letter if letter in labels else None)


@given(st.text(max_size=300), st.sampled_from([("A", "B"), letters(26), ("TRUE", "FALSE"), ()]))
@settings(deadline=None)
def test_any_text_is_read_as_one_of_the_labels_or_not_at_all(text: str, labels: tuple[str, ...]) -> None:
    label = parse_reply(text, labels, ("one", "two") if len(labels) == 2 else ()).label
    assert label is None or (label in labels if labels else canonical_number(label) == label)


@given(st.text("abcdefgh .,;\n", max_size=200), st.sampled_from("ABCD"))
@settings(deadline=None)
def test_what_was_thought_changes_nothing(thought: str, label: str) -> None:
    assert read(f"<think>{thought} The answer is A.</think>\nThe answer is {label}.") == label


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "A",
            "(",
            "{",
            "<",
            "1",
            "1,",
            "1 ",
            "*",
            "_",
            "\n",
            "\\boxed{",
            "answer ",
            "answer: ",
            "the answer is the answer ",
        ),
        *(
            "<think>",
            "</think>",
            "The answer is A. ",
            "A and ",
            "A, ",
            "\\textbf{\\text{",
            "is ",
            "so ",
            "not ",
            "if ",
            "답은 ",
        ),
        *(
            "Question:\n",
            "\nA. ",
            "#### ",
            "x = 1 ",
            "either both the an ",
            "A is the most most ",
            "option ",
            "=",
            '"answer": ',
        ),
        *(
            "A: false\n",
            "| A | ",
            "✅ A ❌\n",
            "I choose ",
            "the best of of ",
            "many would say ",
            "E. coli ",
            "FALSE. ",
        ),
    ],
)
def test_time_grows_no_faster_than_a_hostile_reply(piece: str) -> None:
    def seconds(length: int, labels: tuple[str, ...]) -> float:
        text = (piece * (length // len(piece) + 1))[:length]

        def once() -> float:
            start = time.process_time()
            parse_reply(text, labels, labels)
            return time.process_time() - start

        return min(once() for _ in range(3))  # other work on the machine only adds

    for labels in (("A", "B"), ("TRUE", "FALSE"), ()):
        # a cost that grows with the square would be 16 times as high
        assert seconds(20_000, labels) < 8 * seconds(5_000, labels) + 0.1


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        *(
            ("1,234.50", "1234.5"),
            ("$18", "18"),
            ("3/4", "0.75"),
            ("25%", "25"),
            ("-0", "0"),
            ("1/3", "1/3"),
            ("2/6", "1/3"),
        ),
        *(
            ("1.234,50", "1234.5"),
            ("1,5", "1.5"),
            ("1.234", "1.234"),
            ("1\u00a0234", "1234"),
            ("12 1/2", "12.5"),
            ("\u22127", "-7"),
        ),
        *(
            ("\\frac{3}{4}", "0.75"),
            ("3 \\times 10^5", "300000"),
            ("1.2e3", "1200"),
            ("007", "7"),
            (".5", "0.5"),
            ("5.", "5"),
        ),
        *(
            ("1.5 million", "1500000"),
            ("-$5", "-5"),
            ("1e-7", "0.0000001"),
            ("10:30", None),
            ("abc", None),
            ("", None),
            ("1/0", None),
        ),
    ],
)
def test_a_number_has_one_canonical_form(written: str, canonical: str | None) -> None:
    assert canonical_number(written) == canonical


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
@settings(deadline=None)
def test_a_canonical_number_is_its_own_canonical_form(number: object) -> None:
    once = canonical_number(f"{number:f}")
    assert once is not None
    assert canonical_number(once) == once


def test_a_file_without_a_reply_is_told(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text("\n\n")
    done = run_verb("read-replies", tmp_path / "replies.jsonl", "--out", tmp_path / "out.csv")
    assert (done.returncode, "replies.jsonl: no replies in the file" in done.stderr) == (2, True)
    assert not (tmp_path / "out.csv").exists()


def test_the_script_writes_other_fields_answer_and_reason(tmp_path: Path) -> None:
    rows = [
        {"id": "q1", "text": "The answer is (B).", "labels": ["A", "B"], "model": "m, one", "n": 1},
        {"id": "q2", "text": "#### 1,234.50", "labels": [], "model": "two\r\nlines"},
        {"id": "q3", "text": "A or B", "labels": ["A", "B"], "model": None},
        {"id": "q4", "text": "Rome", "labels": ["A", "B"], "options": ["Paris", "Rome"]},
    ]
    file, out = tmp_path / "replies.jsonl", tmp_path / "out.csv"
    file.write_text("\ufeff" + "\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    done = run_verb("read-replies", file, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["read"] == 3
    with out.open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader(lines))
    assert [(row["id"], row["answer"], row["reason"]) for row in found] == [
        ("q1", "B", "answer"),
        ("q2", "1234.5", "answer"),
        ("q3", "", "two claims"),
        ("q4", "B", "line"),
    ]
    assert [row["model"] for row in found] == ["m, one", "two\r\nlines", "", ""]


@pytest.mark.parametrize("name", ["r.csv", "r.json", "r.parquet", "r.jsonl.gz"])
def test_replies_in_another_format_are_read(tmp_path: Path, name: str) -> None:
    file, out = tmp_path / name, tmp_path / "out.csv"
    rows = [
        {"id": "q1", "text": "Thought,\nthe answer is (B).", "labels": ["A", "B"], "model": "m"},
        {"id": "q2", "text": "#### 12", "labels": [], "model": "m"},
    ]
    match name.partition(".")[2]:
        case "csv":
            written = [{**row, "labels": ", ".join(row["labels"])} for row in rows]
            with file.open("w", encoding="utf-8", newline="") as lines:
                writer = csv.DictWriter(lines, list(rows[0]))
                writer.writeheader()
                writer.writerows(written)
        case "json":
            file.write_text(json.dumps(rows))
        case "parquet":
            pl.DataFrame(rows, schema_overrides={"labels": pl.List(pl.String)}).write_parquet(file)
        case "jsonl.gz":
            file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    done = run_verb("read-replies", file, "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_text() == "model,id,answer,reason\nm,q1,B,answer\nm,q2,12,answer\n"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "q1", "text": "B"}',
        '{"id": 1, "text": 2, "labels": []}',
        '{"id": 1, "text": "", "labels": "AB"}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text(line)
    done = run_verb("read-replies", file, "--out", tmp_path / "out.csv")
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert "line 1" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_carriage_return_in_a_field_is_quoted_in_the_csv(tmp_path: Path) -> None:
    file, out = tmp_path / "replies.jsonl", tmp_path / "out.csv"
    rows = [{"id": "a", "text": "The answer is A.", "labels": ["A", "B"], "prompt": "one\rtwo"}]
    file.write_text(json.dumps(rows[0]))
    assert run_verb("read-replies", file, "--out", out).returncode == 0
    assert out.read_bytes() == b'prompt,id,answer,reason\n"one\rtwo",a,A,answer\n'
    with out.open(encoding="utf-8", newline="") as lines:
        assert [row["prompt"] for row in csv.DictReader(lines)] == ["one\rtwo"]


def test_json_that_is_nested_too_deeply_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('{"id": 1, "text": "A", "labels": ["A", "B"], "x": ' + "[" * 100_000 + "]" * 100_000 + "}")
    done = run_verb("read-replies", file, "--out", tmp_path / "out.csv")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [f"error: {file}, line 1: the JSON is nested too deeply"]


@pytest.mark.parametrize(
    "piece",
    [
        "answer: ",
        "Let us see. The river flows, so option B might be right. ",
        "答案",
        "<think>",
        "The answer is A or ",
        "1,00,",
    ],
)
@pytest.mark.parametrize("labels", [("A", "B", "C", "D"), ("TRUE", "FALSE"), ()])
def test_a_long_reply_of_a_model_in_a_loop_is_read_in_a_tenth_of_a_second(piece: str, labels: tuple[str, ...]) -> None:
    text = (piece * (64_000 // len(piece) + 1))[:64_000]
    parse_reply("warm up", labels, labels)
    times = []
    for _ in range(5):  # other work on the machine only adds
        start = time.process_time()
        parse_reply(text, labels, labels)
        times.append(time.process_time() - start)
    assert min(times) < 0.1


@pytest.mark.slow
def test_real_replies_are_read_where_they_claim_one_letter_and_not_where_they_claim_none() -> None:
    folder = real_data("mmlu_pro_1k")
    questions = [json.loads(line) for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    labels = {question["question_id"]: letters(len(question["options"])) for question in questions}
    with lzma.open(folder / "model_texts.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for number, line in enumerate(lines) if number % 10 == 0]
    readings = [parse_reply(row["text"], labels[row["question_id"]]) for row in rows]
    plainly = [
        (row, reading)
        for row, reading in zip(rows, readings, strict=True)
        if row["text"].count("answer is") == 1 and "Question" not in row["text"] and row["text"].rstrip()[-5:-3] == " ("
    ]
    assert len(plainly) > 1000
    assert all(reading.label in (row["text"].rstrip()[-3], None) for row, reading in plainly)
    assert 0.85 < sum(reading.label is not None for reading in readings) / len(readings) < 0.95


def test_real_rationales_are_read_as_the_letter_they_were_written_for() -> None:
    folder = real_data("aqua")
    rows = [
        json.loads(line)
        for name in ("dev", "test")
        for line in (folder / f"{name}.json").read_text("utf-8").splitlines()
    ]
    found = [(parse_reply(row["rationale"], tuple("ABCDE")).label, row["correct"]) for row in rows]
    assert [pair for pair in found if pair[0] not in (pair[1], None)] == []
    assert sum(label is not None for label, _ in found) > 0.9 * len(found)


def test_real_solutions_of_open_questions_are_read_as_their_number() -> None:
    lines = (real_data("gsm8k") / "test.jsonl").read_text("utf-8").splitlines()
    solutions = [json.loads(line)["answer"] for line in lines]
    numbers = [canonical_number(solution.rpartition("####")[2]) for solution in solutions]
    assert [parse_reply(solution, ()).label for solution in solutions] == numbers
    unmarked = [parse_reply(solution.rpartition("\n####")[0], ()).label for solution in solutions]
    wrong = [pair for pair in zip(unmarked, numbers, strict=True) if pair[0] not in (pair[1], None)]
    assert len(wrong) <= 0.01 * len(solutions)
    assert sum(number is not None for number in unmarked) > 0.7 * len(solutions)
