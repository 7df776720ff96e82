"""The kernels that ask through vLLM, as Kaggle runs them: alone, without a network, a model on two workers.

What they ask is tiny, in the very formats of the hub: an adapter that the training kernel made (in .venv, where its
engine is), a checkpoint in AWQ's 4 bits.
"""

import shutil
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("vllm") is None:
    pytest.skip(
        "vllm is not installed in this environment; `make test` runs this in .venv-vllm", allow_module_level=True
    )

from quorum.model.transformers import Transformers, TransformersSettings
from quorum.model.vllm import Vllm
from quorum.model.vllm_settings import VllmSettings
from tests.support import built_kernels
from tests.support.awq import write_awq
from tests.support.built_kernels import (
    CPU,
    INSTALLED,
    SAMPLE,
    build_kernels,
    chained,
    hand_on,
    log_alone,
    outputs,
    run_alone,
)
from tests.support.largest import largest_rows
from tests.support.paths import ROOT
from tests.support.tiny import tiny_model

TRAINER = ROOT / ".venv" / "bin" / "python"
JOURNAL = "replies.sqlite"
SMALL = ("backend.max_model_len=512", "backend.kv_cache_memory_bytes=33554432")
PROMPTS = [row.prompt for row in largest_rows(40, seed=7)]


def base() -> Path:
    return tiny_model("qwen3", chat=True, head_dim=32)  # the smallest head that vllm knows on a CPU


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return built_kernels.fake_kaggle(tmp_path / "kaggle")


def test_an_awq_checkpoint_gives_the_letters_of_its_rounded_weights(tmp_path: Path) -> None:
    write_awq(base(), tmp_path / "awq", tmp_path / "rounded")
    found = Vllm(VllmSettings(model=str(tmp_path / "awq"), dtype="float16", kv_cache_memory_bytes=32 * 2**20)).answer(
        PROMPTS
    )
    expected = Transformers(TransformersSettings(model=str(tmp_path / "rounded"))).answer(PROMPTS)
    assert [reply.text for reply in found] == [reply.text for reply in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.label_logprobs == pytest.approx(other.label_logprobs, abs=0.02)  # half precision
    assert [reply.text for reply in Transformers(TransformersSettings(model=str(base()))).answer(PROMPTS)] != [
        reply.text for reply in found
    ]


def test_the_7b_chain_trains_in_4_bits_and_answers_in_halves_byte_for_byte_like_the_package(
    kernels: Path, root: Path, tmp_path: Path
) -> None:
    if not TRAINER.exists():
        pytest.skip(f"{TRAINER} is not there to train with; `make test` makes it")
    shutil.copytree(base(), root / "input" / "qwen2.5-coder" / "transformers" / "7b-instruct" / "1")
    quick = ("trainer.dtype=float32", "trainer.steps=3", "split.held_out=0.3")
    log_alone(tmp_path / "train", kernels, "train-7b", root, *quick, *CPU, python=str(TRAINER), environment=INSTALLED)
    hand_on(root, "train-7b")
    small = (*SMALL, "backend.dtype=float32")
    chained(kernels, root, tmp_path, "vllm-7b", *small, alone=CPU, environment=INSTALLED, compared=answers)
    assert_answered(root / "input" / "quorum-vllm-7b")


def test_the_32b_kernel_answers_in_4_bits_and_halves_byte_for_byte_like_the_package(
    kernels: Path, root: Path, tmp_path: Path
) -> None:
    mounted = root / "input" / "qwen2.5" / "transformers" / "32b-instruct-awq" / "1"
    write_awq(base(), mounted, tmp_path / "rounded")
    chained(kernels, root, tmp_path, "vllm-32b", *SMALL, alone=CPU, environment=INSTALLED, compared=answers)
    assert_answered(root / "input" / "quorum-vllm-32b")


def answers(folder: Path) -> dict[str, Any]:
    """The bytes of all files, and the rows of the journal, whose file counts SQLite's writes as well."""
    found: dict[str, Any] = dict(outputs(folder))
    with closing(sqlite3.connect(folder / JOURNAL)) as journal:
        rows = journal.execute("SELECT * FROM replies ORDER BY key").fetchall()
    return {name: each for name, each in found.items() if not name.startswith(JOURNAL)} | {JOURNAL: rows}


def assert_answered(folder: Path) -> None:
    rows = (folder / "submission.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "q2", "q1"]
    assert {row.split(",")[1] for row in rows[1:]} <= {"A", "B", "C"}
    assert len(answers(folder)[JOURNAL]) == 2


def test_a_vllm_kernel_without_its_model_leaves_a_legal_submission_and_gives_the_reason(
    kernels: Path, root: Path, tmp_path: Path
) -> None:
    mounted = root / "input" / "qwen2.5" / "transformers" / "32b-instruct-awq" / "1"
    write_awq(base(), mounted, tmp_path / "rounded")
    cut = (mounted / "model.safetensors").read_bytes()[:-100]
    (mounted / "model.safetensors").write_bytes(cut)
    done = run_alone(tmp_path / "alone", kernels, "vllm-32b", root, *SMALL, *CPU, environment=INSTALLED)
    assert done.returncode == 2
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "vllm cannot load" in told
    assert "SafetensorError" in done.stdout + done.stderr  # the worker's own words, above
    assert (root / "working" / "submission.csv").read_text() == SAMPLE
