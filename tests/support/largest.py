"""A task that tiny models learn: which of four numbers is the largest?"""

import random
from pathlib import Path

from quorum.ask.prompt import render_prompt
from quorum.question import Question, letters
from quorum.train.row import TrainingRow


def largest_questions(count: int, seed: int = 0) -> list[Question]:
    """So many questions with two to five choices, all different."""
    chance = random.Random(seed)
    drawn = [chance.sample(range(10, 100), chance.randint(2, 5)) for _ in range(count)]
    return [
        Question(
            id=f"q{number}",
            text="Which is the largest?",
            choices=tuple(map(str, given)),
            answer=letters(26)[given.index(max(given))],
        )
        for number, given in enumerate(drawn)
    ]


def largest_rows(count: int, seed: int = 0) -> list[TrainingRow]:
    """Those questions as rows whose completion is the letter."""
    return [
        TrainingRow(render_prompt(question, "letter"), str(question.answer), str(question.answer))
        for question in largest_questions(count, seed)
    ]


def write_largest(path: Path, count: int, seed: int = 0) -> None:
    """Those questions as a CSV file."""
    lines = [f'{each.id},{each.text},"{list(each.choices)}",{each.answer}' for each in largest_questions(count, seed)]
    path.write_text("\n".join(["id,question,choices,answer", *lines]) + "\n", encoding="utf-8")
