"""Train a causal language model by a reward: its own sampled replies, 1 for a right answer and 0 for any other.

Shao et al. (2024), "DeepSeekMath" (GRPO), arXiv:2402.03300, by TRL's trainer.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.ask.reply import parse_reply
from quorum.console import Progress
from quorum.engine.checkpoint import Checkpoint, choose_device, load_checkpoint
from quorum.engine.tokens import PromptTokenizer, truncate_middle
from quorum.errors import BadInput
from quorum.train.callbacks import TrainingResult, make_callback, make_result
from quorum.train.card import write_card
from quorum.train.resume import last_checkpoint
from quorum.train.row import TrainingRow
from quorum.train.settings import CausalTuning
from quorum.train.teacher_settings import GrpoTuning
from quorum.train.trainable import prepare_model, select_training_dtype
from quorum.train.validate import explain_out_of_memory

if TYPE_CHECKING:
    import torch

_GRPO_SMOKE_STEPS = 2


def tune_by_reward(
    tuning: GrpoTuning,
    rows: Sequence[TrainingRow],
    out: Path,
    progress: Progress,
    report: Callable[[str], None] = lambda text: None,
) -> TrainingResult:
    """Train an adapter by GRPO and write it to OUT/adapter; the completions of the rows have no effect.

    Each reply of a group is to its question in an order of the options of its own, drawn from the question's rows
    (`rows.shuffles`), so that a letter by itself earns nothing. A killed run starts again: there are no checkpoints.

    Args:
        report: called with lines for the log.

    Raises:
        BadInput: there are no rows, there is no such model or adapter, a package is missing, memory is full, or the
            loss became NaN.
    """
    if not rows:
        raise BadInput("there are no rows to train on: the training folds, or the selected questions, are empty")
    if missing := [name for name in ("trl", "datasets", "peft") if find_spec(name) is None]:
        raise BadInput(f"training by reward needs {' and '.join(missing)}; pip install -r requirements-gpu.txt")
    import transformers

    for library in ("trl", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    last_checkpoint(out, tuning, rows)
    transformers.set_seed(tuning.seed)
    tokenizer, model = _prepare_policy(tuning, report)
    with explain_out_of_memory(
        f"{tuning.batch} questions of {tuning.rollouts} rollouts each", "a smaller batch, max_tokens or max_new_tokens"
    ):
        trainer = _make_reward_trainer(tuning, PromptTokenizer(tokenizer), model, rows, out=out)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.add_callback(make_callback(out, progress))
        trainer.train()
    trainer.model.save_pretrained(out / "adapter", save_embedding_layers=False)
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    report(f"mean reward {rewards[0]:.3f} at first, {rewards[-1]:.3f} at the end")
    trained = make_result(trainer, out / "adapter")
    write_card(out, tuning.model, tuning, rows, trained, adapter=True)
    return trained


def reward_right_answers(completions: Sequence[str], rows: Sequence[TrainingRow], **_: Any) -> list[float]:
    """Return 1 for each completion in which the reply parser finds the right answer, and 0 for the others."""
    return [
        float(parse_reply(text, row.prompt.labels, row.prompt.options).label == row.answer)
        for text, row in zip(completions, rows, strict=True)
    ]


def _prepare_policy(tuning: GrpoTuning, report: Callable[[str], None]) -> tuple[Any, Any]:
    """Return the tokenizer, and the model with the adapter to train.

    Raises:
        BadInput: the model or the adapter cannot be loaded.
    """
    causal = CausalTuning(
        model=tuning.model,
        revision=tuning.revision,
        rank=tuning.rank,
        alpha=tuning.alpha,
        dtype=tuning.dtype,
        seed=tuning.seed,
    )
    if tuning.adapter is None:
        return prepare_model(causal, report)
    import peft

    tokenizer, model = load_checkpoint(
        Checkpoint(tuning.model, tuning.revision), select_training_dtype(causal), choose_device()
    )
    try:
        return tokenizer, peft.PeftModel.from_pretrained(model, tuning.adapter, is_trainable=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"adapter {tuning.adapter}: {str(error).splitlines()[0]}") from None


def _make_reward_trainer(
    tuning: GrpoTuning, tokens: PromptTokenizer, model: Any, rows: Sequence[TrainingRow], *, out: Path
) -> Any:
    """Return TRL's GRPOTrainer over the questions; on a CPU with PyTorch's own log-probabilities."""
    rendered, on_gpu = _render_rows(tokens, rows), choose_device() == "cuda"
    ids_of = {text: list(truncate_middle(ids, tuning.max_tokens)) for text, ids in rendered.values()}

    class RewardTrainer(import_module("trl").GRPOTrainer):  # type: ignore[misc]
        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [ids_of[prompt] for prompt in prompts], None, {}

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            super().log({**logs, "num_input_tokens_seen": self.state.num_input_tokens_seen}, start_time)

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: "torch.Tensor", attention_mask: "torch.Tensor", *rest: Any, **given: Any
        ) -> Any:
            if on_gpu:
                return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, *rest, **given)
            keep = given["logits_to_keep"] if "logits_to_keep" in given else rest[0]
            return (*compute_token_logprobs(model, input_ids, attention_mask, keep, self.temperature), None)

    return RewardTrainer(
        model=model,
        reward_funcs=reward_right_answers,
        args=_reward_arguments(tuning, out),
        train_dataset=_make_question_data(rows, rendered, tuning.seed),
        processing_class=tokens.tokenizer,
    )


def _make_question_data(
    rows: Sequence[TrainingRow], rendered: Mapping[int, tuple[str, tuple[int, ...]]], seed: int
) -> Any:
    """Return a dataset of the questions; each access to one draws one of its rows, an order of its options."""
    by_question: dict[str, list[TrainingRow]] = {}
    for row in rows:
        by_question.setdefault(row.prompt.question_id, []).append(row)
    draw = random.Random(seed)

    def show(batch: Mapping[str, list[str]]) -> dict[str, list[Any]]:
        shown = [draw.choice(by_question[question]) for question in batch["id"]]
        return {"prompt": [rendered[id(row)][0] for row in shown], "rows": shown}

    return import_module("datasets").Dataset.from_dict({"id": list(by_question)}).with_transform(show)


def _reward_arguments(tuning: GrpoTuning, out: Path) -> Any:
    device = choose_device()
    return import_module("trl").GRPOConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=_GRPO_SMOKE_STEPS if tuning.smoke else tuning.steps,
        per_device_train_batch_size=tuning.batch * tuning.rollouts,
        num_generations=tuning.rollouts,
        learning_rate=tuning.learning_rate,
        temperature=tuning.temperature,
        max_completion_length=tuning.max_new_tokens,
        bf16=tuning.dtype == "bfloat16",
        use_cpu=device == "cpu",
        seed=tuning.seed,
        save_strategy="no",
        logging_steps=tuning.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
    )


def _render_rows(tokens: PromptTokenizer, rows: Sequence[TrainingRow]) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Return each row's prompt as text and as the tokens that a backend sends, by the row's identity."""
    found = {}
    for row in rows:
        scored = row.completion in row.prompt.labels or row.completion in row.prompt.options
        rendered = tokens.render(row.prompt.content, thinking=not scored)
        found[id(row)] = (rendered.text, tokens.encode(rendered))
    return found


def compute_token_logprobs(
    model: Any, ids: "torch.Tensor", mask: "torch.Tensor", keep: int, temperature: float
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return the log-probability of each of the last `keep` tokens, and the entropy of its distribution.

    Args:
        ids: shape (sequences, tokens), padded; `mask` is 0 where they are padding.
        temperature: divides the logits, as in sampling.
    """
    import torch

    logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=keep + 1, use_cache=False).logits[:, :-1]
    logs = torch.log_softmax(logits.float() / temperature, dim=-1)
    chosen = logs.gather(-1, ids[:, -keep:].unsqueeze(-1)).squeeze(-1)
    return chosen, -(logs.exp() * logs).sum(-1)
