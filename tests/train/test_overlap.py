"""Rows of unknown origin: those that contain a held-out question are found by their text."""

import csv
import json
from pathlib import Path

import pytest

from quorum.data.learned import read_learned
from quorum.data.read import read_questions, write_questions
from quorum.data.split import read_split, split_questions, write_split
from quorum.errors import BadInput
from quorum.question import Prompt, Question
from quorum.train.build_rows import rows_for_training
from quorum.train.row import TrainingRow
from quorum.train.rows.overlap import find_text_overlap
from quorum.train.settings import SplitSettings, TrainSettings
from tests.support.real import real_data

SUBJECTS = ("management", "global_facts", "machine_learning")


def mmlu() -> list[Question]:
    files = [real_data("mmlu_csv") / "test" / f"{subject}_test.csv" for subject in SUBJECTS]
    return [
        Question(id=f"{file.stem}-{number}", text=row[0], choices=tuple(row[1:5]), answer=row[5])
        for file in files
        for number, row in enumerate(csv.reader(file.open(newline="", encoding="utf-8")))
    ]


def reworded(question: Question) -> str:
    """The question in another template, with its choices in another order."""
    choices = "\n".join(f"({number}) {choice}" for number, choice in enumerate(reversed(question.choices), 1))
    return f"You are an expert. Read carefully!\nQ: {question.text.upper()}\nOptions:\n{choices}\nYour answer:"


def row_of(text: str, number: int = 1) -> TrainingRow:
    return TrainingRow(Prompt(question_id=f"row {number}", content=text, labels=()), "A", "A")


def test_every_planted_question_is_found_in_other_words_around_it_and_else_only_its_variants() -> None:
    questions = mmlu()
    half = {question.id for question in questions[::2]}
    planted, others = questions[::2], questions[1::2]
    rows = [row_of(reworded(question)) for question in [*planted, *others]]
    found = find_text_overlap(rows, planted, half)
    missed = [planted[number].text for number in range(len(planted)) if number not in found.held_out]
    false = [others[number - len(planted)].text for number in found.held_out if number >= len(planted)]
    assert len(planted) == 158
    assert missed == []
    assert len(false) == 9  # variants of a planted question: the same text about another country, say
    assert "As of 2016, about what percentage of adults aged 18 years or older were overweight?" in false
    assert find_text_overlap(rows, questions, half).learned == {question.id for question in others}


def test_a_long_question_is_found_without_its_choices_and_a_template_is_not() -> None:
    long = Question(
        id="q1",
        text="A train leaves the old station at noon and arrives at the coast two hours later; how far is the coast?",
        choices=("10 km", "20 km"),
        answer="A",
    )
    template = Question(id="q2", text="Which of these statements is true?", choices=("Snow is hot", "Fire is hot"))
    rows = [row_of(long.text), row_of(f"{template.text} A. Ice is dry B. Rain is wet")]
    assert find_text_overlap(rows, [long, template], {"q1", "q2"}).held_out == (0,)


@pytest.fixture
def split(tmp_path: Path) -> list[Question]:
    """Ten questions in a file, with their split."""
    subjects = ("iron", "salt", "wood", "glass", "paper", "water", "clay", "wool", "gold", "sand")
    questions = [
        Question(
            id=str(number), text=f"What is {name} used for by people?", choices=(f"{name} tools", "no"), answer="A"
        )
        for number, name in enumerate(subjects)
    ]
    write_questions(questions, tmp_path / "questions.parquet")
    write_split(split_questions(questions, 0.3, folds=2), tmp_path / "split.parquet")
    return read_questions(tmp_path / "questions.parquet")


def train_on(folder: Path, rows: list[dict[str, str]], lines: list[str], checked: bool = True) -> list[TrainingRow]:
    (folder / "rows.json").write_text(json.dumps(rows))
    parts = SplitSettings(file=folder / "split.parquet", questions=folder / "questions.parquet" if checked else None)
    settings = TrainSettings(run="r", train=folder / "rows.json", out=folder / "out", trainer={}, split=parts)
    return rows_for_training(settings, folder / "out", lines.append)


def test_rows_without_ids_are_trained_on_only_on_request_and_without_held_out_questions(
    tmp_path: Path, split: list[Question]
) -> None:
    parts, lines = read_split(tmp_path / "split.parquet"), list[str]()
    rows = [{"instruction": "Choose.", "input": reworded(question), "output": "A"} for question in split]
    rows.append({"instruction": "Say hello.", "input": "", "output": "Hello!"})
    with pytest.raises(BadInput, match="row 1: there is no id"):
        train_on(tmp_path, rows, lines, checked=False)
    kept = train_on(tmp_path, rows, lines)
    known = [question for question in split if question.id not in parts.held_out]
    assert len(parts.held_out) == 3
    assert [row.completion for row in kept] == ["A"] * len(known) + ["Hello!"]
    assert "warning: 3 rows have the text of held-out questions, left out" in lines[0]
    learned = read_learned(tmp_path / "out")
    assert learned is not None
    assert {id for id, yes in learned.items() if yes} == {question.id for question in known}
    held_out = next(iter(sorted(parts.held_out)))
    with pytest.raises(BadInput, match=f"1 of 1 questions are held out: {held_out}"):
        train_on(tmp_path, [{"id": held_out, "instruction": "Something else.", "output": "A"}], lines)
