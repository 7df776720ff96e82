import json
import os

import pytest

from tests.support.paths import ROOT
from tests.support.verb import run_verb
from tests.support.wheel import wheel


@pytest.fixture
def index(tmp_path):
    """A folder of wheels that stands for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, "alpha", needs="beta")
    wheel(folder, "beta", tag="cp312-cp312-manylinux_2_28_x86_64")
    wheel(folder, "gamma", tag="cp311-cp311-manylinux_2_28_x86_64")
    return folder


def run(tmp_path, index, requirements):
    (tmp_path / "pins.txt").write_text(requirements)
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
    return run_verb("wheels", "pins.txt", "--id=ada/quorum-wheels", "--out=w", cwd=tmp_path, env=env)


def test_wheels_for_kaggles_python_are_gathered_with_a_marker_and_metadata(tmp_path, index):
    done = run(tmp_path, index, "alpha==1.0\nbeta==1.0  # compiled\n")
    assert done.returncode == 0, done.stderr
    assert "in total, 2 wheels in w; next: quorum push w" in done.stdout
    marker = json.loads((tmp_path / "w" / "wheels.json").read_text())
    assert [entry["name"] for entry in marker["wheels"]] == [
        "alpha-1.0-py3-none-any.whl",
        "beta-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    ]
    told = json.loads((tmp_path / "w" / "dataset-metadata.json").read_text())
    assert (told["id"], told["title"]) == ("ada/quorum-wheels", "Quorum wheels")


def test_a_missing_dependency_is_found_before_kaggle_finds_it(tmp_path, index):
    done = run(tmp_path, index, "alpha==1.0\n")
    assert done.returncode == 2
    assert "pip install: ERROR" in done.stderr
    assert "beta" in done.stderr


def test_a_dependency_that_is_there_from_an_earlier_download_does_not_count(tmp_path, index):
    run(tmp_path, index, "alpha==1.0\nbeta==1.0\n")
    done = run(tmp_path, index, "alpha==1.0\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: pins.txt: its packages need beta==1.0 too; add them there\n"


def test_a_wheel_that_is_not_needed_is_removed(tmp_path, index):
    run(tmp_path, index, "alpha==1.0\nbeta==1.0\n")
    done = run(tmp_path, index, "beta==1.0\n")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "w").glob("*.whl")] == ["beta-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"]
    assert len(json.loads((tmp_path / "w" / "wheels.json").read_text())["wheels"]) == 1


@pytest.mark.parametrize(("more", "code", "told"), [("beta==1.0\n", 0, ""), ("beta\n", 2, "more.txt, line 1: 'beta'")])
def test_requirements_may_name_others(tmp_path, index, more, code, told):
    (tmp_path / "more.txt").write_text(more)
    done = run(tmp_path, index, "-r more.txt\nalpha==1.0\n")
    assert done.returncode == code, done.stderr
    assert told in done.stderr


def test_a_wheel_for_another_python_is_not_taken(tmp_path, index):
    done = run(tmp_path, index, "gamma==1.0\n")
    assert done.returncode == 2
    assert "gamma==1.0" in done.stderr


def test_a_requirement_without_a_version_is_refused(tmp_path, index):
    done = run(tmp_path, index, "alpha==1.0\nbeta>=1\n")
    assert done.returncode == 2
    assert "pins.txt, line 2: 'beta>=1' has no version of its own" in done.stderr


def test_the_wheels_of_a_kernel_are_those_of_the_other_requirements():
    def pins(name):
        lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
        return {line.lower().replace("_", "-") for line in lines if "==" in line}

    assert pins("requirements.txt") | pins("requirements-gpu.txt") <= pins("locks/kaggle-gpu.txt")
    assert pins("locks/kaggle-light.txt") <= pins("requirements.txt")
