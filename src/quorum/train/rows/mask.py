"""Prove before the first step that the loss counts the answers and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.prefixes import count_shared_tokens
from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.train.row import TrainingRow
from quorum.train.rows.encode import EncodedRow, split_sequences

_SAMPLE_TOKENS = 24  # tokens of the prompt's end in the sample


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskProof:
    """Counts of the rows and tokens that were checked, and one row as a sample."""

    rows: int
    sequences: int  # rows found in the trainer's batches
    read: int  # tokens without a label
    learned: int  # tokens with a label
    sample: str

    def __str__(self) -> str:
        return (
            f"label mask checked on all {self.rows} rows, and on {self.sequences} in the trainer's batches:"
            f" {self.learned} tokens are learned, {self.read} only read; a sample, learned tokens in [[ ]]:\n"
            f"{self.sample}"
        )


def prove_mask(
    batches: Iterable[Mapping[str, Any]],
    rows: Sequence[TrainingRow],
    encoded: Sequence[EncodedRow],
    tokens: PromptTokenizer,
    stop: int,
) -> MaskProof:
    """Check that the labels of every row are its completion and the stop token, and nothing else.

    The encoded rows are checked first, then batches as the trainer collates them: each sequence has to be one of the
    rows, with its labels.

    Args:
        batches: input_ids and labels, padded (attention_mask) or with several rows in a sequence (position_ids).

    Raises:
        BadInput: other tokens would be learned.
    """
    for row, each in zip(rows, encoded, strict=True):
        _check_row(row, each, each.labels, tokens, stop)
    row_of_ids = {each.ids: number for number, each in enumerate(encoded)}
    sequences, sample = 0, ""
    for batch in batches:
        for line, places, ids in split_sequences(batch):
            labels = batch["labels"][line][places].tolist()
            number = row_of_ids.get(ids)
            if number is None:
                raise BadInput(_describe_unknown_sequence(ids, rows, encoded, tokens))
            _check_row(rows[number], encoded[number], labels, tokens, stop)
            sequences += 1
            sample = sample or _format_sample(rows[number], ids, labels, tokens)
    if not sequences:
        raise BadInput("the trainer makes no batch of these rows: there is nothing to learn")
    read = sum(each.first for each in encoded)
    return MaskProof(
        rows=len(rows),
        sequences=sequences,
        read=read,
        learned=sum(len(each.ids) for each in encoded) - read,
        sample=sample,
    )


def _check_row(
    row: TrainingRow, encoded: EncodedRow, labels: Sequence[int], tokens: PromptTokenizer, stop: int
) -> None:
    where = f"label mask, row {row.prompt.question_id}"
    labelled = [index for index, label in enumerate(labels) if label != -100]
    if not labelled:
        raise BadInput(f"{where}: none of its {len(labels)} tokens has a label (every label is -100)")
    if labels[-1] != stop:
        last = "none" if labels[-1] == -100 else repr(_decode(tokens, [labels[-1]]))
        raise BadInput(
            f"{where}: the stop token {_decode(tokens, [stop])!r} has no label (the last label is {last}), so the model"
            " would never stop"
        )
    completion = _decode(tokens, [labels[index] for index in labelled[:-1]])
    if labels != encoded.labels:
        expected = _decode(tokens, encoded.ids[encoded.first : -1])
        raise BadInput(f"{where}: the labels are {completion!r}, expected {expected!r}")
    # the last piece of the prompt may precede the completion, because the tokenizer may merge the two
    written = row.completion.removeprefix(encoded.opened)
    if not "".join(completion.split()).endswith("".join(tokens.escape_special_tokens(written).split())):
        raise BadInput(f"{where}: the labels are {completion!r}, but the completion is {row.completion!r}")


def _describe_unknown_sequence(
    ids: tuple[int, ...], rows: Sequence[TrainingRow], encoded: Sequence[EncodedRow], tokens: PromptTokenizer
) -> str:
    """Return how a sequence that is none of the rows differs from the most similar row."""
    common, number = max((count_shared_tokens(ids, each.ids), number) for number, each in enumerate(encoded))
    expected = encoded[number].ids
    where = f"label mask, row {rows[number].prompt.question_id}"
    if common == len(ids):
        rest = _decode(tokens, expected[common:])
        return f"{where}: the trainer truncated it to {len(ids)} of {len(expected)} tokens; {rest!r} was left out"
    found, correct = _decode(tokens, ids[common:][:8]), _decode(tokens, expected[common:][:8])
    return (
        f"{where}: the trainer's tokens differ from those of a backend: from token {common} on they are {found!r},"
        f" expected {correct!r}"
    )


def _format_sample(row: TrainingRow, ids: tuple[int, ...], labels: Sequence[int], tokens: PromptTokenizer) -> str:
    first = next(index for index, label in enumerate(labels) if label != -100)
    begin = max(0, first - _SAMPLE_TOKENS)
    before, learned = _decode(tokens, ids[begin:first]), "|".join(_decode(tokens, [id]) for id in ids[first:])
    return f"{row.prompt.question_id}: {'… ' if begin else ''}{before}[[{learned}]]"


def _decode(tokens: PromptTokenizer, ids: Sequence[int]) -> str:
    text: str = tokens.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text
