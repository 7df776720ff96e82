"""An encoder that learns: the scores it answers with, made a loss over each question's options."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import Progress
from quorum.engine.checkpoint import choose_device
from quorum.errors import BadInput
from quorum.model.encoder import OptionScorer, open_scorer
from quorum.train.callbacks import make_callback, make_result
from quorum.train.card import write_card
from quorum.train.resume import last_checkpoint
from quorum.train.rows.row import TrainingRow
from quorum.train.settings import EncoderTuning
from quorum.train.trained import TrainingResult
from quorum.train.validate import explain_out_of_memory

if TYPE_CHECKING:
    import torch
    from transformers import Trainer, TrainingArguments

_TEXTS_AT_ONCE = 64  # in one forward pass; a step reads as many passes as its questions need


def tune_encoder(tuning: EncoderTuning, rows: Sequence[TrainingRow], out: Path, progress: Progress) -> TrainingResult:
    """OUT/model after training on those rows that have options; the encoder backend opens it.

    The loss is the cross-entropy of a softmax over a question's options, whose scores are those the backend answers
    with. A killed run goes on at its last checkpoint and ends with the same weights; equal settings and rows give them
    again on the same machine. Beside the model lie its card, the loss curve and checkpoints.

    Raises:
        BadInput: no row has options, no such model or device, nothing is left to learn or too many layers are to be
            frozen, the memory does not suffice, `out` holds another training, the loss is no number any more.
    """
    from transformers import set_seed

    lessons = [row for row in rows if row.prompt.options]
    if not lessons:
        raise BadInput(f"an encoder learns from options, and none of {len(rows)} rows to learn from has any")
    if tuning.smoke:
        tuning = replace(tuning, epochs=1.0, batch=min(tuning.batch, 8), log_every=1)
        lessons = sorted(lessons, key=lambda row: len(str(row.prompt.content)))[: 4 * tuning.batch]
    checkpoint = last_checkpoint(out, tuning, lessons)
    set_seed(tuning.seed)
    device = _learning_device(tuning)
    scorer = open_scorer(tuning.model, device, tuning.scale, _TEXTS_AT_ONCE, new_head=True)
    scorer.limit_tokens(tuning.max_tokens)
    _freeze(scorer.module, tuning)
    if not scorer.scores([lessons[0].prompt])[0].requires_grad:
        raise BadInput(f"frozen_layers {tuning.frozen_layers}: nothing of {tuning.model} is left to learn")
    trainer = _scorer_trainer(scorer, lessons, _training_arguments(tuning, device, out))
    trainer.add_callback(make_callback(out, progress))
    with explain_out_of_memory(
        f"batch = {tuning.batch} of max_tokens = {tuning.max_tokens}",
        'a smaller batch or max_tokens, more frozen_layers, or dtype = "float16"',
    ):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    scorer.save(out / "model")
    trained = make_result(trainer, out / "model")
    write_card(out, tuning.model, tuning, lessons, trained)
    return trained


def _learning_device(tuning: EncoderTuning) -> str:
    """Where to train.

    Raises:
        BadInput: there is no such GPU, or the CPU is to compute in float16.
    """
    import torch

    device = choose_device() if tuning.device == "auto" else tuning.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput(f"device {device!r}, and CUDA reaches no GPU here; allowed are auto and cpu")
    if device == "cpu" and tuning.dtype == "float16":
        raise BadInput("dtype float16 needs a GPU; on a CPU float32 is allowed, and the slower bfloat16")
    return device


def option_loss(scores: "Sequence[torch.Tensor]", answers: "torch.Tensor") -> "torch.Tensor":
    """The mean cross-entropy of the right options: one vector of scores a question, and the right one's place in it."""
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pad_sequence

    padded = pad_sequence(list(scores), batch_first=True, padding_value=float("-inf"))
    return cross_entropy(padded, answers.to(padded.device))


def _freeze(module: "torch.nn.Module", tuning: EncoderTuning) -> None:
    """Takes the embeddings and the lowest layers out of training: no gradient is computed below the lowest that learns.

    Raises:
        BadInput: there are fewer layers.
    """
    import torch

    stacks = [list(part) for part in module.modules() if isinstance(part, torch.nn.ModuleList)]
    layers = max(stacks, key=len, default=[])
    if tuning.frozen_layers > len(layers):
        raise BadInput(f"frozen_layers {tuning.frozen_layers}, where {tuning.model} has {len(layers)} layers")
    frozen: list[torch.nn.Module] = layers[: tuning.frozen_layers]
    if tuning.frozen_embeddings:
        frozen += [part for name, part in module.named_modules() if name.rpartition(".")[2] == "embeddings"]
    for part in frozen:
        part.requires_grad_(False)
        for within in part.modules():
            if isinstance(within, torch.nn.Dropout):
                within.p = 0.0  # what stays as it is gives the same for the same text


def _scorer_trainer(scorer: OptionScorer, rows: Sequence[TrainingRow], arguments: "TrainingArguments") -> "Trainer":
    """The library's trainer, taught where the loss comes from and how a scorer is written and read."""
    import torch
    from transformers import PrinterCallback, Trainer

    class ScorerTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Mapping[str, Any], *_: Any, **__: Any) -> "torch.Tensor":
            before = scorer.tokens_read
            loss = option_loss(scorer.scores(inputs["prompts"]), inputs["answers"])
            self.state.num_input_tokens_seen += scorer.tokens_read - before
            return loss

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            super().log({**logs, "num_input_tokens_seen": self.state.num_input_tokens_seen}, start_time)

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            scorer.save(Path(str(output_dir)))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            scorer.load(Path(resume_from_checkpoint))

    def collated(batch: Sequence[TrainingRow]) -> dict[str, Any]:
        answers = [row.prompt.labels.index(row.answer) for row in batch]
        return {"prompts": [row.prompt for row in batch], "answers": torch.tensor(answers)}

    trainer = ScorerTrainer(model=scorer.module, args=arguments, train_dataset=list(rows), data_collator=collated)
    trainer.remove_callback(PrinterCallback)  # what is to be told goes through `make_callback`
    return trainer


def _training_arguments(tuning: EncoderTuning, device: str, out: Path) -> "TrainingArguments":
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        per_device_train_batch_size=tuning.batch,
        warmup_steps=tuning.warmup,
        weight_decay=tuning.weight_decay,
        lr_scheduler_type="linear",
        seed=tuning.seed,
        bf16=tuning.dtype == "bfloat16",
        fp16=tuning.dtype == "float16",
        use_cpu=device == "cpu",
        save_strategy="steps" if tuning.save_every else "epoch",
        save_steps=tuning.save_every or 500,
        save_total_limit=tuning.keep,
        logging_steps=tuning.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # threads over several GPUs would not see how scores are made
    return arguments
