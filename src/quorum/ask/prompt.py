"""What a model is shown."""

from collections.abc import Sequence
from typing import Literal

from quorum.ask.template import Template
from quorum.question import Message, Prompt, Question

Style = Literal["letter", "option", "bare", "cot"]

# Each has a golden file in tests/golden. {curly} places are filled once: braces inside a question are only text.
FRAME = "{instruction}{hint}\n\n{examples}{passages}{question}"
QUESTION_BLOCK = "{{context}}{asks} {{text}}\n{{choices}}{cue}"
CONTEXT_BLOCK = "{context}\n\n"
RATIONALE_LINE = "{explanation} {rationale}\n"
REASONED_ANSWER = "{rationale}\n{answers} {answer}"
SHORT_ANSWER = "{answers} {answer}"
BARE_EXAMPLE = "{text} {answer}"
BUILT_IN = Template()


def render_prompt(
    question: Question,
    style: Style,
    examples: Sequence[Question] = (),
    passages: Sequence[str] = (),
    template: Template = BUILT_IN,
) -> Prompt:
    """What is asked about `question`, in the words of `template`.

    Styles: `letter` lists the choices under their letters and asks for one of them, after any solved `examples`, then
    any `passages` of background; `cot` asks for reasoning first, then the letter; `option` shows the question alone and
    lets each choice's text stand as the answer; `bare` is the question's own words, and as messages before it examples
    with their answers, passages and its context, for models that compare texts and need no frame.
    """
    if style == "bare":
        solved = (BARE_EXAMPLE.format(text=each.text, answer=_select_answer_text(each)) for each in examples)
        before = (*solved, *passages, *([question.context] if question.context else []))
        turns = tuple(Message("system", text) for text in before)
        return Prompt(question.id, (*turns, Message("user", question.text)), question.labels, question.choices)
    shown = "".join(_render_example(example, style, template) for example in examples)
    read = "".join(template.passage.format(passage=passage) for passage in passages)
    block = _render_question(question, style, template)
    if style == "option":
        return Prompt(question.id, shown + read + block, question.labels, question.choices)
    instruction, hint = _render_instruction(question, style, template), template.hint(question)
    text = FRAME.format(instruction=instruction, hint=hint, examples=shown, passages=read, question=block)
    return Prompt(question.id, text, question.labels, question.choices)


def format_answer(question: Question, style: Style, template: Template = BUILT_IN) -> str:
    """What stands behind a solved question's prompt: the letter, the choice's text (`option`, `bare`), or the reasoning
    and then the answer in a form that the reply reader reads (`cot`; where there is no rationale the answer alone).
    """
    assert question.answer is not None, f"question {question.id} has no answer"
    if style in ("option", "bare"):
        return _select_answer_text(question)
    if style == "letter":
        return question.answer
    form = REASONED_ANSWER if question.rationale else SHORT_ANSWER
    answers = template.wording(question).answer
    return form.format(rationale=question.rationale, answers=answers, answer=question.answer)


def _render_instruction(question: Question, style: Style, template: Template) -> str:
    if template.instruction is not None:
        return template.instruction.format(labels=", ".join(question.labels))
    words = template.wording(question)
    if style == "cot":
        return words.reasoned_letter if question.choices else words.reasoned_number
    return words.letter if question.choices else words.number


def _render_question(question: Question, style: Style, template: Template) -> str:
    lines = [
        template.choice.format(label=label, choice=choice)
        for label, choice in zip(question.labels, question.choices, strict=True)
    ]
    words = template.wording(question)
    cue = words.reasoning if style == "cot" else words.answer
    block = template.question or QUESTION_BLOCK.format(asks=words.question, cue=cue)
    return block.format(
        context=CONTEXT_BLOCK.format(context=question.context) if question.context else "",
        text=question.text,
        choices="" if style == "option" else "".join(lines),
    )


def _render_example(example: Question, style: Style, template: Template) -> str:
    """A solved question as the prompt shows it: the answer stands where the model is to write."""
    line = ""
    if example.rationale and style != "cot":  # there it is a part of what is written
        line = RATIONALE_LINE.format(explanation=template.wording(example).explanation, rationale=example.rationale)
    answer = format_answer(example, style, template)
    return template.example.format(question=_render_question(example, style, template), answer=answer, rationale=line)


def _select_answer_text(example: Question) -> str:
    assert example.answer is not None, f"example {example.id} has no answer"
    return example.choice(example.answer) if example.choices else example.answer
