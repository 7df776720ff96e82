"""With folds, no labelled question is answered by anything that saw it or a near-duplicate of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quorum.data.read import read_questions, write_questions
from quorum.data.split_files import write_split_folder
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.question import Question
from tests.support.paths import KERNELS
from tests.support.spy import Session, make_competition, run_kernel_here, submit


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
