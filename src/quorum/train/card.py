"""Write a model card with everything needed to train the model again."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from quorum.config import format_table
from quorum.data.split import read_split
from quorum.disk import replace_file
from quorum.train.callbacks import TrainingResult
from quorum.train.resume import fingerprint_rows
from quorum.train.row import TrainingRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_CARD_PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth", "sentence-transformers")
_CARD = """---
base_model: {base}
library_name: {library}
tags: [quorum, multiple-choice]
---
# {base}, trained on {count} rows

| | |
|---|---|
| base | {base} |
| rows | {count} of {questions} questions, SHA-256 {rows} |
| split | {split} |
| steps | {steps}, {tokens} tokens in {seconds:.0f} s, peak memory {peak:.2f} GiB |
| loss | {first:.4f} at step {first_step}, {last:.4f} at step {last_step} |
| made with | {packages} |

Settings (equal settings, rows and versions make the same model again):

```toml
{settings}
```
"""


def write_card(
    out: Path,
    base: str,
    tuning: "DataclassInstance",
    rows: Sequence[TrainingRow],
    trained: TrainingResult,
    adapter: bool = False,
    extra: "DataclassInstance | None" = None,
) -> None:
    """Write README.md in the model's folder, in the format of model hubs.

    Args:
        out: folder of the training; its split.parquet is named in the card.
        base: the model that was trained.
        adapter: whether the result is a PEFT adapter.
        extra: settings of an expert adapter.
    """
    split = out / "split.parquet"
    text = _CARD.format(
        base=base,
        library="peft" if adapter else "transformers",
        count=len(rows),
        questions=len({row.prompt.question_id for row in rows}),
        rows=fingerprint_rows(rows),
        split=f"SHA-256 {read_split(split).fingerprint}; these rows are of its training folds"
        if split.exists()
        else "",
        steps=trained.steps,
        tokens=trained.tokens,
        seconds=trained.seconds,
        peak=trained.peak_bytes / 2**30,
        first_step=trained.losses[0][0],
        first=trained.losses[0][1],
        last_step=trained.losses[-1][0],
        last=trained.losses[-1][1],
        packages=", ".join(f"{name} {found}" for name in _CARD_PACKAGES if (found := _installed_version(name))),
        settings=format_table(asdict(tuning) | ({} if extra is None else {"experts": asdict(extra)})).rstrip(),
    )
    with replace_file(trained.folder / "README.md") as part:
        part.write_text(text, encoding="utf-8")


def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
