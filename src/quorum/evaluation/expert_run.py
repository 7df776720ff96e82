"""Map a mixture's experts on kinds of text, and write the profiles and the published files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quorum.console import Progress
from quorum.disk import make_folder
from quorum.engine.checkpoint import Checkpoint, Offload, find_max_length, load_checkpoint
from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.evaluation.expert_page import render_expert_page
from quorum.evaluation.report_page import Page
from quorum.train.expert_files import write_published_files
from quorum.train.expert_map import ExpertMap, map_experts
from quorum.train.expert_profile import Criterion, write_profile
from quorum.train.expert_texts import parse_kind, read_sequences


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """The settings of `map_experts_on_texts`; `texts` are NAME=FILE, `memory` DEVICE=SIZE."""

    model: str
    texts: Sequence[str]
    out: Path
    length: int
    limit: int
    perplexity: bool
    criterion: Criterion
    memory: Sequence[str]
    dtype: str
    device: str
    batch_tokens: int
    seed: int


def map_experts_on_texts(
    settings: MapSettings,
    show_progress: Callable[[str], AbstractContextManager[Progress]],
    report: Callable[[str], None],
) -> tuple[ExpertMap, Page]:
    """Read the texts, load the model, map its experts, write OUT/KIND.json and OUT/all.json, and return the page.

    OUT/published has the files of Super-Experts-Profilling for all texts together.

    Raises:
        BadInput: a text or the model cannot be read, or two kinds have the same name.
    """
    kinds = [parse_kind(text) for text in settings.texts]
    if len({kind.name for kind in kinds} | {"all"}) <= len(kinds):
        raise BadInput(f"--text: names have to be different, and not 'all'; found {', '.join(k.name for k in kinds)}")
    limits = _parse_memory(settings.memory)
    if limits and settings.perplexity:
        report("note: with --memory the perplexity of the model without experts is not measured")
    with ExitStack() as stack:
        offload = None
        if limits:
            make_folder(settings.out)
            folder = stack.enter_context(TemporaryDirectory(dir=settings.out, prefix="offload-"))
            offload = Offload(limits, Path(folder))
        tokenizer, network = load_checkpoint(
            Checkpoint(settings.model), settings.dtype, settings.device, offload=offload
        )
        tokens = PromptTokenizer(tokenizer)
        length = min(settings.length, find_max_length(network, tokenizer))
        sequences = {
            kind.name: read_sequences(kind, tokens, length=length, most=settings.limit, seed=settings.seed)
            for kind in kinds
        }
        found = map_experts(
            network,
            sequences,
            settings.criterion,
            pad=tokens.pad,
            batch_tokens=settings.batch_tokens,
            perplexity=settings.perplexity and offload is None,
            progress=lambda caption: stack.enter_context(show_progress(caption)),
        )
    for name, profile in {**found.kinds, "all": found.whole}.items():
        write_profile(profile, settings.out / f"{name}.json")
    write_published_files(found.whole, settings.out / "published")
    name = Path(settings.model).name
    return found, render_expert_page(found, name, f"Made by quorum map-experts {name}; it needs no network.")


def _parse_memory(texts: Sequence[str]) -> dict[int | str, str]:
    """Return the limits of DEVICE=SIZE by device."""
    limits: dict[int | str, str] = {}
    for text in texts:
        device, equals, size = text.partition("=")
        if not (equals and size and (device == "cpu" or device.isdecimal())):
            raise BadInput(f"--memory {text!r} is not DEVICE=SIZE, such as 0=20GiB or cpu=8GiB")
        limits[device if device == "cpu" else int(device)] = size
    return limits
