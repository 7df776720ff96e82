"""A finished step is reused, an interrupted one goes on, and either starts again when its inputs have changed."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from quorum.competition import kernel_process, step_inputs
from quorum.competition.kernel_process import KernelFailed
from quorum.competition.step import (
    JOURNAL_FILE,
    RECORD_FILE,
    KernelStep,
    StepResult,
    find_trained,
    forget_step,
    run_step,
)
from quorum.competition.step_inputs import describe_inputs, list_changes
from quorum.disk import hold_lock
from quorum.errors import BadInput

# A kernel that notes each start, and writes what the steps of its kind write.
STORY = """
import json, sys
from pathlib import Path
words = dict(word.split("=", 1) for word in sys.argv[2:])
out = Path(json.loads(words["out"]))
with open("starts", "a") as file:
    print(Path(sys.argv[0]).stem, json.loads(words.get("limits.journal", '""')), file=file)
(out / "model").mkdir(parents=True, exist_ok=True)
(out / "model" / "weights").write_text(Path(json.loads(words["train"])).read_text())
for name in ("test.parquet", "heldout.parquet"):
    (out / name).write_text("answers")
manifest = {"run": "r", "questions": {}, "counts": {}, "prompt": {}, "precision": {}, "calls": {}}
failed = int(Path("failed").read_text()) if Path("failed").exists() else 0
(out / "run.json").write_text(json.dumps(manifest | {"failed": failed}))
"""
TOML = """
run = "mine"
train = "train.csv"
[backend]
name = "{backend}"
model = "base"
[trainer]
name = "encoder"
epochs = {epochs}
model = "base"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kernels").mkdir()
    for story in ("infer", "train", "vote"):
        (tmp_path / "kernels" / f"{story}.py").write_text(STORY)
    monkeypatch.setattr(kernel_process, "find_kernels", lambda: tmp_path / "kernels")
    monkeypatch.setattr(kernel_process, "_list_libraries", lambda *_: ())  # these kernels import nothing
    monkeypatch.setattr(step_inputs, "_list_versions", lambda: {"torch": "2.0"})
    Path("base").mkdir()
    Path("base/weights").write_text("base")
    Path("train.csv").write_text("rows")
    write_toml()
    return tmp_path


def write_toml(backend: str = "encoder", epochs: int = 1) -> None:
    Path("mine.toml").write_text(TOML.format(backend=backend, epochs=epochs))


def run(story: Literal["infer", "train", "vote"] = "train") -> tuple[StepResult, list[str]]:
    lines: list[str] = []
    step = KernelStep(
        story=story, toml=Path("mine.toml"), settings={"out": "runs/mine", "train": "./train.csv", "backend.scale": 2.0}
    )
    return run_step(step, lines.append), lines


def starts() -> list[str]:
    return Path("starts").read_text().splitlines()


def test_a_finished_training_is_reused_and_reported_in_one_line(folder: Path) -> None:
    first, lines = run()
    assert (first.reused, lines) == (False, [])
    second, lines = run()
    assert second == StepResult(first.seconds, True)
    assert len(lines) == 1
    assert lines[0].startswith("mine: unchanged since 20")
    assert lines[0].endswith(", reused (runs/mine)")
    assert len(starts()) == 1
    assert find_trained(Path("runs/mine")) == Path("runs/mine/model")


