"""Files in the layouts of public benchmarks, with invented rows, and what has to be read from them."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

THINGS = [
    "lamp",
    "river",
    "stone",
    "cloud",
    "wheel",
    "bread",
    "candle",
    "mirror",
    "ladder",
    "anchor",
    "basket",
    "violin",
]
PLACES = ["attic", "harbour", "meadow", "cellar", "tower", "garden", "market", "tunnel", "bridge", "forest"]


@dataclass(frozen=True)
class Row:
    """An invented question; `right` is the place of the right choice."""

    number: int
    size: int
    right: int

    @property
    def id(self) -> str:
        return f"q{self.number:03}"

    @property
    def text(self) -> str:
        return f"Which thing number {self.number} was found in the {PLACES[self.number % 10]}?"

    @property
    def choices(self) -> list[str]:
        return [f"the {THINGS[(self.number + place) % 12]} of {self.number}" for place in range(self.size)]

    @property
    def answer(self) -> str:
        return self.choices[self.right]

    @property
    def wrong(self) -> list[str]:
        return [choice for choice in self.choices if choice != self.answer]

    @property
    def letter(self) -> str:
        return "ABCDEFGHIJ"[self.right]

    @property
    def passage(self) -> str:
        return f"Report {self.number // 3}. " + "Somebody walked through every room and wrote down each thing. " * 3

    @property
    def subject(self) -> str:
        return ("geography", "physics")[self.number % 2]

    @property
    def why(self) -> str:
        return f"Because note {self.number} says that it was there, and no other note does."


def rows(count: int = 30, size: int = 4) -> list[Row]:
    """Rows whose right places are mixed, each of them used."""
    return [Row(number, size, (number * 7 + number // 3) % size) for number in range(1, count + 1)]


@dataclass(frozen=True, kw_only=True)
class LayoutCase:
    """A file and what has to be read from it; `expected` has the choice texts and answers of the rows."""

    name: str
    file: str
    content: str
    rows: Sequence[Row]
    roles: dict[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    passages: bool = False
    asked: Callable[[Row], str] = lambda row: row.text


def as_csv(several: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(several[0]))
    writer.writeheader()
    writer.writerows(several)
    return out.getvalue()


def as_lines(several: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in several)


def case(
    name: str,
    build: Callable[[Row], dict[str, Any]],
    *,
    size: int = 4,
    csv_file: bool = False,
    count: int = 30,
    **more: Any,
) -> LayoutCase:
    several = rows(count, size)
    built = [build(row) for row in several]
    return LayoutCase(
        name=name,
        file="q.csv" if csv_file else "q.jsonl",
        content=as_csv(built) if csv_file else as_lines(built),
        rows=several,
        **more,
    )


def lettered(row: Row, names: str = "A B C D E") -> dict[str, str]:
    return dict(zip(names.split(), row.choices, strict=False))


def yes(row: Row) -> bool:
    return row.number % 3 != 0


CASES: list[LayoutCase] = [
    case(
        "AGIEval",
        lambda r: {
            "passage": r.passage,
            "question": r.text,
            "options": [f"({label}){text}" for label, text in zip("ABCD", r.choices, strict=True)],
            "label": r.letter,
            "answer": None,
            "other": {"solution": None},
        },
        roles={"question": "question", "choices": ("options",), "answer": "label", "context": "passage"},
        unused=("answer", "other"),
        passages=True,
    ),
    case(
        "LogiQA 2.0",
        lambda r: {
            "id": r.number,
            "answer": r.right,
            "text": r.passage + f"Case {r.number}.",
            "question": "Which of the following can be inferred?",
            "options": r.choices,
            "type": {"Sufficient Conditional Reasoning": True},
        },
        roles={"question": "question", "context": "text", "answer": "answer", "answer_kind": "index0", "id": "id"},
        unused=("type",),
        asked=lambda r: "Which of the following can be inferred?",
    ),
    case(
        "MuSR",
        lambda r: {
            "narrative": r.passage,
            "question": r.text,
            "choices": str(r.choices),
            "answer_index": str(r.right),
            "answer_choice": r.answer,
        },
        size=3,
        csv_file=True,
        roles={"question": "question", "context": "narrative", "choices": ("choices",)},
        passages=True,
        unused=("answer_choice",),
    ),
    case(
        "GPQA",
        lambda r: {
            "Pre-Revision Question": r.text.replace("thing", "object"),
            "Pre-Revision Correct Answer": f"old {r.answer}",
            "Pre-Revision Incorrect Answer 1": f"old {r.wrong[0]}",
            "Question": r.text,
            "Correct Answer": r.answer,
            "Incorrect Answer 1": r.wrong[0],
            "Incorrect Answer 2": r.wrong[1],
            "Incorrect Answer 3": r.wrong[2],
            "Explanation": r.why,
            "Writer's Difficulty Estimate": "Hard undergraduate level (could be a question on a hard exam)",
            "Subdomain": r.subject,
            "Record ID": f"rec{r.number}",
        },
        csv_file=True,
        roles={
            "id": "Record ID",
            "question": "Question",
            "answer": "Correct Answer",
            "distractors": ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
            "subject": "Subdomain",
            "rationale": "Explanation",
        },
        unused=(
            "Pre-Revision Question",
            "Pre-Revision Correct Answer",
            "Pre-Revision Incorrect Answer 1",
            "Writer's Difficulty Estimate",
        ),
    ),
    case(
        "SciQ",
        lambda r: {
            "question": r.text,
            "distractor3": r.wrong[2],
            "distractor1": r.wrong[0],
            "distractor2": r.wrong[1],
            "correct_answer": r.answer,
            "support": r.passage,
        },
        roles={"question": "question", "context": "support", "answer": "correct_answer"},
        passages=True,
    ),
    case(
        "TruthfulQA mc1_targets",
        lambda r: {
            "question": r.text,
            "mc1_targets": {"choices": [r.answer, *r.wrong], "labels": [1, 0, 0, 0]},
            "mc2_targets": {"choices": [r.answer, *r.wrong], "labels": [1, 1, 0, 0]},
        },
        roles={"question": "question", "choices": ("mc1_targets",), "answer_kind": "one_hot"},
        unused=("mc2_targets",),
    ),
    case(
        "OpenBookQA",
        lambda r: {
            "id": r.id,
            "question_stem": r.text,
            "choices": {"text": r.choices, "label": list("ABCD")},
            "answerKey": r.letter,
            "fact1": r.why,
        },
        roles={"id": "id", "question": "question_stem", "answer": "answerKey"},
        unused=("fact1",),
    ),
    case(
        "CommonsenseQA",
        lambda r: {
            "id": r.id,
            "question": r.text,
            "question_concept": THINGS[r.number % 12],
            "choices": {"label": list("ABCDE"), "text": r.choices},
            "answerKey": r.letter,
        },
        size=5,
        roles={"question": "question", "answer": "answerKey"},
        unused=("question_concept",),
    ),
    case(
        "RACE",
        lambda r: {
            "example_id": f"high{r.number}.txt",
            "article": r.passage,
            "answer": r.letter,
            "question": r.text,
            "options": r.choices,
        },
        roles={"context": "article", "id": "example_id"},
        passages=True,
    ),
    case(
        "DREAM",
        lambda r: {
            "id": r.number,
            "dialogue_id": f"4-{r.number // 3}",
            "dialogue": ["W: The light is off.", f"M: Then take number {r.number}."],
            "question": r.text,
            "choice": r.choices,
            "answer": r.answer,
        },
        size=3,
        roles={"id": "id", "context": "dialogue", "choices": ("choice",), "answer": "answer", "answer_kind": "text"},
        unused=("dialogue_id",),
    ),
    case(
        "ReClor",
        lambda r: {
            "context": r.passage,
            "question": r.text,
            "answers": r.choices,
            "label": r.right,
            "id_string": f"train_{r.number}",
        },
        roles={"context": "context", "choices": ("answers",), "answer": "label", "id": "id_string"},
        passages=True,
    ),
    case(
        "HellaSwag",
        lambda r: {
            "ind": r.number,
            "activity_label": r.subject,
            "ctx_a": r.text,
            "ctx_b": "then",
            "ctx": r.text,
            "endings": r.choices,
            "source_id": f"x~{r.number}",
            "split": "train",
            "split_type": "indomain",
            "label": str(r.right),
        },
        roles={"id": "ind", "question": "ctx", "choices": ("endings",), "answer": "label"},
        unused=("activity_label", "ctx_a", "ctx_b", "source_id", "split", "split_type"),
    ),
    case(
        "PIQA",
        lambda r: {"goal": r.text, "sol1": r.choices[0], "sol2": r.choices[1], "label": r.right},
        size=2,
        roles={"question": "goal", "choices": ("sol1", "sol2"), "answer": "label"},
    ),
    case(
        "WinoGrande",
        lambda r: {"sentence": r.text, "option1": r.choices[0], "option2": r.choices[1], "answer": str(r.right + 1)},
        size=2,
        roles={"question": "sentence", "choices": ("option1", "option2"), "answer": "answer"},
    ),
    case(
        "BoolQ",
        lambda r: {"question": r.text, "title": r.subject, "answer": yes(r), "passage": r.passage},
        shared=("yes", "no"),
        answers=tuple("A" if yes(r) else "B" for r in rows()),
        roles={"question": "question", "context": "passage", "answer": "answer"},
        unused=("title",),
        passages=True,
    ),
    case(
        "StrategyQA",
        lambda r: {
            "qid": r.id,
            "term": THINGS[r.number % 12],
            "description": "thing",
            "question": r.text,
            "answer": yes(r),
            "facts": [r.why, "Things lie where they are left."],
            "decomposition": ["Who?", "Where?"],
        },
        shared=("yes", "no"),
        answers=tuple("A" if yes(r) else "B" for r in rows()),
        roles={"id": "qid", "question": "question"},
        unused=("term", "description", "facts", "decomposition"),
    ),
    case(
        "PubMedQA",
        lambda r: {
            "pubid": r.number,
            "question": r.text,
            "context": {"contexts": [r.passage, "More."], "labels": ["A", "B"], "meshes": ["x", "y"]},
            "long_answer": r.why,
            "final_decision": ("yes", "no", "maybe")[r.number % 3],
        },
        shared=("yes", "no", "maybe"),
        answers=tuple("ABC"[r.number % 3] for r in rows()),
        roles={"id": "pubid", "context": "context.contexts", "answer": "final_decision", "rationale": "long_answer"},
    ),
    case(
        "MedMCQA",
        lambda r: {
            "id": r.id,
            "question": r.text,
            **lettered(r, "opa opb opc opd"),
            "cop": r.right + 1,
            "choice_type": "single",
            "exp": r.why,
            "subject_name": r.subject,
            "topic_name": None,
        },
        roles={"answer": "cop", "answer_kind": "index1", "subject": "subject_name", "rationale": "exp"},
        unused=("choice_type", "topic_name"),
    ),
    case(
        "MedQA",
        lambda r: {
            "question": r.text,
            "answer": r.answer,
            "options": dict(zip("ABCD", r.choices, strict=True)),
            "meta_info": "step1",
            "answer_idx": r.letter,
        },
        roles={"choices": ("options",)},
        unused=("meta_info", "answer_idx"),
    ),
    case(
        "CMMLU",
        lambda r: {"": r.number, "Question": r.text, **lettered(r, "A B C D"), "Answer": r.letter},
        csv_file=True,
        roles={"id": "", "question": "Question", "answer": "Answer"},
    ),
    case(
        "C-Eval",
        lambda r: {
            "id": r.number,
            "question": r.text,
            **lettered(r, "A B C D"),
            "answer": r.letter,
            "explanation": r.why,
        },
        csv_file=True,
        roles={"id": "id", "rationale": "explanation"},
    ),
    case(
        "GAOKAO-Bench",
        lambda r: {
            "year": "2019",
            "category": "Paper I",
            "question": f"{r.number}. {r.text} ( )\n"
            + "\n".join(f"{label}. {text}" for label, text in zip("ABCD", r.choices, strict=True)),
            "answer": [r.letter],
            "analysis": r.why,
            "index": r.number,
            "score": 5,
        },
        roles={"answer": "answer", "rationale": "analysis", "id": "index"},
        unused=("year", "score"),
        asked=lambda r: f"{r.number}. {r.text} ( )",
    ),
    case(
        "KMMLU",
        lambda r: {
            "question": r.text,
            "answer": r.right + 1,
            **lettered(r, "A B C D"),
            "Category": r.subject,
            "Human Accuracy": 0.5,
        },
        csv_file=True,
        roles={"answer": "answer", "answer_kind": "index1", "subject": "Category"},
        unused=("Human Accuracy",),
    ),
    case(
        "MMMLU",
        lambda r: {
            "": r.number,
            "Question": r.text,
            **lettered(r, "A B C D"),
            "Answer": r.letter,
            "Subject": r.subject,
        },
        csv_file=True,
        roles={"subject": "Subject"},
    ),
    case(
        "EXAMS",
        lambda r: {
            "id": r.id,
            "question": {
                "stem": r.text,
                "choices": [
                    {"text": text, "label": label, "para": "A long paragraph."}
                    for label, text in zip("ABCD", r.choices, strict=True)
                ],
            },
            "answerKey": r.letter,
            "info": {"grade": 12, "subject": r.subject, "language": "English"},
        },
        roles={"question": "question.stem", "choices": ("question.choices",), "subject": "info.subject"},
    ),
    case(
        "VMLU",
        lambda r: {
            "id": r.id,
            "question": r.text,
            "choices": [f"{label}. {text}" for label, text in zip("ABCD", r.choices, strict=True)],
            "answer": r.letter,
        },
        roles={"choices": ("choices",)},
    ),
    case(
        "MathQA",
        lambda r: {
            "Problem": r.text,
            "Rationale": r.why,
            "options": " , ".join(f"{label} ) {text}" for label, text in zip("abcde", r.choices, strict=True)),
            "correct": r.letter.lower(),
            "annotated_formula": "add(1, 2)",
            "category": r.subject,
        },
        size=5,
        roles={"question": "Problem", "choices": ("options",), "answer": "correct", "rationale": "Rationale"},
        unused=("annotated_formula",),
    ),
    case(
        "LLM Science Exam",
        lambda r: {"id": r.number, "prompt": r.text, **lettered(r), "answer": r.letter},
        size=5,
        csv_file=True,
        roles={"question": "prompt"},
    ),
    case(
        "MMLU-Pro",
        lambda r: {
            "question_id": r.number,
            "question": r.text,
            "options": r.choices,
            "answer": r.letter,
            "answer_index": r.right,
            "cot_content": "",
            "category": r.subject,
            "src": "x",
        },
        size=10,
        count=60,
        roles={"id": "question_id", "answer": "answer", "subject": "category"},
        unused=("answer_index", "src"),
    ),
    case(
        "BIG-bench target_scores",
        lambda r: {"input": r.text, "target_scores": {text: int(text == r.answer) for text in r.choices}},
        roles={"question": "input", "choices": ("target_scores",), "answer_kind": "one_hot"},
    ),
    case(
        "BIG-bench multiple_choice_scores",
        lambda r: {
            "inputs": r.text,
            "targets": [r.answer],
            "multiple_choice_targets": r.choices,
            "multiple_choice_scores": [int(text == r.answer) for text in r.choices],
        },
        roles={"question": "inputs", "choices": ("multiple_choice_targets",)},
        unused=("multiple_choice_scores",),
    ),
    case(
        "Belebele",
        lambda r: {
            "link": f"https://example.org/{r.number}",
            "question_number": 1 + r.number % 2,
            "flores_passage": r.passage,
            "question": r.text,
            **lettered(r, "mc_answer1 mc_answer2 mc_answer3 mc_answer4"),
            "correct_answer_num": str(r.right + 1),
            "dialect": "deu_Latn",
            "ds": "2023-05-03",
        },
        roles={"context": "flores_passage", "answer": "correct_answer_num"},
        passages=True,
        unused=("question_number", "dialect", "ds"),
    ),
    case(
        "COPA",
        lambda r: {
            "premise": r.text,
            "choice1": r.choices[0],
            "choice2": r.choices[1],
            "question": ("cause", "effect")[r.number % 2],
            "idx": r.number,
            "label": r.right,
        },
        size=2,
        roles={"question": "question", "context": "premise", "choices": ("choice1", "choice2"), "id": "idx"},
        asked=lambda r: ("cause", "effect")[r.number % 2],
    ),
    case(
        "SocialIQA",
        lambda r: {
            "context": r.passage,
            "question": r.text,
            **lettered(r, "answerA answerB answerC"),
            "label": r.right + 1,
        },
        size=3,
        roles={"context": "context", "answer": "label", "answer_kind": "index1"},
        passages=True,
    ),
    case(
        "CosmosQA",
        lambda r: {
            "id": r.id,
            "context": r.passage,
            "question": r.text,
            **lettered(r, "answer0 answer1 answer2 answer3"),
            "label": r.right,
        },
        csv_file=True,
        roles={"answer": "label", "choices": ("answer0", "answer1", "answer2", "answer3")},
        passages=True,
    ),
    case(
        "ArabicMMLU",
        lambda r: {
            "ID": r.number,
            "Source": "x",
            "Question": r.text,
            "Context": "",
            **lettered(r, "Option_1 Option_2 Option_3 Option_4"),
            "Answer Key": r.letter,
        },
        csv_file=True,
        roles={"id": "ID", "answer": "Answer Key"},
        unused=("Source", "Context"),
    ),
    case(
        "Open trivia",
        lambda r: {
            "category": r.subject,
            "difficulty": ("easy", "hard")[r.number % 2],
            "question": r.text,
            "correct_answer": r.answer,
            "incorrect_answers": r.wrong,
        },
        roles={"answer": "correct_answer", "distractors": ("incorrect_answers",), "subject": "category"},
        unused=("difficulty",),
    ),
    case(
        "choices that mark the right one",
        lambda r: {
            "uid": r.id,
            "question": r.text,
            "answers": [{"text": text, "is_correct": text == r.answer} for text in r.choices],
        },
        roles={"id": "uid", "choices": ("answers",), "answer_kind": "one_hot"},
    ),
    case(
        "one-hot columns",
        lambda r: {
            "question": r.text,
            **lettered(r, "option_a option_b option_c option_d"),
            **{f"is_{label}": int(label == r.letter.lower()) for label in "abcd"},
        },
        csv_file=True,
        roles={"answer_columns": ("is_a", "is_b", "is_c", "is_d"), "answer_kind": "one_hot"},
    ),
    case(
        "German",
        lambda r: {
            "Nr": r.number,
            "Frage": r.text,
            **lettered(r, "Antwort_A Antwort_B Antwort_C Antwort_D"),
            "Lösung": f"Antwort {r.letter}",
            "Fach": r.subject,
            "Schwierigkeit": 1 + r.number % 4,
        },
        csv_file=True,
        roles={"id": "Nr", "question": "Frage", "answer": "Lösung", "subject": "Fach"},
        unused=("Schwierigkeit",),
    ),
    case(
        "Korean",
        lambda r: {
            "번호": r.number,
            "문제": r.text,
            **lettered(r, "보기1 보기2 보기3 보기4"),
            "정답": r.right + 1,
            "난이도": 1 + r.number % 4,
        },
        csv_file=True,
        roles={"id": "번호", "question": "문제", "answer": "정답"},
        unused=("난이도",),
    ),
    case(
        "Chinese",
        lambda r: {
            "序号": r.number,
            "题目": r.text,
            **lettered(r, "选项A 选项B 选项C 选项D"),
            "答案": r.letter,
            "解析": r.why,
        },
        csv_file=True,
        roles={"id": "序号", "question": "题目", "answer": "答案", "rationale": "解析"},
    ),
    case(
        "Japanese",
        lambda r: {"問題": r.text, **lettered(r, "選択肢ア 選択肢イ 選択肢ウ 選択肢エ"), "正解": "アイウエ"[r.right]},
        csv_file=True,
        roles={"question": "問題", "answer": "正解"},
    ),
    case(
        "Russian",
        lambda r: {
            "вопрос": r.text,
            **lettered(r, "вариант_А вариант_Б вариант_В вариант_Г"),
            "ответ": "АБВГ"[r.right],
        },
        csv_file=True,
        roles={"question": "вопрос", "answer": "ответ"},
    ),
    case(
        "French, the answer is the column's name",
        lambda r: {
            "énoncé": r.text,
            **lettered(r, "réponse_a réponse_b réponse_c réponse_d"),
            "bonne réponse": f"réponse_{r.letter.lower()}",
        },
        csv_file=True,
        roles={"question": "énoncé", "answer": "bonne réponse"},
    ),
    case(
        "columns without telling names",
        lambda r: {"n": r.number, "q_txt": r.text, **lettered(r, "x1 x2 x3 x4"), "z": r.letter},
        csv_file=True,
        roles={"question": "q_txt", "choices": ("x1", "x2", "x3", "x4"), "answer": "z"},
    ),
    case(
        "circled numbers in one cell",
        lambda r: {
            "문항": r.text,
            "선택지": " ".join(f"{mark} {text}" for mark, text in zip("①②③④", r.choices, strict=True)),
            "정답": "①②③④"[r.right],
        },
        csv_file=True,
        roles={"question": "문항", "choices": ("선택지",), "answer": "정답"},
    ),
    case(
        "choices on lines of one cell",
        lambda r: {"question": r.text, "options": "\n".join(r.choices), "answer": r.answer},
        csv_file=True,
        roles={"choices": ("options",), "answer_kind": "text"},
    ),
    case(
        "choices in the question, answers with letter and text",
        lambda r: {
            "question": r.text + "".join(f"\n{mark}) {text}" for mark, text in zip("ABCD", r.choices, strict=True)),
            "answer": f"{r.letter}) {r.answer}",
        },
        csv_file=True,
        roles={"question": "question", "choices": ("question",), "answer": "answer"},
    ),
    case(
        "choices in the question, answers as text",
        lambda r: {
            "question": r.text + "".join(f" ({mark}) {text}" for mark, text in zip("ABCD", r.choices, strict=True)),
            "answer": r.answer,
        },
        csv_file=True,
        roles={"question": "question", "choices": ("question",), "answer_kind": "text"},
    ),
]


def race_file() -> LayoutCase:
    """RACE's own files: an article with lists of questions, options and answers."""
    several = rows(30)
    documents = [
        {
            "id": f"high{number}.txt",
            "article": several[3 * number].passage,
            "questions": [r.text for r in several[3 * number : 3 * number + 3]],
            "options": [r.choices for r in several[3 * number : 3 * number + 3]],
            "answers": [r.letter for r in several[3 * number : 3 * number + 3]],
        }
        for number in range(10)
    ]
    return LayoutCase(
        name="RACE's own files",
        file="q.jsonl",
        content=as_lines(documents),
        rows=several,
        roles={"id": "id", "question": "questions", "context": "article"},
    )


CASES.append(race_file())
