"""What a judge is shown: an answer to be called TRUE or FALSE, or a reply to be read."""

from dataclasses import dataclass, field

from quorum.ask.template import check_places
from quorum.question import MOST_CHOICES, Prompt, Question, letters

VERDICTS = ("TRUE", "FALSE")
VERDICT_INSTRUCTION = "Is the proposed answer to the question right? Answer TRUE or FALSE and nothing else."
VERDICT_QUESTION = "{context}Question: {text}\n{choices}Proposed answer: {proposed}\nTRUE or FALSE:"
VERDICT_PROMPT = "{instruction}\n\n{question}"
VERDICT_CONTEXT = "{context}\n\n"
VERDICT_CHOICE = "{label}. {choice}\n"

READING_INSTRUCTION = (
    "Somebody replied to a multiple-choice question. Which choice does the reply settle on? "
    "Do not judge whether it is right. Answer with one letter and nothing else."
)
READING_PROMPT = "{instruction}\n\nReply:\n{reply}\n\n{choices}Answer:"
READING_CHOICE = "{label}. {choice}\n"
NOTHING_CHOSEN = "none of these, several of these, or not clear"
_LONGEST_REPLY = 8_000  # characters; of a longer reply the end is shown


@dataclass(frozen=True)
class VerdictTemplate:
    """The words in which a verifier is asked about an answer; fields in {curly} brackets as in `Template`.

    Raises:
        BadInput: a place that nothing fills, or one that is missing.
    """

    instruction: str = field(default=VERDICT_INSTRUCTION, metadata={"help": "What the verifier is asked to do."})
    question: str = field(
        default=VERDICT_QUESTION, metadata={"help": "The question with {context}, {text}, {choices} and {proposed}."}
    )
    choice: str = field(default=VERDICT_CHOICE, metadata={"help": "One line of the list of choices."})

    def __post_init__(self) -> None:
        places = ("context", "text", "choices", "proposed")
        check_places(self.instruction, (), (), "refine.verdict.instruction")
        check_places(self.question, places, places, "refine.verdict.question")
        check_places(self.choice, ("label", "choice"), ("label", "choice"), "refine.verdict.choice")


BUILT_IN_VERDICT = VerdictTemplate()


def verdict_prompt(question: Question, label: str, template: VerdictTemplate = BUILT_IN_VERDICT) -> Prompt:
    """Asks whether `label` answers `question`; a number stands for itself where there are no choices."""
    lines = [
        template.choice.format(label=letter, choice=choice)
        for letter, choice in zip(question.labels, question.choices, strict=True)
    ]
    block = template.question.format(
        context=VERDICT_CONTEXT.format(context=question.context) if question.context else "",
        text=question.text,
        choices="".join(lines),
        proposed=f"{label}. {question.choice(label)}" if question.choices else label,
    )
    text = VERDICT_PROMPT.format(instruction=template.instruction.format(), question=block)
    return Prompt(question.id, text, VERDICTS)


def reading_prompt(prompt: Prompt, reply: str) -> Prompt | None:
    """Asks which of the labels of `prompt` a reply to it chose: the last letter stands for none.

    None where it can't be asked: the labels are not A, B …, or leave no letter for none.
    """
    count = len(prompt.labels)
    if not 0 < count < MOST_CHOICES or prompt.labels != letters(count):
        return None
    labels = letters(count + 1)
    texts = (*(prompt.options or [f"choice {label}" for label in prompt.labels]), NOTHING_CHOSEN)
    lines = [READING_CHOICE.format(label=label, choice=text) for label, text in zip(labels, texts, strict=True)]
    content = READING_PROMPT.format(
        instruction=READING_INSTRUCTION, reply=reply[-_LONGEST_REPLY:], choices="".join(lines)
    )
    return Prompt(prompt.question_id, content, labels, texts)