CHANGES: Mapping[str, tuple[Callable[[pytest.MonkeyPatch], object], str]] = {
    "rows": (lambda _: Path("train.csv").write_text("other rows"), "rows"),
    "settings": (lambda _: write_toml(epochs=2), "setting trainer.epochs"),
    "base model": (lambda _: Path("base/weights").write_text("other weights"), "base model"),
    "library": (
        lambda patch: patch.setattr(step_inputs, "_list_versions", lambda: {"torch": "2.1"}),
        "version of torch",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_training_with_other_inputs_is_not_reused(what: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    change, named = CHANGES[what]
    change(monkeypatch)
    Path("runs/mine/model/leftover").write_text("of the old training")
    result, lines = run()
    assert not result.reused
    assert lines == [f"mine: not reused, because of changes: {named}"]
    assert len(starts()) == 2
    assert not Path("runs/mine/model/leftover").exists()
    assert run()[0].reused


def test_a_training_whose_model_was_changed_or_deleted_is_repeated(folder: Path) -> None:
    run()
    Path("runs/mine/model/weights").write_text("damaged")
    assert not run()[0].reused
    Path("runs/mine/model/weights").unlink()
    assert not run()[0].reused
    assert run()[0].reused


def interrupt() -> None:
    """Make the finished step one that was killed, with a checkpoint."""
    record = json.loads(Path("runs/mine", RECORD_FILE).read_text())
    Path("runs/mine", RECORD_FILE).write_text(json.dumps(record | {"outputs": {}, "finished": ""}))
    checkpoint = Path("runs/mine/checkpoints/checkpoint-8")
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")


def test_an_interrupted_training_goes_on_from_its_checkpoint(folder: Path) -> None:
    run()
    interrupt()
    result, lines = run()
    assert not result.reused
    assert lines == ["mine: continues the interrupted training from runs/mine/checkpoints/checkpoint-8"]
    assert Path("runs/mine/checkpoints/checkpoint-8").exists()


def test_an_interrupted_training_with_other_rows_starts_again(folder: Path) -> None:
    run()
    interrupt()
    Path("train.csv").write_text("other rows")
    assert run()[1] == ["mine: not reused, because of changes: rows"]
    assert not Path("runs/mine/checkpoints").exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"inputs": {}, "unknown": 1}', "\0", '{"inputs": []}', '{"inputs": {"rows": [1]}}']
    + ['{"inputs": {}, "outputs": 1}'],
)
def test_a_record_that_cannot_be_read_is_no_record(content: str, folder: Path) -> None:
    run()
    Path("runs/mine", RECORD_FILE).write_text(content)
    result, lines = run()
    assert not result.reused
    assert lines == ["mine: not reused, because runs/mine/step.json is missing or damaged"]
    assert run()[0].reused


def test_a_result_that_was_changed_or_has_lost_its_record_is_reported_and_repeated(folder: Path) -> None:
    run("infer")
    Path("runs/mine/heldout.parquet").unlink()
    assert run("infer")[1] == ["mine: not reused, because heldout.parquet was changed or deleted"]
    Path("runs/mine", RECORD_FILE).unlink()
    assert run("infer")[1] == ["mine: not reused, because runs/mine/step.json is missing or damaged"]


@pytest.mark.parametrize(("backend", "kept"), [("endpoint", True), ("encoder", False)])
def test_without_a_record_only_the_replies_of_a_server_are_kept_and_fresh_keeps_none(
    backend: str, kept: bool, folder: Path
) -> None:
    write_toml(backend=backend)
    run("infer")
    journal = Path("runs/mine", JOURNAL_FILE)
    journal.write_text("replies")
    Path("runs/mine", RECORD_FILE).unlink()
    run("infer")
    assert journal.exists() == kept
    journal.write_text("replies")
    forget_step(Path("runs/mine"), Path("mine.toml"), print)
    assert run("infer")[1] == []
    assert not journal.exists()


def test_a_model_that_the_step_downloads_itself_is_not_another_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    Path("mine.toml").write_text(TOML.format(backend="encoder", epochs=1).replace('"base"', '"owner/model"'))
    commit = Path("hub/models--owner--model/refs/main")
    download = f"Path('{commit}').parent.mkdir(parents=True, exist_ok=True); Path('{commit}').write_text('c1')\n"
    (folder / "kernels" / "train.py").write_text(STORY + download)
    assert not run()[0].reused
    assert commit.read_text() == "c1"
    assert run()[0].reused
    record = json.loads(Path("runs/mine", RECORD_FILE).read_text())
    assert set(record["inputs"]["base model"].values()) == {"c1"}
    commit.write_text("c2")
    assert run()[1] == ["mine: not reused, because of changes: base model"]
    commit.unlink()
    (folder / "kernels" / "train.py").write_text(STORY + download + "sys.exit(1)\n")
    with pytest.raises(KernelFailed):
        run()
    checkpoint = Path("runs/mine/checkpoints/checkpoint-8")
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    (folder / "kernels" / "train.py").write_text(STORY)
    assert run()[1] == [f"mine: continues the interrupted training from {checkpoint}"]


def test_a_member_gets_a_journal_and_keeps_it_until_a_library_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("infer")
    assert starts() == [f"infer runs/mine/{JOURNAL_FILE}"]
    journal = Path("runs/mine", JOURNAL_FILE)
    journal.write_text("replies")
    Path("train.csv").write_text("other rows")
    run("infer")
    assert journal.exists(), "the journal's own keys know the rows"
    monkeypatch.setattr(step_inputs, "_list_versions", lambda: {"torch": "2.1"})
    run("infer")
    assert not journal.exists()


def test_replies_of_a_server_do_not_depend_on_libraries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml(backend="endpoint")
    run("infer")
    journal = Path("runs/mine", JOURNAL_FILE)
    journal.write_text("replies")
    monkeypatch.setattr(step_inputs, "_list_versions", lambda: {"torch": "2.1"})
    assert not run("infer")[0].reused
    assert journal.exists()


def test_a_member_with_failed_prompts_is_not_finished(folder: Path) -> None:
    Path("failed").write_text("3")
    run("infer")
    assert not run("infer")[0].reused
    Path("failed").write_text("0")
    assert not run("infer")[0].reused
    assert run("infer")[0].reused


def test_a_journal_that_the_toml_names_is_used_and_moved_aside_by_fresh(folder: Path) -> None:
    text = Path("mine.toml").read_text()
    Path("mine.toml").write_text('limits.journal = "mine.sqlite"\n' + text)
    run("infer")
    assert starts() == ["infer "], "the TOML's own journal is not overridden"
    for name in ("mine.sqlite", "mine.sqlite-wal"):
        Path(name).write_text(name)
    lines: list[str] = []
    forget_step(Path("runs/mine"), Path("mine.toml"), lines.append)
    assert lines == ["mine.sqlite: moved to mine.sqlite.old, so that everything is asked again"]
    assert Path("mine.sqlite.old").read_text() == "mine.sqlite"
    assert Path("mine.sqlite.old-wal").read_text() == "mine.sqlite-wal"
    assert not Path("mine.sqlite").exists()
    assert not run("infer")[0].reused


def test_a_forgotten_step_starts_from_nothing(folder: Path) -> None:
    run()
    forget_step(Path("runs/mine"), Path("mine.toml"), print)
    forget_step(Path("runs/mine"), Path("mine.toml"), print)
    Path("runs/mine/model/leftover").write_text("old")
    result, lines = run()
    assert (result.reused, lines) == (False, [])
    assert not Path("runs/mine/model/leftover").exists()


def test_a_user_s_folder_in_the_place_of_a_training_is_kept(folder: Path) -> None:
    mine = Path("runs/mine")
    mine.mkdir(parents=True)
    (mine / "precious").write_text("precious")
    with pytest.raises(BadInput, match="was not created by Quorum"):
        run()
    assert [path.name for path in mine.iterdir()] == ["precious"]


def test_a_second_process_waits_for_the_first_and_reuses_its_result(folder: Path) -> None:
    results: list[tuple[StepResult, list[str]]] = []
    Path("runs").mkdir()
    second = threading.Thread(target=lambda: results.append(run()))
    with hold_lock(Path("runs/mine.log"), lambda: None):
        second.start()
        time.sleep(0.3)
        assert not results
    second.join(60)
    assert results[0][1] == ["mine: waits for another process that works on it"]


def test_the_version_of_our_own_code_is_part_of_the_inputs(tmp_path: Path) -> None:
    described = describe_inputs({}, "rows")
    versions: Any = described["library version"]
    assert len(versions["Quorum's code"]) == 64
    assert {"python", "torch", "polars"} <= versions.keys()
    changed = {**described, "library version": {**versions, "torch": "0"}}
    assert list_changes(described, changed) == ["version of torch"]
    assert list_changes(described, described) == []


def test_words_that_happen_to_name_a_folder_are_not_files(folder: Path) -> None:
    described = describe_inputs({"prompt": {"style": "base", "note": "base"}, "questions": ["train.csv"]}, "questions")
    assert list(described["questions"]) == ["questions.0"]
