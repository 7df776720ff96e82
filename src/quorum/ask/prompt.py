"""Build the prompt that a model is shown."""

from collections.abc import Sequence
from typing import Literal

from quorum.ask.template import Template
from quorum.question import Message, Prompt, Question

Style = Literal["letter", "option", "bare", "cot"]

# Each has a golden file in tests/golden. {curly} fields are filled once: braces inside a question are only text.
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
    """Render a question as a prompt in the words of `template`.

    Args:
        question: The question to ask.
        style: `letter` lists the choices with their letters and asks for a letter. `cot` asks for reasoning first,
            then the letter. `option` shows the question without its choices; each choice's text is a possible answer.
            `bare` is the question's text alone, for models that compare texts; examples with their answers, passages
            and the question's context become messages before it.
        examples: Solved questions, shown first.
        passages: Background texts, shown after the examples.
        template: The frame around all of them.
    """
    if style == "bare":
        solved = (BARE_EXAMPLE.format(text=each.text, answer=_select_answer_text(each)) for each in examples)
        before = (*solved, *passages, *([question.context] if question.context else []))
        turns = tuple(Message("system", text) for text in before)
        return Prompt(
            question_id=question.id,
            content=(*turns, Message("user", question.text)),
            labels=question.labels,
            options=question.choices,
            markers=template.markers,
        )
    example_text = "".join(_render_example(example, style, template) for example in examples)
    passage_text = "".join(template.passage.format(passage=passage) for passage in passages)
    block = _render_question(question, style, template)
    if style == "option":
        return Prompt(
            question_id=question.id,
            content=example_text + passage_text + block,
            labels=question.labels,
            options=question.choices,
            markers=template.markers,
        )
    instruction, hint = _render_instruction(question, style, template), template.hint(question)
    text = FRAME.format(
        instruction=instruction, hint=hint, examples=example_text, passages=passage_text, question=block
    )
    return Prompt(
        question_id=question.id,
        content=text,
        labels=question.labels,
        options=question.choices,
        markers=template.markers,
    )


def format_answer(question: Question, style: Style, template: Template = BUILT_IN) -> str:
    """Return the text that follows a solved question's prompt.

    `letter`: the letter. `option` and `bare`: the choice's text. `cot`: the rationale, if there is one, then the answer
    in a form that the reply parser reads.
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
        subject = (question.subject or "").replace("_", " ")
        return template.instruction.format(labels=", ".join(question.labels), subject=subject)
    words = template.wording(question)
    if style == "cot":
        return words.reasoned_letter if question.choices else words.reasoned_number
    return words.letter if question.choices else words.number


def _render_question(question: Question, style: Style, template: Template) -> str:
    lines = [
        template.list_choice(label, choice) for label, choice in zip(question.labels, question.choices, strict=True)
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
    """Render a solved question with its answer in the place of the model's reply."""
    line = ""
    if example.rationale and style != "cot":  # in cot the rationale is part of the answer
        line = RATIONALE_LINE.format(explanation=template.wording(example).explanation, rationale=example.rationale)
    answer = format_answer(example, style, template)
    return template.example.format(question=_render_question(example, style, template), answer=answer, rationale=line)


def _select_answer_text(example: Question) -> str:
    assert example.answer is not None, f"example {example.id} has no answer"
    return example.choice(example.answer) if example.choices else example.answer
