"""What a model is shown."""

from collections.abc import Sequence
from typing import Literal

from quorum.question import Message, Prompt, Question

Style = Literal["letter", "option", "bare"]

# Each has a golden file in tests/golden. {curly} places are filled once: braces inside a question are only text.
LETTER_INSTRUCTION = "Answer the multiple-choice question with the letter of the right choice and nothing else."
OPEN_INSTRUCTION = "Answer the question with a number and nothing else."
LETTER_PROMPT = "{instruction}\n\n{examples}{passages}{question}"
QUESTION_BLOCK = "{context}Question: {text}\n{choices}Answer:"
CONTEXT_BLOCK = "{context}\n\n"
CHOICE_LINE = "{label}. {choice}\n"
EXAMPLE_BLOCK = "{question} {answer}\n{rationale}\n"
RATIONALE_LINE = "Explanation: {rationale}\n"
BARE_EXAMPLE = "{text} {answer}"
PASSAGE_BLOCK = "{passage}\n\n"


def render(question: Question, style: Style, examples: Sequence[Question] = (), passages: Sequence[str] = ()) -> Prompt:
    """What is asked about `question`.

    Styles: `letter` lists the choices under their letters and asks for one of them, after any solved `examples`, then
    any `passages` of background; `option` shows the question alone and lets each choice's text stand as the answer;
    `bare` is the question's own words, and as messages before it examples with their answers, passages and its context,
    for models that compare texts and need no frame.
    """
    if style == "bare":
        solved = (BARE_EXAMPLE.format(text=each.text, answer=_answer_text(each)) for each in examples)
        before = (*solved, *passages, *([question.context] if question.context else []))
        turns = tuple(Message("system", text) for text in before)
        return Prompt(question.id, (*turns, Message("user", question.text)), question.labels, question.choices)
    shown = "".join(_example(example, style) for example in examples)
    read = "".join(PASSAGE_BLOCK.format(passage=passage) for passage in passages)
    block = _question_block(question, style)
    if style == "option":
        return Prompt(question.id, shown + read + block, question.labels, question.choices)
    instruction = LETTER_INSTRUCTION if question.choices else OPEN_INSTRUCTION
    text = LETTER_PROMPT.format(instruction=instruction, examples=shown, passages=read, question=block)
    return Prompt(question.id, text, question.labels, question.choices)


def _question_block(question: Question, style: Style) -> str:
    lines = [
        CHOICE_LINE.format(label=label, choice=choice)
        for label, choice in zip(question.labels, question.choices, strict=True)
    ]
    return QUESTION_BLOCK.format(
        context=CONTEXT_BLOCK.format(context=question.context) if question.context else "",
        text=question.text,
        choices="".join(lines) if style == "letter" else "",
    )


def _example(example: Question, style: Style) -> str:
    """A solved question as the prompt shows it: the answer stands where the model is to write."""
    answer = _answer_text(example) if style == "option" else example.answer
    rationale = RATIONALE_LINE.format(rationale=example.rationale) if example.rationale else ""
    return EXAMPLE_BLOCK.format(question=_question_block(example, style), answer=answer, rationale=rationale)


def _answer_text(example: Question) -> str:
    assert example.answer is not None, f"example {example.id} has no answer"
    return example.choice(example.answer) if example.choices else example.answer
