"""Fine-tune an encoder-decoder such as Flan-T5 to write the answers to its prompts."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quorum.console import Progress
from quorum.disk import replace_file
from quorum.engine.checkpoint import choose_device, choose_dtype
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.model.seq2seq import load_seq2seq, longest_source, source_ids, target_ids
from quorum.question import fold_text
from quorum.train.callbacks import TrainingResult, make_callback, make_result
from quorum.train.card import write_card
from quorum.train.resume import last_checkpoint
from quorum.train.row import TrainingRow
from quorum.train.rows.encode import describe_cut_prompts
from quorum.train.settings import Seq2seqTuning
from quorum.train.validate import check_optimizer, explain_out_of_memory

_SEQ2SEQ_SMOKE_ROWS, _SEQ2SEQ_SMOKE_STEPS = 32, 4


def tune_seq2seq(
    tuning: Seq2seqTuning,
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    report: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Train an encoder-decoder on `rows` and write it to OUT/model, which the seq2seq backend opens.

    The encoder reads the same tokens as in the backend; the decoder learns the completion and the end token, and
    nothing else. This is checked on every row before the first step, and OUT/target.txt shows one row. A killed run
    resumes from its last checkpoint. OUT also gets the model card, the loss curve and the checkpoints.

    Args:
        report: called with a line for the log.

    Raises:
        BadInput: there are no rows, there is no such model, a package is missing, memory is full, the vocabulary cannot
            write a completion, `out` holds another training, or the loss became NaN.
    """
    import transformers

    if not rows:
        raise BadInput("there are no rows to train on: the training folds, or the selected questions, are empty")
    if any(row.soft for row in rows):
        raise BadInput("trainer 'seq2seq' learns no soft labels; remove [teacher], or use the trainer encoder or sft")
    if tuning.log != "none" and find_spec(tuning.log) is None:
        raise BadInput(f"log {tuning.log}: the package {tuning.log} is not installed; pip install {tuning.log}")
    if tuning.smoke:
        tuning = replace(tuning, steps=_SEQ2SEQ_SMOKE_STEPS, batch=min(tuning.batch, 4), accumulate=1, log_every=1)
        rows = sorted(rows, key=lambda row: len(str(row.prompt.content)) + len(row.completion))[:_SEQ2SEQ_SMOKE_ROWS]
    checkpoint = last_checkpoint(out, tuning, rows)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.set_seed(tuning.seed)
    tokens, model = load_seq2seq(tuning.model, tuning.revision, "float32", choose_device())
    room = longest_source(model, tokens, tuning.max_tokens)
    sources = [source_ids(tokens, row.prompt.content) for row in rows]
    encoded = [_encode_seq2seq_row(tokens, row, source, room) for row, source in zip(rows, sources, strict=True)]
    if line := describe_cut_prompts([max(0, len(source) - room) for source in sources], room):
        report(line)
    with replace_file(out / "target.txt") as part:
        part.write_text(_format_encoded_row(tokens, encoded[0]), encoding="utf-8")
    trainer = _make_seq2seq_trainer(tuning, tokens, model, encoded, out)
    trainer.add_callback(make_callback(out, progress))
    with explain_out_of_memory(
        f"batch = {tuning.batch} of up to {room} tokens",
        'a smaller batch with more accumulate, checkpointing = true, optimizer = "adafactor" or a smaller max_tokens',
    ):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model.save_pretrained(out / "model")
    tokens.tokenizer.save_pretrained(out / "model")
    trained = make_result(trainer, out / "model")
    write_card(out, tuning.model, tuning, rows, trained)
    return trained


def _encode_seq2seq_row(
    tokens: PromptTokenizer, row: TrainingRow, source: tuple[int, ...], room: int
) -> dict[str, list[int]]:
    """Return the encoder's input and the decoder's target, tokenized as in the backend."""
    target = target_ids(tokens, row.completion)
    decoded = tokens.tokenizer.decode(target, skip_special_tokens=True)
    if fold_text(decoded) != fold_text(tokens.escape_special_tokens(row.completion)):
        raise BadInput(
            f"question {row.prompt.question_id}: the model's vocabulary cannot write {row.completion!r} and would learn"
            f' {decoded!r}; set rows.target = "letter", or use another model'
        )
    if len(target) > room:
        raise BadInput(
            f"question {row.prompt.question_id}: the answer has {len(target)} tokens; allowed are max_tokens = {room}"
        )
    return {"input_ids": list(truncate_middle(source, room)), "labels": list(target)}


def _format_encoded_row(tokens: PromptTokenizer, encoded: dict[str, list[int]]) -> str:
    read, learned = tokens.tokenizer.decode(encoded["input_ids"]), tokens.tokenizer.decode(encoded["labels"])
    return f"the encoder reads:\n{read}\n\nthe decoder learns:\n{learned}\n"


def _make_seq2seq_trainer(
    tuning: Seq2seqTuning, tokens: PromptTokenizer, model: Any, encoded: Sequence[dict[str, list[int]]], out: Path
) -> Any:
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments

    device = choose_device()
    check_optimizer(tuning.optimizer)
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=tuning.epochs,
        max_steps=tuning.steps or -1,
        per_device_train_batch_size=tuning.batch,
        gradient_accumulation_steps=tuning.accumulate,
        learning_rate=tuning.learning_rate,
        lr_scheduler_type=tuning.schedule,
        warmup_steps=tuning.warmup,
        weight_decay=tuning.weight_decay,
        optim=tuning.optimizer,
        gradient_checkpointing=tuning.checkpointing,
        seed=tuning.seed,
        bf16=tuning.dtype == "bfloat16" or (tuning.dtype == "auto" and choose_dtype(device) == "bfloat16"),
        use_cpu=device == "cpu",
        logging_steps=tuning.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        save_steps=tuning.save_every,
        save_total_limit=tuning.keep,
        report_to=tuning.log,
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs need several processes, not DataParallel's threads
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=list(encoded),
        processing_class=tokens.tokenizer,
        data_collator=DataCollatorForSeq2Seq(tokens.tokenizer, model),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
