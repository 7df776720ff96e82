"""With folds, no labelled question is answered by anything that saw it or a near-duplicate of it.

The kernels run in this process, with a model that notes everything it has seen: the solved questions it was opened
with, the rows it was trained on, the examples in its prompts and the questions its settings were fitted on.
"""

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import infer
import pytest
import vote

from quorum.competition import step
from quorum.competition.submit import SubmissionResult, submit_competition
from quorum.competition.workspace import Workspace
from quorum.config import apply_overrides, from_table, read_table
from quorum.data.read import read_questions, write_questions
from quorum.data.split_files import write_split_folder
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.judge.settings import RunSettings
from quorum.model.backend import KINDS, Kind, register_backend
from quorum.question import Prompt, Question, Reply, letters
from quorum.train.build_rows import rows_for_training
from quorum.train.settings import TrainSettings
from tests.support.families import COPIES, Planter
from tests.support.paths import KERNELS

MARK = re.compile(r"ref\w+x")  # a word in the text of each question that no other question has
FEW_SHOT = """
run = "few-shot"
questions = ["test.csv"]
out = "out"
backend.name = "spy"
retrieval.examples = 3
[refine]
rehearse = 6
calibrate.temperature = 0.0
verify.method = "rescore"
"""
TUNED = """
run = "spy-tuned"
questions = ["test.csv"]
out = "out"
backend = { name = "spy", model = "nothing" }
"""


@dataclass(frozen=True)
class SpySettings:
    model: str = ""


@dataclass
class Session:
    """One run of the infer kernel: the ids that it was asked to answer for a score, and what it has seen."""

    scored: frozenset[str]
    seen: set[str] = field(default_factory=set)
    prompted: dict[str, set[str]] = field(default_factory=dict)  # by the question asked, the marks in its prompts


class Spy:
    """Answers at random, and notes what it sees."""

    sessions: list[Session]

    def __init__(self, settings: SpySettings, solved: Sequence[Question]) -> None:
        self.session, self.model = self.sessions[-1], settings.model
        self.session.seen |= {mark for question in solved for mark in MARK.findall(question.text)}
        if settings.model:
            self.session.seen |= set(json.loads((Path(settings.model) / "rows.json").read_text()))

    def answer(self, prompts: Sequence[Prompt]) -> list[Reply]:
        for prompt in prompts:
            marks = set(MARK.findall(str(prompt.content)))
            self.session.prompted.setdefault(prompt.question_id, set()).update(marks)
        chance = random.Random(self.model + str([prompt.question_id for prompt in prompts]))
        scores = [{label: -3 * chance.random() for label in prompt.labels} for prompt in prompts]
        return [Reply(text="", label_logprobs=each) for each in scores]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Session]]:
    """The sessions of a model that notes what it sees; kernels run in this process."""
    import quorum.model.backend as backend

    monkeypatch.setattr(backend, "_registered", dict(backend._registered))
    monkeypatch.setattr(backend, "KINDS", KINDS)
    register_backend("spy", Kind(sees_train=True), SpySettings, Spy)
    monkeypatch.setattr(step, "run_kernel_process", run_kernel_here)
    Spy.sessions = []
    yield Spy.sessions
    del KINDS["spy"]


def run_kernel_here(
    story: str, toml: Path, settings: Mapping[str, Any], report: Callable[[str], None], **_: Any
) -> float:
    table = apply_overrides(read_table(toml), [f"{name}={json.dumps(value)}" for name, value in settings.items()], "")
    if story == "train":
        train = from_table(TrainSettings, table, str(toml))
        rows = rows_for_training(train, train.out, report)
        (train.out / "model").mkdir(parents=True)
        marks = [mark for row in rows for mark in MARK.findall(str(row.prompt.content))]
        (train.out / "model" / "rows.json").write_text(json.dumps(marks))
    elif story == "infer":
        asked = [path for path in map(Path, settings["questions"]) if path.stem == "heldout"]
        Spy.sessions.append(Session(frozenset(question.id for path in asked for question in read_questions(path))))
        infer.main(from_table(RunSettings, table, str(toml)))
    else:
        vote.main(from_table(vote.Vote, table, str(toml)))
    return 1.0


def make_competition(folder: Path, seed: int) -> dict[str, Question]:
    """Write a competition with planted families, and its members; return its labelled questions by their marks."""
    chance = random.Random(seed)
    sizes = [chance.randint(2, 6) for _ in range(chance.randint(3, 8))]
    planted = Planter(seed).plant(chance.choice(COPIES), sizes, sum(sizes) + chance.randint(30, 60))
    rows = {}
    for number, question in enumerate(planted):
        mark = f"ref{number}x"
        answer = chance.choice(letters(4))
        rows[mark] = replace(question, text=f"{question.text} {mark}", answer=answer)
    folder.mkdir()
    for name, written in (("train.csv", rows.values()), ("test.csv", ())):
        with (folder / name).open("w", newline="") as file:
            writer = csv.writer(file)
            header = ["id", "question", *"ABCD", "answer"]
            writer.writerow(header[: 7 if name == "train.csv" else 6])
            writer.writerows([each.id, each.text, *each.choices, each.answer] for each in written)
            if name == "test.csv":
                drawn = [Planter(seed + 1000 + number).draw_question() for number in range(8)]
                writer.writerows([f"t{number}", " ".join(text), *own] for number, (text, own) in enumerate(drawn))
    (folder / "few-shot.toml").write_text(FEW_SHOT)
    (folder / "spy-tuned.toml").write_text(TUNED)
    training = (KERNELS / "train-encoder.toml").read_text().replace("train-encoder", "train-spy")
    (folder / "train-spy.toml").write_text(training)
    return rows


