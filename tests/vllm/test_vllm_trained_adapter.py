"""An adapter that the training kernel made, in both backends. The kernel runs in .venv, where TRL is; vLLM is here.

The file's name puts it last: an engine that is collected takes the process groups of the others with it.
"""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("vllm") is None:
    pytest.skip(
        "vllm is not installed in this environment; `make test` runs this in .venv-vllm", allow_module_level=True
    )

from quorum.model.transformers import Transformers, TransformersSettings
from quorum.model.vllm import Vllm
from quorum.model.vllm_settings import VllmSettings
from tests.support.largest import largest_rows, write_largest
from tests.support.paths import ROOT
from tests.support.tiny import tiny_model

TRAINER = ROOT / ".venv" / "bin" / "python"
PROMPTS = [row.prompt for row in largest_rows(40, seed=7)]


@pytest.fixture(scope="module", params=["trl", "unsloth"])
def adapter(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    if not TRAINER.exists():
        pytest.skip(f"{TRAINER} is not there to train with; `make test` makes it")
    if not list((ROOT / ".venv").glob(f"lib/*/site-packages/{request.param}")):
        pytest.skip(f"{request.param} is not installed in .venv; `make test` installs locks/unsloth-cpu.txt")
    folder = tmp_path_factory.mktemp("trained")
    write_largest(folder / "train.csv", 60)
    (folder / "train.toml").write_text(
        f'run = "toy"\ntrain = "train.csv"\nout = "out"\n[trainer]\nname = "sft"\nmodel = "{base()}"\n'
        f'engine = "{request.param}"\n'
        "steps = 10\nbatch = 4\nlearning_rate = 0.01\n"
    )
    command = [str(TRAINER), str(ROOT / "kernels" / "train.py"), "train.toml"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out" / "adapter"


def base() -> str:
    return str(tiny_model("qwen3", chat=True, head_dim=32))  # the smallest head that vllm knows on a CPU


def test_an_adapter_that_was_trained_gives_equal_letters_in_both_backends_and_others_than_its_base(
    adapter: Path,
) -> None:
    expected = Transformers(TransformersSettings(model=base(), adapter=str(adapter))).answer(PROMPTS)
    found = Vllm(VllmSettings(model=base(), adapter=str(adapter), kv_cache_memory_bytes=32 * 2**20)).answer(PROMPTS)
    assert [reply.text for reply in found] == [reply.text for reply in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.label_logprobs == pytest.approx(other.label_logprobs, abs=1e-3)
    assert [reply.text for reply in Transformers(TransformersSettings(model=base())).answer(PROMPTS)] != [
        reply.text for reply in found
    ]
