"""The proof, before a model learns anything, that it will learn the answers and nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorum.engine.prefixes import count_shared_tokens
from quorum.engine.tokens import PromptTokenizer
from quorum.errors import BadInput
from quorum.train.rows.encode import EncodedRow
from quorum.train.rows.row import TrainingRow

_SHOWN_TOKENS = 24  # of the prompt's end, in what is shown


@dataclass(frozen=True, slots=True)
class MaskProof:
    """What was looked at: all rows and their tokens, so many sequences of real batches, and one row to read."""

    rows: int
    sequences: int
    read: int
    learnt: int
    shown: str

    def __str__(self) -> str:
        return (
            f"label mask proven on all {self.rows} rows, and on {self.sequences} as they are batched: {self.learnt}"
            f" tokens are learnt, {self.read} only read; what is learnt stands in [[ ]]:\n{self.shown}"
        )


def prove_mask(
    batches: Iterable[Mapping[str, Any]],
    rows: Sequence[TrainingRow],
    encoded: Sequence[EncodedRow],
    tokens: PromptTokenizer,
    stop: int,
) -> MaskProof:
    """Looks at each encoded row: its labels are its completion and the stop token; then at batches as the trainer
    collates them: every sequence is such a row, with these labels, no more and no less.

    `batches` have input_ids and labels, padded (attention_mask) or several rows in one sequence (position_ids).

    Raises:
        BadInput: something else would be learnt; with the row, and what was found.
    """
    for row, each in zip(rows, encoded, strict=True):
        _prove_row(row, each, each.labels, tokens, stop)
    rows_of = {each.ids: number for number, each in enumerate(encoded)}
    sequences, shown = 0, ""
    for ids, labels in _sequences(batches):
        number = rows_of.get(ids)
        if number is None:
            raise BadInput(_stranger(ids, rows, encoded, tokens))
        _prove_row(rows[number], encoded[number], labels, tokens, stop)
        sequences += 1
        shown = shown or _shown_row(rows[number], ids, labels, tokens)
    if not sequences:
        raise BadInput("the trainer makes no batch of these rows: there is nothing to learn")
    read = sum(each.first for each in encoded)
    return MaskProof(len(rows), sequences, read, sum(len(each.ids) for each in encoded) - read, shown)


def _prove_row(
    row: TrainingRow, encoded: EncodedRow, labels: Sequence[int], tokens: PromptTokenizer, stop: int
) -> None:
    where = f"label mask, row {row.prompt.question_id}"
    learnt = [place for place, label in enumerate(labels) if label != -100]
    if not learnt:
        raise BadInput(f"{where}: none of its {len(labels)} tokens is learnt (every label is -100)")
    if labels[-1] != stop:
        last = "none" if labels[-1] == -100 else repr(_spelt(tokens, [labels[-1]]))
        raise BadInput(
            f"{where}: the stop token {_spelt(tokens, [stop])!r} is not learnt (the last label is {last}), so the model"
            " would never stop"
        )
    written = _spelt(tokens, [labels[place] for place in learnt[:-1]])
    if labels != encoded.labels:
        expected = _spelt(tokens, encoded.ids[encoded.first : -1])
        raise BadInput(f"{where}: the labels say {written!r}, where {expected!r} is to be learnt")
    # a last piece of the prompt may stand before it, where the tokenizer merges over the seam
    if not "".join(written.split()).endswith("".join(tokens.escape_special_tokens(row.completion).split())):
        raise BadInput(f"{where}: the labels say {written!r}, where the completion is {row.completion!r}")


def _sequences(batches: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """The ids and labels of each row in the batches, padding left out."""
    for batch in batches:
        for line, (ids, labels) in enumerate(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)):
            if "attention_mask" in batch:
                real = [place for place, seen in enumerate(batch["attention_mask"][line].tolist()) if seen]
                yield tuple(ids[place] for place in real), [labels[place] for place in real]
                continue
            positions = batch["position_ids"][line].tolist()
            starts = [place for place, position in enumerate(positions) if position == 0]
            for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
                yield tuple(ids[start:end]), labels[start:end]


def _stranger(
    ids: tuple[int, ...], rows: Sequence[TrainingRow], encoded: Sequence[EncodedRow], tokens: PromptTokenizer
) -> str:
    """What is wrong with a sequence that is none of the rows, told by the row that it is most like."""
    common, number = max((count_shared_tokens(ids, each.ids), number) for number, each in enumerate(encoded))
    expected = encoded[number].ids
    where = f"label mask, row {rows[number].prompt.question_id}"
    if common == len(ids):
        left = _spelt(tokens, expected[common:])
        return f"{where}: the trainer cut it to {len(ids)} of {len(expected)} tokens; {left!r} was left out"
    found, wanted = _spelt(tokens, ids[common:][:8]), _spelt(tokens, expected[common:][:8])
    return (
        f"{where}: the trainer's tokens are not those that are asked later: from token {common} on they say {found!r},"
        f" where {wanted!r} is expected"
    )


def _shown_row(row: TrainingRow, ids: tuple[int, ...], labels: Sequence[int], tokens: PromptTokenizer) -> str:
    first = next(place for place, label in enumerate(labels) if label != -100)
    begin = max(0, first - _SHOWN_TOKENS)
    before, learnt = _spelt(tokens, ids[begin:first]), "|".join(_spelt(tokens, [id]) for id in ids[first:])
    return f"{row.prompt.question_id}: {'… ' if begin else ''}{before}[[{learnt}]]"


def _spelt(tokens: PromptTokenizer, ids: Sequence[int]) -> str:
    text: str = tokens.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text
