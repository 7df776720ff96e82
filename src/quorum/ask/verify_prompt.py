"""What a verifier is shown: one answer to a question, to be called TRUE or FALSE."""

from quorum.question import Prompt, Question

VERDICTS = ("TRUE", "FALSE")
VERDICT_INSTRUCTION = "Is the proposed answer to the question right? Answer TRUE or FALSE and nothing else."
VERDICT_PROMPT = "{instruction}\n\n{context}Question: {text}\n{choices}Proposed answer: {proposed}\nTRUE or FALSE:"


def verdict_prompt(question: Question, label: str) -> Prompt:
    """Asks whether `label` answers `question`; a number stands for itself where there are no choices."""
    choices = "".join(f"{letter}. {choice}\n" for letter, choice in zip(question.labels, question.choices, strict=True))
    text = VERDICT_PROMPT.format(
        instruction=VERDICT_INSTRUCTION,
        context=f"{question.context}\n\n" if question.context else "",
        text=question.text,
        choices=choices,
        proposed=f"{label}. {question.choice(label)}" if question.choices else label,
    )
    return Prompt(question.id, text, VERDICTS)
