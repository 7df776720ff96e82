"""Other wordings of the built-in prompts, to ask a question in several ways and average the answers."""

from dataclasses import replace

from quorum.ask.wording import Language, Wording

CHOICE = "{label}. {choice}\n"  # one line of the list of choices
PARAPHRASE_COUNT = 4  # the standard wording included
_CHOICES = (CHOICE, "({label}) {choice}\n", "{label}) {choice}\n", "{label}: {choice}\n")
# The instructions by language: letter, number, reasoned letter, reasoned number. Other languages vary the list only.
_INSTRUCTIONS: dict[Language, tuple[tuple[str, str, str, str], ...]] = {
    "en": (
        (
            "Choose the right answer. Reply with its letter only.",
            "Find the right answer. Reply with a number only.",
            "Choose the right answer. Think it through first, then write a last line with "
            '"Answer:" and the letter of that answer.',
            'Find the right answer. Think it through first, then write a last line with "Answer:" and the number.',
        ),
        (
            "This is an exam question. Write down the letter of the correct option, without an explanation.",
            "This is an exam question. Write down the correct number, without an explanation.",
            "This is an exam question. Explain how to solve it, then write a last line with "
            '"Answer:" and the letter of the correct option.',
            "This is an exam question. Explain how to solve it, then write a last line with "
            '"Answer:" and the correct number.',
        ),
        (
            "Read the question and all the options. Which option is best? Give one letter.",
            "Read the question. Which number is the answer? Give one number.",
            "Read the question and all the options. Compare them one by one, then write a last line with "
            '"Answer:" and the letter of the best one.',
            'Read the question. Work out the answer, then write a last line with "Answer:" and the number.',
        ),
    ),
}


def paraphrase_wording(words: Wording, language: Language, number: int) -> Wording:
    """Return the words of a paraphrase; those of number 0, or of a language without paraphrases, are unchanged."""
    if number == 0 or language not in _INSTRUCTIONS:
        return words
    letter, plain, reasoned_letter, reasoned_number = _INSTRUCTIONS[language][number - 1]
    return replace(words, letter=letter, number=plain, reasoned_letter=reasoned_letter, reasoned_number=reasoned_number)


def paraphrase_choice(choice: str, number: int) -> str:
    """Return how a paraphrase lists a choice; a form of the user's own is unchanged."""
    return _CHOICES[number] if choice == CHOICE else choice
