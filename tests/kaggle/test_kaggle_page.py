"""docs/kaggle.md, followed to the letter by somebody called ada, with a stub for Kaggle."""

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.support.kaggle_stub import USER
from tests.support.paths import ROOT
from tests.support.wheel import wheel

PAGE = (ROOT / "docs" / "kaggle.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for language, block in BLOCKS if not language for line in block.splitlines()]
TRAIN = [f"t{i},Which is thing number {i * 37}?,\"['x{i}', 'y{i}', 'z{i}']\",{'ABC'[i % 3]}" for i in range(40)]
FILES = {
    "train.csv": "\n".join(["id,question,choices,answer", *TRAIN, ""]),
    "test.csv": "id,question,choices\nq1,Which is red?,\"['rose', 'sky']\"\n",
    "sample_submission.csv": "id,answer\nq1,A\n",
}
ADAPTER = {"adapter/adapter_config.json": b'{"r": 16}', "adapter/adapter_model.safetensors": b"weights"}


def archive():
    """The competition as Kaggle sends it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, text in FILES.items():
            file.writestr(name, text)
    return stream.getvalue()


@pytest.fixture
def checkout(tmp_path):
    """What a newcomer works in, after the page's edits; the wheels are two small ones of our own."""
    for name in ("scripts", "kernels", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    toml = tmp_path / "kernels" / "kaggle.toml"
    text = toml.read_text().replace("your-kaggle-name", USER).replace("your-competition", "letters")
    split = 'dataset_sources = ["ada/letters-split"]\n\n[causal.kaggle]\n'
    toml.write_text(text.replace("[causal.kaggle]\n", split))
    (tmp_path / "index").mkdir()
    wheel(tmp_path / "index", "alpha")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "kaggle-gpu.txt").write_text("alpha==1.0\n")
    for name in ("kaggle-light.txt", "kaggle.txt"):
        shutil.copy(ROOT / "locks" / name, tmp_path / "locks")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_of_the_page_runs_in_its_order(stub, checkout):
    stub.data, stub.states, stub.dataset_states, stub.submission_states = (
        archive(),
        ["COMPLETE"],
        ["READY"],
        ["COMPLETE"],
    )
    seven, larger = "transformers/7b-instruct", "transformers/32b-instruct-awq"
    for model in (f"qwen2.5/{seven}", f"qwen2.5-coder/{seven}", f"qwen2.5/{larger}"):
        stub.models[f"qwen-lm/{model}"] = []
    environment = stub.environment(checkout / "home") | {
        "PATH": os.defpath,
        "PYTHONPATH": str(checkout / "src"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout / "index"),
    }
    for command in COMMANDS:
        if command == "quorum bundle causal":
            command += " encoder"  # which the page runs here, further down
        if command.endswith("--session 11"):  # what the kernel leaves is what a run leaves here
            left = (checkout / "runs" / "letters" / "neighbour").iterdir()
            stub.outputs = {path.name: path.read_bytes() for path in left if path.suffix in (".csv", ".parquet")}
            if "train-7b" in command:
                stub.outputs |= ADAPTER
        command = re.sub(r'(?<=")you(?=[/"])|(?<= )you(?=/)', USER, command.replace("NAME", "letters"))
        if command.startswith("quorum send") and stub.submissions:  # here each run leaves the same bytes
            command += " --again"
        if command.startswith("quorum submit"):
            command += " --member kernels/neighbour.toml"
        command = re.sub("^quorum ", f"{sys.executable} -m quorum.cli ", command)
        done = subprocess.run(command, shell=True, cwd=checkout, env=environment, capture_output=True, text=True)  # noqa: S602
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert len(stub.submissions) == 3
    (version,) = stub.models[f"{USER}/letters-7b/transformers/lora"]
    assert version["adapter_model.safetensors"] == b"weights"
    assert stub.last("SaveKernel")["sessionTimeoutSeconds"] == 11 * 3600
