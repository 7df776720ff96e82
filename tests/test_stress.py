import subprocess
import sys

import pytest

from tests.support.paths import ROOT

FILES = {
    "train.csv": "id,question,choices,answer\nt1,Which is red?,\"['rose', 'sky']\",A\n",
    "test.csv": "id,question,choices\nq1,Which is blue?,\"['rose', 'sky']\"\n",
    "sample_submission.csv": "id,answer\nq1,A\n",
}


def stress(tmp_path, *arguments, out="out", **files):
    folder = tmp_path / "letters"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(files.get(name.split(".")[0], text))
    command = [sys.executable, str(ROOT / "scripts" / "stress.py"), "letters", out, *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_each_row_stands_there_so_many_times_with_an_id_of_its_own(tmp_path):
    done = stress(tmp_path, "--times", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "sample_submission.csv").read_text() == "id,answer\nunseen0-q1,A\nunseen1-q1,A\n"


@pytest.mark.parametrize("name", ["test", "sample_submission"])
def test_blank_lines_are_no_rows(tmp_path, name):
    done = stress(tmp_path, "--times", "2", **{name: FILES[f"{name}.csv"] + "\n\n"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / f"{name}.csv").read_text().count("unseen") == 2


def test_the_id_need_not_come_first(tmp_path):
    done = stress(tmp_path, "--times", "1", sample_submission="answer,id\nA,q1\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "sample_submission.csv").read_text() == "answer,id\nA,unseen0-q1\n"


@pytest.mark.parametrize("times", ["0", "-1", "ten"])
def test_fewer_copies_than_one_are_refused(tmp_path, times):
    done = stress(tmp_path, f"--times={times}")
    assert done.returncode == 2
    assert f"argument --times: '{times}' is not a whole number of 1 or more" in done.stderr


@pytest.mark.parametrize("out", ["letters", "letters/../letters"])
def test_the_competition_itself_is_not_written_over(tmp_path, out):
    done = stress(tmp_path, out=out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "this is the competition's own folder" in done.stderr
    assert (tmp_path / "letters" / "test.csv").read_text() == FILES["test.csv"]


def test_an_empty_sample_is_reported(tmp_path):
    done = stress(tmp_path, sample_submission="")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sample_submission.csv: the file is empty" in done.stderr
