"""An encoder-decoder learns to write the answers to the prompts it will be asked: Flan-T5 and its kind."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quorum.console import Progress
from quorum.engine.checkpoint import fast_device, fast_dtype
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.model.seq2seq import load_seq2seq, longest_source, source_ids, target_ids
from quorum.question import fold_text
from quorum.train.callbacks import make_callback, make_result
from quorum.train.card import write_card
from quorum.train.resume import last_checkpoint
from quorum.train.rows.encode import report_left_out
from quorum.train.rows.row import TrainingRow
from quorum.train.settings import Seq2seqTuning
from quorum.train.trained import TrainingResult
from quorum.train.validate import check_optimizer, explain_out_of_memory

_FEW_ROWS, _FEW_STEPS = 32, 4  # of a smoke run


def tune_seq2seq(
    tuning: Seq2seqTuning,
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    say: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """OUT/model after training on `rows`, which the seq2seq backend opens; a killed run goes on where it stood.

    The encoder reads what the backend will read, the decoder learns the completion and its end and nothing else:
    checked on every row before the first step, and one is shown in OUT/target.txt. Beside the model lie its card, the
    loss curve and the checkpoints.

    Raises:
        BadInput: no rows, no such model, a package or the memory is missing, a completion the vocabulary can't write,
            `out` holds another training, the loss is no number any more.
    """
    import transformers

    if not rows:
        raise BadInput("there are no rows to learn from: the training folds, or what was sampled of them, are empty")
    if tuning.log != "none" and find_spec(tuning.log) is None:
        raise BadInput(f"log {tuning.log}: the package {tuning.log} is not installed; pip install {tuning.log}")
    if tuning.smoke:
        tuning = replace(tuning, steps=_FEW_STEPS, batch=min(tuning.batch, 4), accumulate=1, log_every=1)
        rows = sorted(rows, key=lambda row: len(str(row.prompt.content)) + len(row.completion))[:_FEW_ROWS]
    checkpoint = last_checkpoint(out, tuning, rows)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.set_seed(tuning.seed)
    tokens, model = load_seq2seq(tuning.model, tuning.revision, "float32", fast_device())
    room = longest_source(model, tokens, tuning.max_tokens)
    sources = [source_ids(tokens, row.prompt.content) for row in rows]
    lessons = [_seq2seq_lesson(tokens, row, source, room) for row, source in zip(rows, sources, strict=True)]
    if told := report_left_out([max(0, len(source) - room) for source in sources], room):
        say(told)
    (out / "target.txt").write_text(_one_lesson(tokens, lessons[0]), encoding="utf-8")
    trainer = _seq2seq_trainer(tuning, tokens, model, lessons, out)
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


def _seq2seq_lesson(
    tokens: PromptTokenizer, row: TrainingRow, source: tuple[int, ...], room: int
) -> dict[str, list[int]]:
    """What the encoder reads and the decoder is to write, as the backend asks and scores it."""
    target = target_ids(tokens, row.completion)
    written = tokens.tokenizer.decode(target, skip_special_tokens=True)
    if fold_text(written) != fold_text(tokens.harmless(row.completion)):
        raise BadInput(
            f"question {row.prompt.question_id}: the model's vocabulary can't write {row.completion!r}: it would learn "
            f'{written!r}; letters as target (rows.target = "letter"), or another model, are the ways out'
        )
    if len(target) > room:
        raise BadInput(
            f"question {row.prompt.question_id}: its answer has {len(target)} tokens; allowed are max_tokens, {room}"
        )
    return {"input_ids": list(truncate_middle(source, room)), "labels": list(target)}


def _one_lesson(tokens: PromptTokenizer, lesson: dict[str, list[int]]) -> str:
    read, written = tokens.tokenizer.decode(lesson["input_ids"]), tokens.tokenizer.decode(lesson["labels"])
    return f"the encoder reads:\n{read}\n\nthe decoder learns:\n{written}\n"


def _seq2seq_trainer(
    tuning: Seq2seqTuning, tokens: PromptTokenizer, model: Any, lessons: Sequence[dict[str, list[int]]], out: Path
) -> Any:
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments

    device = fast_device()
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
        bf16=tuning.dtype == "bfloat16" or (tuning.dtype == "auto" and fast_dtype(device) == "bfloat16"),
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
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are used by several processes, never by threads
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=list(lessons),
        processing_class=tokens.tokenizer,
        data_collator=DataCollatorForSeq2Seq(tokens.tokenizer, model),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
