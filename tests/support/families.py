"""Questions with planted families of near-copies."""

import random
from collections.abc import Callable, Sequence

from quorum.question import Question

_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


class Planter:
    """Makes questions of invented words and near-copies of them."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.words = [self.make_word() for _ in range(5000)]

    def make_word(self) -> str:
        return "".join(self.random.choices(_SYLLABLES, k=self.random.randint(1, 4)))

    def draw_words(self, count: int) -> list[str]:
        """Draw words; as in a language, some are far more frequent than others."""
        return [self.words[int(len(self.words) ** self.random.random()) - 1] for _ in range(count)]

    def draw_question(self, least: int = 10, most: int = 40) -> tuple[list[str], list[str]]:
        """Draw the words of a text, and four choices."""
        text = self.draw_words(self.random.randint(least, most))
        return text, [" ".join(self.draw_words(self.random.randint(1, 3))) for _ in range(4)]

    def plant(self, copy: "Copy", sizes: Sequence[int], rows: int) -> list[Question]:
        """Make families of the given sizes, in random order among single questions; an id starts with its family."""
        questions: list[Question] = []
        for family, size in enumerate(sizes):
            text, choices = self.draw_question()
            for number in range(size):
                copied, options = copy(self, text, choices) if number else (text, choices)
                questions.append(_make_question(f"{family}-{number}", copied, options))
        for number in range(rows - len(questions)):
            questions.append(_make_question(f"single{number}-0", *self.draw_question()))
        self.random.shuffle(questions)
        return questions


Copy = Callable[[Planter, Sequence[str], Sequence[str]], tuple[Sequence[str], Sequence[str]]]


def change_a_word(planter: Planter, text: Sequence[str], choices: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Replace the word in the middle, the same in every copy."""
    middle = len(text) // 2
    return [*text[:middle], planter.make_word() + "x", *text[middle + 1 :]], choices


def change_any_word(
    planter: Planter, text: Sequence[str], choices: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Replace one word anywhere, and a second one in texts of 20 words and more."""
    changed = list(text)
    for place in planter.random.sample(range(len(text)), 1 + (len(text) >= 20)):
        changed[place] = planter.make_word() + "x"
    return changed, choices


def reorder_choices(
    planter: Planter, text: Sequence[str], choices: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Shuffle the choices and change a word of the text."""
    return change_a_word(planter, text, planter.random.sample(choices, len(choices)))


def change_punctuation(
    planter: Planter, text: Sequence[str], choices: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Change case, white space and punctuation of text and choices."""
    marks = (" ", ",", ";", ".", "!", "\n", " …")
    words = [planter.random.choice((word, word.upper())) + planter.random.choice(marks) for word in text]
    return words, [f"({choice.title()})." for choice in choices]


def add_a_sentence(
    planter: Planter, text: Sequence[str], choices: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Add a sentence of about a third of the text's words in front."""
    return [*planter.draw_words(len(text) // 3), ".", *text], choices


COPIES: tuple[Copy, ...] = (change_a_word, change_any_word, reorder_choices, change_punctuation, add_a_sentence)


def _make_question(id: str, words: Sequence[str], choices: Sequence[str]) -> Question:
    return Question(id=id, text=" ".join(words) + "?", choices=tuple(choices))