def submit(folder: Path, **settings: Any) -> SubmissionResult:
    members = [folder / "few-shot.toml", folder / "spy-tuned.toml"]
    return submit_competition(folder, Workspace(folder.parent), members, **settings)


def find_leaks(sessions: Sequence[Session], rows: Mapping[str, Question]) -> list[str]:
    """Return what a session saw, for a score, of the family of a question that it answered."""
    family = {mark: question.id.rpartition("-")[0] for mark, question in rows.items()}
    mark_of = {question.id: mark for mark, question in rows.items()}
    leaks = []
    for each in sessions:
        asked_for_fit = each.prompted.keys() & mark_of.keys() - each.scored
        learnt = each.seen | {mark_of[id] for id in asked_for_fit}
        for id in each.scored:
            own = family[mark_of[id]]
            leaks += [f"{id} saw {mark}" for mark in learnt if family[mark] == own]
            shown = each.prompted.get(id, set()) - {mark_of[id]}
            leaks += [f"{id} was shown {mark}" for mark in shown if family[mark] == own]
    return leaks


@pytest.mark.parametrize("test_by", ["refit", "average"])
@pytest.mark.parametrize(
    ("seed", "folds"),
    [(2, 3), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(1, 2), (3, 4), (4, 5), (5, 7)])],
)
def test_no_labelled_question_is_answered_by_what_saw_its_family(
    tmp_path: Path, spy: list[Session], seed: int, folds: int, test_by: str
) -> None:
    rows = make_competition(tmp_path / "comp", seed)
    result = submit(tmp_path / "comp", folds=folds, test_by=test_by)
    assert find_leaks(spy, rows) == []
    scored = Counter(id for each in spy for id in each.scored)
    assert scored == {question.id: 2 for question in rows.values()}, "each member answers each question once"
    assert all(len(each.seen) > len(rows) / (folds + 2) for each in spy), "every session has learnt from something"
    assert any(shown - {mark} for each in spy for shown in each.prompted.values() for mark in rows), "no examples"
    refits = [each for each in spy if not each.scored]
    assert all(each.seen == set(rows) for each in refits)
    assert len(refits) == (2 if test_by == "refit" else 0)
    assert {entry.name: (entry.held_out.n, entry.folds) for entry in result.entries} == {
        name: (len(rows), folds) for name in ("prior", "few-shot", "spy-tuned", "vote")
    }


def test_a_vote_on_a_family_does_not_depend_on_its_answers(tmp_path: Path, spy: list[Session]) -> None:
    make_competition(tmp_path / "comp", 6)
    result = submit(tmp_path / "comp", folds=3)
    run = result.runs[-1]
    before = ballots_from_answers(read_answers(run.folder.held_out))
    gold = read_questions(result.prepared.gold)
    families = {question.id.rpartition("-")[0] for question in gold}
    changed = 0
    for family in sorted(families)[:6]:
        other = [replace(each, answer="A") if each.id.startswith(f"{family}-") else each for each in gold]
        write_questions(other, result.prepared.gold)
        run_kernel_here("vote", KERNELS / "vote.toml", run.config, print)
        after = ballots_from_answers(read_answers(run.folder.held_out))
        own = [each.id for each in gold if each.id.startswith(f"{family}-")]
        assert [after[id] for id in own] == [pytest.approx(before[id]) for id in own]
        changed += any(after[id] != pytest.approx(before[id]) for id in after)
    assert changed, "the answers of a family do matter for the others"


def test_the_check_finds_a_pool_of_the_whole_train(
    tmp_path: Path, spy: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_everything(split: Any, questions: Sequence[Question], folder: Any) -> None:
        write_split_folder(split, questions, folder)
        write_questions(list(questions), folder.train)

    monkeypatch.setattr("quorum.competition.folds.write_split_folder", write_everything)
    rows = make_competition(tmp_path / "comp", 1)
    with pytest.raises(ValueError, match="are already solved in train, so a score of this file would be leaked"):
        submit(tmp_path / "comp", folds=3)
    monkeypatch.setattr("quorum.judge.session.check_no_duplicate", lambda *_: None)
    submit(tmp_path / "comp", folds=3)
    assert len(find_leaks(spy, rows)) > 100


def test_the_check_finds_folds_that_divide_families(
    tmp_path: Path, spy: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorum.data.folds.cluster_duplicates", lambda questions, *_: list(range(len(questions))))
    rows = make_competition(tmp_path / "comp", 1)
    submit(tmp_path / "comp", folds=3)
    assert find_leaks(spy, rows)
