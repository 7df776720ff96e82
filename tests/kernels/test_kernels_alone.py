"""The project's kernels as Kaggle runs them: alone, without a network, one's output the next one's input."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from quorum.files.check import check_submission
from quorum.files.sample import read_sample
from quorum.kaggle.metadata import read_kernel_metadata
from tests.support import built_kernels
from tests.support.built_kernels import (
    CPU,
    INSTALLED,
    KERNELS,
    SAMPLE,
    TRAIN,
    build_kernels,
    chained,
    log_alone,
    run_alone,
)
from tests.support.paths import ROOT
from tests.support.tiny import tiny_model
from tests.support.tiny_t5 import t5_folder


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return build_kernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def fake_kaggle(tmp_path):
    return built_kernels.fake_kaggle(tmp_path / "kaggle")


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_of_the_project_builds_with_metadata_that_holds(kernels, name):
    metadata = read_kernel_metadata(kernels / name)
    assert metadata.code_file == f"{name}.py"
    text = (kernels / name / metadata.code_file).read_text()
    undefined = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F822,F823", "-"]
    done = subprocess.run(undefined, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


QLORA = (
    "trainer.dtype=float32",
    "trainer.steps=3",
    "split.held_out=0.3",
)  # a CPU's bfloat16 would do, its float16 is slow
SHORT = ("trainer.epochs=1.0", "trainer.batch=4", "trainer.frozen_layers=5", "split.held_out=0.3")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_kernel_that_is_killed_leaves_a_legal_submission(kernels, fake_kaggle, sent):
    submission = fake_kaggle / "working" / "submission.csv"
    script = kernels / "encoder" / "encoder.py"
    with subprocess.Popen([sys.executable, "-I", str(script), f"kaggle={fake_kaggle}"], stdout=subprocess.PIPE) as run:
        while not submission.exists() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(sent)
    assert submission.read_text() == SAMPLE


def test_a_rerun_with_ten_times_the_questions_and_unseen_ids_is_answered(kernels, fake_kaggle, tmp_path):
    inputs = fake_kaggle / "input" / "competitions" / "your-competition"
    raw = tmp_path / "raw"
    inputs.rename(raw)
    command = [sys.executable, str(ROOT / "scripts" / "stress.py"), str(raw), str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    log_alone(tmp_path / "alone", kernels, "neighbour", fake_kaggle)
    rows = (fake_kaggle / "working" / "submission.csv").read_text().splitlines()
    assert rows[0] == "id,answer"
    assert [row.split(",")[0] for row in rows[1:]] == [
        f"unseen{turn}-{id}" for turn in range(10) for id in ("q2", "q1")
    ]
    assert {row.split(",")[1] for row in rows[1:]} <= {"A", "B", "C"}


@pytest.mark.parametrize(
    ("name", "overrides", "message", "letters"),
    [
        ("encoder-tuned", (), "quorum-train-encoder/model is not mounted", "AA"),
        ("vote", (), "quorum-encoder/test.parquet is not mounted", "BB"),  # it reads train, whose answers are all B
        ("causal", ("gpus=99",), "GPUs, but the kernel's machine_shape has 99", "CA"),
        ("vllm-7b", ("gpus=0",), "quorum-wheels is not mounted", "CA"),
    ],
)
def test_a_kernel_that_lacks_something_leaves_a_legal_submission(
    kernels, fake_kaggle, tmp_path, name, overrides, message, letters
):
    inputs = fake_kaggle / "input" / "competitions" / "your-competition"
    (inputs / "train.csv").write_text(TRAIN.replace('",A\n', '",B\n'))
    (inputs / "sample_submission.csv").write_text("id,answer\nq2,C\nq1,A\n")
    done = run_alone(tmp_path / "alone", kernels, name, fake_kaggle, *overrides)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr
    submission = (fake_kaggle / "working" / "submission.csv").read_text()
    assert submission == f"id,answer\nq2,{letters[0]}\nq1,{letters[1]}\n"


def test_a_sample_with_a_mark_and_windows_line_ends_is_answered(kernels, fake_kaggle, tmp_path):
    sample = fake_kaggle / "input" / "competitions" / "your-competition" / "sample_submission.csv"
    sample.write_bytes(b"\xef\xbb\xbf" + SAMPLE.replace("\n", "\r\n").encode())
    log_alone(tmp_path / "alone", kernels, "neighbour", fake_kaggle)
    submission = fake_kaggle / "working" / "submission.csv"
    assert check_submission(submission, read_sample(sample), {"q1": ("A", "B"), "q2": ("A", "B", "C")}) == []
    assert submission.read_bytes().startswith(b"id,answer\nq2,")


@pytest.mark.parametrize("name", ["sample_submission.csv", "test.csv"])
def test_a_kernel_without_its_questions_or_its_sample_tells_which(kernels, fake_kaggle, tmp_path, name):
    (fake_kaggle / "input" / "competitions" / "your-competition" / name).unlink()
    done = run_alone(tmp_path / "alone", kernels, "neighbour", fake_kaggle)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"your-competition/{name} is not mounted" in done.stderr


def test_a_kernel_whose_deadline_is_over_at_once_leaves_the_prior_and_says_so(kernels, fake_kaggle, tmp_path):
    done = run_alone(tmp_path / "alone", kernels, "neighbour", fake_kaggle, "limits.deadline=0")
    assert done.returncode == 0, done.stderr
    assert "deadline: 0 minutes" in done.stdout
    assert "deadline of 0 minutes: 2 questions were not asked" in done.stderr
    submission = fake_kaggle / "working" / "submission.csv"
    sample = fake_kaggle / "input" / "competitions" / "your-competition" / "sample_submission.csv"
    assert check_submission(submission, read_sample(sample), {"q1": ("A", "B"), "q2": ("A", "B", "C")}) == []
    assert submission.read_text() == SAMPLE


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_the_kernels_run_alone_and_chain_with_the_package_s_very_bytes(kernels, fake_kaggle, tmp_path):
    logs = [
        chained(kernels, fake_kaggle, tmp_path, "encoder"),
        chained(kernels, fake_kaggle, tmp_path, "neighbour"),
    ]
    assert all("mounts: input/competitions/your-competition" in log for log in logs)
    chained(kernels, fake_kaggle, tmp_path, "train-encoder", *SHORT, compared=weights)
    chained(kernels, fake_kaggle, tmp_path, "encoder-tuned")
    chained(kernels, fake_kaggle, tmp_path, "vote")
    assert (fake_kaggle / "input" / "quorum-vote" / "submission.csv").read_text().splitlines()[0] == "id,answer"


@pytest.mark.slow
def test_the_kernels_that_read_background_run_alone_with_the_package_s_very_bytes(kernels, fake_kaggle, tmp_path):
    background = fake_kaggle / "input" / "datasets" / "ada" / "quorum-background"
    background.mkdir(parents=True)
    (background / "items.txt").write_text("\n\n".join(f"Item {i} of the list is a{i}." for i in range(9)))
    chained(kernels, fake_kaggle, tmp_path, "encoder-rag")
    chained(kernels, fake_kaggle, tmp_path, "train-encoder-rag", *SHORT, compared=weights)
    chained(kernels, fake_kaggle, tmp_path, "encoder-rag-tuned")


@pytest.mark.slow
def test_the_kernels_of_language_models_run_alone_with_the_package_s_very_bytes(kernels, fake_kaggle, tmp_path):
    models = fake_kaggle / "input"
    shutil.copytree(tiny_model("qwen3", chat=True), models / "qwen2.5" / "transformers" / "7b-instruct" / "1")
    shutil.copytree(t5_folder(), models / "flan-t5" / "pytorch" / "base" / "4")
    chained(kernels, fake_kaggle, tmp_path, "causal", "backend.dtype=float32", alone=CPU)
    chained(
        kernels,
        fake_kaggle,
        tmp_path,
        "train-flan-t5",
        "trainer.epochs=1.0",
        "split.held_out=0.3",
        compared=weights,
        alone=CPU,
    )
    chained(kernels, fake_kaggle, tmp_path, "flan-t5", alone=CPU)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["trl", "unsloth"])
def test_the_kernel_that_trains_in_4_bits_runs_alone_with_the_package_s_very_bytes(
    kernels, fake_kaggle, tmp_path, engine
):
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed; `make test` installs locks/unsloth-cpu.txt")
    model = tiny_model("qwen3", chat=True)
    shutil.copytree(model, fake_kaggle / "input" / "qwen2.5-coder" / "transformers" / "7b-instruct" / "1")
    chained(
        kernels, fake_kaggle, tmp_path, "train-7b", *QLORA, f"trainer.engine={engine}",
        alone=CPU, environment=INSTALLED, forked=engine == "trl",  # Unsloth is imported before transformers
        compared=lambda folder: (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
    )  # fmt: skip
    made = json.loads((fake_kaggle / "input" / "quorum-train-7b" / "training.json").read_text())
    assert (made["engine"], made["method"], made["steps"]) == (engine, "qlora", 3)


def test_every_kernel_of_the_project_is_run_alone_by_a_test():
    tests = [Path(__file__), ROOT / "tests" / "vllm" / "test_vllm_kernels.py"]
    chains = re.findall(r'chained\(\s*kernels,\s*\w+,\s*\w+,\s*"([^"]+)"', "".join(path.read_text() for path in tests))
    assert set(chains) == set(KERNELS)
