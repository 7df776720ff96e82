"""Supervised fine-tuning: a causal language model learns to write the answers behind the prompts it will be asked."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from quorum.console import Progress
from quorum.engine.checkpoint import choose_device, find_max_length
from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.train.callbacks import make_callback, make_result
from quorum.train.card import write_card
from quorum.train.loss import make_plain_loss_trainer
from quorum.train.packing import attend_row_by_row
from quorum.train.resume import last_checkpoint
from quorum.train.rows.encode import EncodedRow, encode_rows, find_stop_token, report_left_out
from quorum.train.rows.mask import MaskProof, prove_mask
from quorum.train.rows.row import TrainingRow
from quorum.train.settings import CausalTuning
from quorum.train.trainable import (
    AdapterFactory,
    has_unsloth,
    import_unsloth,
    prepare_model,
    prepare_unsloth_model,
    select_training_dtype,
)
from quorum.train.trained import TrainingResult
from quorum.train.validate import check_optimizer, explain_out_of_memory

_PROVEN_BATCHES = 4
_SMOKE_ROWS, _SMOKE_STEPS, _SMOKE_TOKENS = 32, 4, 256


def tune_causal(
    tuning: CausalTuning,
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    say: Callable[[str], None] = lambda text: None,
    adapter: AdapterFactory | None = None,
) -> TrainingResult:
    """OUT/adapter (OUT/model where all weights learn) after training on `rows`; a killed run goes on where it stood.

    Only completions and the stop token are learnt, behind the very tokens a backend asks: that is proven on every row,
    and on the first batches as they are collated, before the first step (OUT/mask.txt, and `say`). Beside it lie the
    loss curve, checkpoints and the model card.

    Raises:
        BadInput: no rows, no such model, a package or the memory is missing, the mask is wrong, `out` holds another
            training, the loss is no number any more.
    """
    if not rows:
        raise BadInput("there are no rows to learn from: the training folds, or what was sampled of them, are empty")
    if missing := [name for name in ("trl", "datasets") if find_spec(name) is None]:
        raise BadInput(
            f"fine-tuning needs {' and '.join(missing)}; pip install -r requirements-gpu.txt (a CPU: -dev.txt)"
        )
    if tuning.log != "none" and find_spec(tuning.log) is None:
        raise BadInput(f"log {tuning.log}: the package {tuning.log} is not installed; pip install {tuning.log}")
    if tuning.smoke:
        tuning, rows = _smoke(tuning, rows)
    checkpoint = last_checkpoint(out, tuning, rows, adapter.settings if adapter else None)
    with explain_out_of_memory(
        f"batch = {tuning.batch} of max_tokens = {tuning.max_tokens}",
        'a smaller batch with more accumulate, checkpointing = true, method = "qlora" or a smaller max_tokens',
    ):
        trainer, proof = _with_engine(tuning, rows, out, progress, say, adapter)
        (out / "mask.txt").write_text(f"{proof}\n", encoding="utf-8")
        say(str(proof))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if adapter is not None:
        adapter.check(trainer.model)
    folder = _saved_weights(trainer, tuning, out)
    trained = make_result(trainer, folder)
    write_card(
        out,
        tuning.model,
        tuning,
        rows,
        trained,
        adapter=tuning.method != "full",
        extra=adapter.settings if adapter else None,
    )
    return trained


def _with_engine(
    tuning: CausalTuning,
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    say: Callable[[str], None],
    adapter: AdapterFactory | None,
) -> tuple[Any, MaskProof]:
    """The trainer, ready for its first step, and the proof of its mask."""
    unsloth = adapter is None and _with_unsloth(
        tuning, out, say
    )  # before transformers and trl are imported, which it changes
    import transformers

    for library in ("trl", "transformers", "unsloth"):
        logging.getLogger(library).setLevel(logging.ERROR)
    transformers.set_seed(tuning.seed)
    arguments = _arguments(tuning)
    tokenizer, model = prepare_unsloth_model(tuning, say) if unsloth else prepare_model(tuning, say, adapter)
    tokens, stop = PromptTokenizer(tokenizer), find_stop_token(tokenizer, _ends(model))
    most = min(tuning.max_tokens, find_max_length(model, tokenizer) - 1)  # the stop token is on top
    encoded = encode_rows(tokens, rows, most, stop)
    if told := report_left_out([row.left_out for row in encoded], most):
        say(told)
    # a CPU gains by rows that lie end to end even where they are not packed: no token is padding
    flat = not unsloth and (tuning.packing or choose_device() == "cpu") and attend_row_by_row(model)
    trainer = _trainer(
        arguments | _laid_out(tuning.packing, flat, most + 1),
        tuning.method,
        model,
        tokenizer,
        encoded,
        out / "checkpoints",
        unsloth,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(make_callback(out, progress))
    return trainer, prove_mask(islice(trainer.get_train_dataloader(), _PROVEN_BATCHES), rows, encoded, tokens, stop)


def _with_unsloth(tuning: CausalTuning, out: Path, say: Callable[[str], None]) -> bool:
    """Whether Unsloth is the engine; it is imported then."""
    wanted = tuning.engine == "unsloth"
    if not wanted and not (tuning.engine == "auto" and choose_device() == "cuda" and has_unsloth()):
        return False
    try:
        import_unsloth(out)
    except BadInput as error:
        if wanted:
            raise
        say(f"{error}: TRL trains instead")
        return False
    return True


def _trainer(
    arguments: Mapping[str, Any],
    method: str,
    model: Any,
    tokenizer: Any,
    encoded: Sequence[EncodedRow],
    checkpoints: Path,
    unsloth: bool,
) -> Any:
    """TRL's SFTTrainer (Unsloth's, where that was imported) on rows that are tokenised already."""
    datasets, trl = import_module("datasets"), import_module("trl")
    datasets.disable_progress_bars()
    data = datasets.Dataset.from_dict(
        {"input_ids": [list(row.ids) for row in encoded], "labels": [row.labels for row in encoded]}
    )
    args = trl.SFTConfig(output_dir=str(checkpoints), **arguments)
    args._n_gpu = min(args.n_gpu, 1)  # one GPU learns; TRL refuses threads over several
    by_trl = unsloth or choose_device() == "cuda"
    kind = trl.SFTTrainer if by_trl else make_plain_loss_trainer()
    trainer = kind(model=model, args=args, train_dataset=data, processing_class=tokenizer)
    # without padding there is no mask to count by
    args.include_num_input_tokens_seen = "all" if trainer.data_collator.padding_free else "non_padding"
    if method != "full":
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # TRL takes bfloat16 for qlora, which a T4 can not learn in
    return trainer


def _laid_out(packing: bool, flat: bool, longest: int) -> dict[str, Any]:
    """How rows lie in a batch: packed into sequences of `longest` tokens, end to end, or padded."""
    if packing:
        return {"packing": True, "max_length": longest}
    return {"padding_free": flat, "max_length": None}  # the rows are short enough already


def _arguments(tuning: CausalTuning) -> dict[str, Any]:
    """The settings in the words of transformers and TRL."""
    device, dtype = choose_device(), select_training_dtype(tuning)
    eight_bits = device == "cuda" and find_spec("bitsandbytes") is not None
    if device != "cuda" and ("8bit" in tuning.optimizer or "paged" in tuning.optimizer):
        raise BadInput(
            f'optimizer {tuning.optimizer} needs a GPU, and there is none; optimizer = "auto" is the way out'
        )
    optimizer = tuning.optimizer if tuning.optimizer != "auto" else "adamw_8bit" if eight_bits else "adamw_torch"
    check_optimizer(optimizer)
    return {
        "num_train_epochs": tuning.epochs,
        "max_steps": tuning.steps or -1,
        "per_device_train_batch_size": tuning.batch,
        "gradient_accumulation_steps": tuning.accumulate,
        "learning_rate": tuning.learning_rate,
        "lr_scheduler_type": tuning.schedule,
        "warmup_steps": tuning.warmup,
        "weight_decay": tuning.weight_decay,
        "optim": optimizer,
        "gradient_checkpointing": tuning.checkpointing,
        "seed": tuning.seed,
        "fp16": dtype == "float16",
        "bf16": dtype == "bfloat16",
        "use_cpu": device == "cpu",
        "logging_steps": tuning.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_steps": tuning.save_every,
        "save_total_limit": tuning.keep,
        "report_to": tuning.log,
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
    }


def _ends(model: Any) -> list[int]:
    """The tokens at which the model stops writing."""
    ends = model.generation_config.eos_token_id
    return [ends] if isinstance(ends, int) else list(ends or [])


def _saved_weights(trainer: Any, tuning: CausalTuning, out: Path) -> Path:
    """The folder with the adapter, or the model and its tokenizer, as safetensors."""
    folder = out / ("model" if tuning.method == "full" else "adapter")
    if tuning.method == "full":
        trainer.model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
    else:
        trainer.model.save_pretrained(folder, save_embedding_layers=False)  # "auto" would ask the hub
    return folder


def _smoke(tuning: CausalTuning, rows: Sequence[TrainingRow]) -> tuple[CausalTuning, list[TrainingRow]]:
    """Settings and rows cut to what takes minutes: a handful of steps on the shortest rows.

    The shortest completions come first, for they have to fit whole; a prompt may lose its middle.
    """
    shortest = sorted(rows, key=lambda row: (len(row.completion), len(str(row.prompt.content))))[:_SMOKE_ROWS]
    tokens, batch = min(tuning.max_tokens, _SMOKE_TOKENS), min(tuning.batch, 4)
    few = replace(tuning, steps=_SMOKE_STEPS, max_tokens=tokens, batch=batch, accumulate=1, log_every=1)
    return replace(few, dtype="auto", optimizer="auto"), shortest
