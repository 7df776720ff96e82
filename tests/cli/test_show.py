"""`quorum show`, on a run of the infer kernel."""

import json
import shutil
from pathlib import Path

import pytest

from quorum.ballot import Ballot
from quorum.cli.main import run_command_line
from quorum.competition.workspace import Workspace
from quorum.console import escape_controls
from quorum.data.read import write_questions
from quorum.files.answers import make_answers, write_answers
from quorum.files.run_folder import RunFolder
from quorum.model.backend import Backend
from quorum.model.simulated import ScriptedModel
from quorum.question import Prompt, Question, Reply
from tests.support.bench import Bench, made, write
from tests.support.verb import run_verb

HOSTILE = "red \x1b[2J\x9b31m \u202egnp.exe\u202c \u2066x\u2069 \r bell \x07 \ud800"


@pytest.fixture
def shown(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Show a question; the workspace is the bench's folder."""

    def show(*words: str) -> tuple[int, str, str]:
        from quorum.console import run_program

        monkeypatch.chdir(bench.folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run_program(lambda: run_command_line(["show", *words]))
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return show


def move_run(bench: Bench, path: str) -> Path:
    target = bench.folder / "runs" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(bench.folder / "out", target)
    return target


def answer_by_words(prompt: Prompt) -> Reply:
    if prompt.labels == ("TRUE", "FALSE"):
        return Reply(text="FALSE" if "Proposed answer: A." in str(prompt.content) else "TRUE")
    return Reply(text=f"I think so. The answer is {'A' if len(prompt.options) == 4 else 'B'}.", finish="stop", tokens=9)


def test_a_question_is_shown_from_its_background_to_its_ballot(bench: Bench, shown) -> None:
    train = made(20, prefix="t")
    write(bench.folder / "train.jsonl", train, answers=True)
    models: dict[str, Backend] = {"answerer": ScriptedModel(answer_by_words)}
    tables = {"train": bench.folder / "train.jsonl", "retrieval": {"examples": 2}, "verify": {"method": "eliminate"}}
    questions = made(3)
    bench.ask(questions, models, **tables)
    code, out, err = shown("out", "q1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles[0] == "question q1 of run out, test"
    assert [title.split(":")[0] for title in titles[1:]] == [
        "Background",
        "Prompt 1",
        "Reply to prompt 1 (first)",
        "Prompt 2",
        "Reply to prompt 2 (verify)",
        "Prompt 3",
        "Reply to prompt 3 (eliminate)",
        "Prompt 4",
        "Reply to prompt 4 (verify)",
        "Verdicts",
        "Ballot",
    ]
    assert "A (answer); order ABCD; finish stop; 9 tokens; under 1 ms" in out
    assert "B (answer); own label C; order BCD; finish stop; 9 tokens" in out
    assert "    round 1, A: P(TRUE) 0.000, removed" in lines
    assert titles[-1] == "Ballot: C 1.000"
    assert f"    A. {questions[1].choices[0]}" in lines
    assert lines[3].startswith("    example t")
    assert "score" in lines[3]
    assert "similarity" in lines[3]


def test_votes_are_counted_by_the_own_label(bench: Bench, shown) -> None:
    texts = ["C", "C", "A", "no idea", "C"]
    models: dict[str, Backend] = {"answerer": ScriptedModel(lambda prompt: Reply(text=texts[prompt.repeat]))}
    bench.patch.setattr("quorum.judge.settings.check_votes", lambda backend: None)
    bench.ask(made(1), models, votes={"most": 5, "sure": 1.0, "alone": 1.0})
    _, out, _ = shown("out", "q0")
    assert out.count("Prompt 1") == 1
    assert "Reply to prompt 1 (vote, sample 4): unread (no claim)" in out
    assert "    C: 3\n    A: 1\n    unread: 1\n" in out


def test_a_reply_that_was_cut_is_shown_with_its_half_vote(bench: Bench, shown) -> None:
    cut = Reply(text="The answer is (B). Because", finish="length")
    bench.ask(made(1), {"answerer": ScriptedModel(lambda prompt: cut)})
    assert "B with weight 0.5 (" in shown("out", "q0")[1]


def test_options_that_the_prompt_does_not_list_are_shown(bench: Bench, shown) -> None:
    bench.ask(made(1), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))}, prompt={"style": "option"})
    assert "Options of prompt 1: scored one by one, not in its text\n    A. " in shown("out", "q0")[1]


