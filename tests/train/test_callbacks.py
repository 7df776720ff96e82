import json
import math
from dataclasses import dataclass

import pytest
import torch
import transformers

from quorum.errors import BadInput
from quorum.question import Prompt
from quorum.train.callbacks import TrainingResult, make_callback, make_result
from quorum.train.card import write_card
from quorum.train.resume import last_checkpoint
from quorum.train.row import TrainingRow
from tests.support.tiny import tiny_model

torch.set_num_threads(1)
ROWS = [TrainingRow(Prompt(question_id=f"q{n}", content=f"{n}?", labels=("A", "B")), "A", "A") for n in range(8)]


@dataclass(frozen=True)
class ToyTuning:
    model: str
    rate: float = 0.1
    targets: tuple[str, ...] = ()


def trainer(out, progress=lambda done, total: None, steps=5, **settings):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    ids = [{"input_ids": [5, 6, 7, 8], "attention_mask": [1] * 4, "labels": [5, 6, 7, 8]}] * 64
    args = transformers.TrainingArguments(
        output_dir=str(out / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=2,
        logging_steps=2,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        save_steps=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        **settings,
    )
    return transformers.Trainer(
        model, args, train_dataset=ids, callbacks=[make_callback(out, progress, iter(range(99)).__next__)]
    )


def test_the_curve_is_written_as_it_grows_and_drawn_at_the_end(tmp_path):
    seen = []
    run = trainer(tmp_path, lambda done, total: seen.append((done, total)))
    run.train()
    told = make_result(run, tmp_path)
    assert seen == [(n, 5) for n in range(1, 6)]
    assert [step for step, _ in told.losses] == [1, 2, 4, 5]  # the last step too
    assert told.tokens == 5 * 2 * 4
    assert told.seconds == 4  # one tick of this clock at the beginning and at each log
    assert told.peak_bytes > 2**20
    curve = json.loads((tmp_path / "loss.json").read_text())["curve"]
    assert [(entry["step"], entry["loss"]) for entry in curve] == list(told.losses)
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"


def test_a_resumed_run_counts_the_time_and_tokens_from_before(tmp_path):
    trainer(tmp_path, steps=4).train()
    going_on = trainer(tmp_path, steps=6)
    going_on.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-4"))
    told = make_result(going_on, tmp_path)
    assert [step for step, _ in told.losses] == [1, 2, 4, 6]
    assert (told.steps, told.tokens, told.seconds) == (6, 48, 4)


def test_a_nan_loss_ends_the_run_with_a_hint(tmp_path):
    run = trainer(tmp_path)
    with torch.no_grad():
        run.model.lm_head.weight.fill_(math.nan)
    with pytest.raises(BadInput, match=r"the loss became nan at step 1; lower learning_rate"):
        run.train()


def test_the_last_complete_checkpoint_is_resumed_and_an_incomplete_one_is_not(tmp_path):
    assert last_checkpoint(tmp_path, ToyTuning("m"), ROWS) is None
    for step, state in ((8, "{}"), (16, "{}"), (24, '{"half'), (32, None)):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path, ToyTuning("m"), ROWS) == tmp_path / "checkpoints" / "checkpoint-16"


@pytest.mark.parametrize(
    ("tuning", "rows", "differs"), [(ToyTuning("m", rate=1.0), ROWS, "rate"), (ToyTuning("m"), ROWS[:4], "rows")]
)
def test_a_folder_with_another_training_is_refused(tmp_path, tuning, rows, differs):
    last_checkpoint(tmp_path, ToyTuning("m"), ROWS)
    assert last_checkpoint(tmp_path, tuning, rows) is None  # nothing was learnt there: the settings may be mended
    last_checkpoint(tmp_path, ToyTuning("m"), ROWS)
    (tmp_path / "checkpoints" / "checkpoint-8").mkdir(parents=True)
    (tmp_path / "checkpoints" / "checkpoint-8" / "trainer_state.json").write_text("{}")
    with pytest.raises(BadInput, match=rf"holds a training that differs in {differs}; name another folder"):
        last_checkpoint(tmp_path, tuning, rows)


def test_the_card_lists_everything_the_model_was_made_of(tmp_path):
    trained = TrainingResult(
        folder=tmp_path / "adapter", steps=5, seconds=2.0, tokens=40, losses=((1, 3.0), (5, 1.5)), peak_bytes=2**30
    )
    write_card(tmp_path, "owner/base", ToyTuning("owner/base", targets=("q", "v")), ROWS, trained, adapter=True)
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert card.startswith("---\nbase_model: owner/base\nlibrary_name: peft\n")
    assert 'targets = ["q", "v"]\n' in card
    assert "rate = 0.1\n" in card
    assert "8 of 8 questions, SHA-256 " in card
    assert "3.0000 at step 1, 1.5000 at step 5" in card
    assert "torch 2." in card
