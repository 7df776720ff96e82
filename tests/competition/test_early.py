"""What a run would fail on at its end is refused before the first model is loaded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quorum.competition.folder import find_competition
from quorum.competition.prepare import prepare_competition
from quorum.competition.run import find_kernel_toml
from quorum.competition.submit import submit_competition
from quorum.competition.workspace import Workspace
from quorum.errors import BadInput

MEMBER = find_kernel_toml("neighbour").read_text(encoding="utf-8")
ENDPOINT = MEMBER.replace('name = "neighbour"', 'name = "endpoint"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"')
TUNED = 'run = "t"\nquestions = ["q"]\nout = "o"\n[backend]\nname = "encoder"\nmodel = "made"\n'
TRAINING = 'run = "train-t"\ntrain = "t"\nout = "o"\n[trainer]\nname = "encoder"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a competition of letters, a good member first, and no model that can be loaded."""
    monkeypatch.chdir(tmp_path)
    Path("toys").mkdir()
    rows = [f"q{n},Which house has the number {n * 37 % 101}?,red {n},blue {n}" for n in range(40)]
    Path("toys/train.csv").write_text("\n".join(["id,question,A,B,answer", *(f"{row},A" for row in rows[:30])]))
    Path("toys/test.csv").write_text("\n".join(["id,question,A,B", *rows[30:]]))
    Path("toys/sample_submission.csv").write_text("\n".join(["id,answer", *(f"q{n},A" for n in range(30, 40))]))
    Path("good.toml").write_text(MEMBER.replace('run = "neighbour"', 'run = "good"'))

    def run_step(*_: object) -> None:
        raise AssertionError("a model would be loaded")

    monkeypatch.setattr("quorum.competition.run.run_step", run_step)
    return tmp_path


def submit(*members: str) -> None:
    submit_competition(Path("toys"), Workspace(), [Path("good.toml"), *map(Path, members)])


BACKEND = "[refine.verify]\nmethod = 'rescore'\nweight = 1.0\n[refine.verify.backend]\nname = 'transformers'\n"
MEMBERS = {
    "unknown setting": (f"{MEMBER}\nwidth = 3\n", "unknown setting 'backend.width'|unknown setting 'width'"),
    "deadline is nan": (MEMBER.replace("[backend]", "limits.deadline = nan\n[backend]"), "limits.deadline is nan"),
    "deadline is negative": (MEMBER.replace("[backend]", "limits.deadline = -1\n[backend]"), "limits.deadline is -1"),
    "no verifier": (f"{MEMBER}\n{BACKEND}", "setting 'model' is missing"),
    "verifier's folder": (
        f"{MEMBER}\n{BACKEND}model = 'models/none/here'\n",
        "refine.verify.backend.model is 'models/none/here': there is no such folder",
    ),
    "model's folder": (
        MEMBER.replace('name = "neighbour"', 'name = "encoder"\nmodel = "./none"'),
        "backend.model is './none': there is no such folder",
    ),
    "key": (f'{ENDPOINT}\nkey_variable = "NOT_SET_ANYWHERE"\n', "NOT_SET_ANYWHERE is not set or empty"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_a_wrong_second_member_is_refused_before_the_first_is_asked(case: str, folder: Path) -> None:
    text, message = MEMBERS[case]
    Path("bad.toml").write_text(text.replace('run = "neighbour"', 'run = "bad"'))
    with pytest.raises(BadInput, match=message):
        submit("bad.toml")
    with pytest.raises(AssertionError, match="a model would be loaded"):
        submit()


def test_a_wrong_training_is_refused_before_the_first_member_is_asked(folder: Path) -> None:
    Path("t-tuned.toml").write_text(TUNED)
    for more, message in (
        ("epochs = 'two'\n", "setting 'epochs' is 'two'"),
        ("model = './none'\n", "trainer.model is './none': there is no such folder"),
        ("[rows]\nstyle = 'wrong'\n", "setting 'rows.style' is 'wrong'"),
    ):
        Path("train-t.toml").write_text(TRAINING + more)
        with pytest.raises(BadInput, match=message):
            submit("t-tuned.toml")
    Path("train-t.toml").write_text(TRAINING)
    Path("runs/toys/train-t").mkdir(parents=True)
    Path("runs/toys/train-t/mine.txt").write_text("precious")
    with pytest.raises(BadInput, match="runs/toys/train-t: this folder was not created by Quorum"):
        submit("t-tuned.toml")
    assert Path("runs/toys/train-t/mine.txt").read_text() == "precious"


@pytest.mark.parametrize(
    "place",
    ["submissions", "submissions/ledger.jsonl/", "submissions/toys-bad.csv/", "runs/toys/bad.log/", "runs/toys/bad"],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_first_member_is_asked(place: str, folder: Path) -> None:
    Path("bad.toml").write_text(MEMBER.replace('run = "neighbour"', 'run = "bad"'))
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).mkdir() if place.endswith("/") else Path(place).write_text("a file")
    with pytest.raises(OSError, match=place.rstrip("/")):
        submit("bad.toml")


def write_sample(cell: Callable[[int], str]) -> None:
    Path("toys/sample_submission.csv").write_text("\n".join(["id,answer", *(f"q{n},{cell(n)}" for n in range(30, 40))]))


def test_a_metric_that_the_sample_has_no_room_for_is_refused(folder: Path) -> None:
    def prepare(metric: str) -> str:
        Path("toys/quorum.toml").write_text(f"metric = {json.dumps(metric)}\n")
        return prepare_competition(find_competition(Path("toys")), Workspace()).metric

    for metric, needed in (("log-loss", "probabilities"), ("map@3", "3 labels in each row")):
        with pytest.raises(BadInput, match=f"quorum.toml: metric '{metric}' needs {needed}, and the sample has"):
            prepare(metric)
    assert [prepare(metric) for metric in ("accuracy", "macro-f1", "map@1")] == ["accuracy", "macro-f1", "map@1"]
    write_sample(lambda n: "A B")
    assert prepare("map@2") == "map@2"
    with pytest.raises(BadInput, match="needs 3 labels in each row"):
        prepare("map@3")
    rows = [f"q{n},0.5,0.5" for n in range(30, 40)]
    Path("toys/sample_submission.csv").write_text("\n".join(["id,A,B", *rows]))
    assert prepare("log-loss") == "log-loss"