def test_a_run_is_named_by_its_name_its_competition_or_its_folder(bench: Bench, shown) -> None:
    for path in ("toys/small", "toys/ladder/small-votes", "bikes/small"):
        bench.ask(made(2), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))})
        move_run(bench, path)
    assert shown("small-votes", "q1")[1].startswith("question q1 of run small-votes, test\n")
    assert shown("bikes/small", "q1")[0] == shown("runs/toys/small", "q1")[0] == 0
    code, out, err = shown("small", "q1")
    assert (code, out) == (2, "")
    assert err == "error: run 'small': 2 runs have this name; name one of bikes/small, toys/small\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("smal", "q1"), "run 'smal': no such run or folder; did you mean 'small'"),
        (("zzz", "q1"), "run 'zzz': no such run or folder; there are 'small', 'toys/small'"),
        (("small", "q11"), "question 'q11': not among the 3 of runs/toys/small; did you mean 'q1'"),
        (("small", ""), "question '': not among the 3 of runs/toys/small; there are 'q0', 'q1', 'q2'"),
        (("", "q1"), "run '': no such run or folder; there are 'small'"),
        (("x" * 5000, "q1"), "no such run or folder"),
        (("a\x1b[2J", "q1"), r"run 'a\x1b[2J': no such run"),
        (("small", "q\u202e"), r"question 'q\u202e': not among"),
    ],
)
def test_an_unknown_run_or_id_gives_one_line_with_near_matches(
    bench: Bench, shown, words: tuple[str, str], message: str
) -> None:
    bench.ask(made(3), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))})
    move_run(bench, "toys/small")
    code, out, err = shown(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_without_runs_one_line_says_so(bench: Bench, shown) -> None:
    assert shown("small", "q1") == (
        2,
        "",
        "error: run 'small': no runs in runs, and no folder with answers has this name\n",
    )


def test_the_folder_of_right_answers_is_not_listed_as_a_run(bench: Bench, shown) -> None:
    bench.ask(made(1), {"answerer": ScriptedModel(lambda prompt: Reply(text="A"))})
    move_run(bench, "toys/small")
    write_questions(made(1), Workspace(bench.folder).gold("toys"))
    assert "there are 'small', 'toys/small'\n" in shown("zzz", "q0")[2]
    assert "run 'gold': no such run" in shown("gold", "q0")[2]


def test_text_from_outside_controls_no_terminal(bench: Bench, shown) -> None:
    question = Question(id="q\u202e1", text=HOSTILE, choices=("x\x1b]0;title\x07", "y"))
    bench.ask([question], {"answerer": ScriptedModel(lambda prompt: Reply(text=HOSTILE))})
    code, out, _ = shown("out", "q\u202e1")
    assert code == 0
    assert escape_controls(out) == out
    assert r"red \x1b[2J\x9b31m \u202egnp.exe\u202c \u2066x\u2069 \r bell \x07" in out
    assert not set(out) & {chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2066)}


def test_the_json_holds_the_same_parts(bench: Bench, shown) -> None:
    bench.ask(made(2), {"answerer": ScriptedModel(lambda prompt: Reply(text="B"))})
    (question,) = json.loads(shown("out", "q1", "--json")[1])
    assert (question["run"], question["file"], question["id"]) == ("out", "test", "q1")
    assert [part["title"] for part in question["parts"]] == ["Prompt 1", "Reply to prompt 1 (first)", "Ballot"]
    assert question["parts"][1]["text"] == "B"


def test_a_run_without_replies_still_shows_its_ballot(bench: Bench, shown) -> None:
    ballots: dict[str, Ballot] = {"q1": {"A": 0.25, "B": 0.75}, "q2": {}}
    write_answers(make_answers("old", ballots), RunFolder(bench.folder / "runs" / "toys" / "old").test)
    code, out, _ = shown("old", "q1")
    assert code == 0
    assert "Replies: none were kept" in out
    assert "Ballot: B 0.750, A 0.250" in out
    assert "Ballot: unread" in shown("old", "q2")[1]


def test_a_long_reply_is_printed_whole(bench: Bench) -> None:
    bench.ask(made(2), {"answerer": ScriptedModel(lambda prompt: Reply(text="B " * 200_000))})
    done = run_verb("show", "out", "q1", cwd=bench.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("B") >= 200_000
