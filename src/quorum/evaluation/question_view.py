"""Show one question as a run's model saw it: background, prompts, replies, verdicts, votes and the resulting ballot."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from quorum.ballot import Ballot, find_heaviest, normalise_ballot
from quorum.files.answers import ballots_from_answers, read_answers
from quorum.files.kept_replies import KeptReplies, read_kept_replies
from quorum.files.run_folder import RunFolder
from quorum.files.verifier_log import VERIFIER_LOG
from quorum.tables.parquet import read_parquet_file

_ELIMINATED = VERIFIER_LOG.names()[-1]
_NO_REPLIES = 'none were kept: the run has limits.keep = "answers", is a vote, or is of an older version'


@dataclass(frozen=True, slots=True)
class ViewPart:
    """One part of the view: what it is, a line about it, and its text, both as they came from files."""

    title: str
    note: str = ""
    text: str = ""


def make_question_views(folder: RunFolder, file: str, ids: Iterable[str] | None = None) -> dict[str, list[ViewPart]]:
    """Return the view of each question in a run's answers to a question file, by id; only of `ids` if they are given.

    Raises:
        BadInput: a file of the run cannot be read.
    """
    ballots = ballots_from_answers(read_answers(folder.answers(file)))
    chosen = [id for id in (ballots if ids is None else ids) if id in ballots]
    kept = read_kept_replies(folder, file, chosen)
    verdicts = _read_verdicts(folder, file, chosen)
    rows = {} if kept is None else _group_by_id(kept.replies)
    background = {} if kept is None else _group_by_id(kept.background)
    return {
        id: [
            *_describe_background(background.get(id, ())),
            *(_describe_replies(rows.get(id, ()), kept) if kept else [ViewPart("Replies", _NO_REPLIES)]),
            *_describe_verdicts(verdicts.get(id, ())),
            *(_describe_votes(rows.get(id, ()), kept) if kept else []),
            _describe_ballot(ballots[id]),
        ]
        for id in chosen
    }


def format_ballot(ballot: Ballot) -> str:
    """Return a ballot in one line, heaviest label first, as shares."""
    if not ballot:
        return "unread"
    shares = sorted(normalise_ballot(ballot).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{label} {share:.3f}" for label, share in shares)


def find_own_label(label: str, labels: Sequence[str], order: str) -> str:
    """Return the question's own label of a shown one; the label itself if the prompt shows no options."""
    place = list(labels).index(label) if label in labels else -1
    return order[place] if 0 <= place < len(order) else label


def _group_by_id(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        groups.setdefault(row["id"], []).append(row)
    return groups


def _describe_background(rows: Sequence[Mapping[str, Any]]) -> list[ViewPart]:
    if not rows:
        return []
    lines = [
        f"{row['kind']} {row['source']}: score {row['score']:.4g}, similarity {row['similarity']:.3f}" for row in rows
    ]
    return [ViewPart("Background", "in the order of the prompt, the best last", "\n".join(lines))]


def _describe_replies(rows: Sequence[Mapping[str, Any]], kept: KeptReplies) -> list[ViewPart]:
    """Return each prompt where it is first used, and each reply."""
    parts: list[ViewPart] = []
    numbers: dict[int, int] = {}
    for row in rows:
        prompt = kept.prompts[row["prompt"]]
        if row["prompt"] not in numbers:
            numbers[row["prompt"]] = len(numbers) + 1
            parts += _describe_prompt_turns(numbers[row["prompt"]], prompt)
        number = numbers[row["prompt"]]
        sample = f", sample {row['repeat'] + 1}" if row["repeat"] else ""
        parts.append(
            ViewPart(
                f"Reply to prompt {number} ({row['pass']}{sample})",
                _describe_reply(row, prompt["labels"]),
                row["text"],
            )
        )
    return parts or [ViewPart("Replies", "none: the question was not asked")]


def _describe_prompt_turns(number: int, prompt: Mapping[str, Any]) -> list[ViewPart]:
    parts = []
    for turn in prompt["turns"]:
        role = f", {turn['role']}" if turn["role"] else ""
        parts.append(ViewPart(f"Prompt {number}{role}", "", turn["content"]))
    shown = "\n".join(turn["content"] for turn in prompt["turns"])
    if prompt["options"] and not all(option in shown for option in prompt["options"]):  # scored, but not in the text
        lines = [f"{label}. {option}" for label, option in zip(prompt["labels"], prompt["options"], strict=True)]
        parts.append(ViewPart(f"Options of prompt {number}", "scored one by one, not in its text", "\n".join(lines)))
    return parts


def _describe_reply(row: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return one line on a reply: what was parsed and why, the order of the options, length and time."""
    ballot = {each["label"]: each["weight"] for each in row["ballot"]}
    own = {find_own_label(label, labels, row["order"]): weight for label, weight in ballot.items()}
    if not ballot:
        line = f"unread ({row['reason'] or 'no reason'})"
    elif len(ballot) == 1:
        weight = next(iter(ballot.values()))
        line = f"{row['label']}{f' with weight {weight:.3g}' if weight < 1 else ''} ({row['reason']})"
    else:
        line = f"{format_ballot(ballot)} ({row['reason']})"
    facts = [line]
    if row["order"] and own.keys() and list(own) != list(ballot):
        facts.append(f"own label {find_heaviest(own)}")
    if row["order"]:
        facts.append(f"order {row['order']}")
    if row["mass"] is not None:
        facts.append(f"letters had probability {row['mass']:.3f}")
    if row["finish"]:
        facts.append(f"finish {row['finish']}")
    if row["tokens"] is not None:
        facts.append(f"{row['tokens']} tokens")
    facts.append("from the journal" if row["seconds"] is None else _format_seconds(row["seconds"]))
    return "; ".join(facts)


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms" if seconds >= 0.001 else "under 1 ms"


def _read_verdicts(folder: RunFolder, file: str, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    path = folder.verdicts(file)
    if not path.is_file():
        return {}
    frame = read_parquet_file(path)
    return _group_by_id(frame.filter(pl.col("id").is_in(ids))) if frame.schema == VERIFIER_LOG else {}


def _describe_verdicts(rows: Sequence[Mapping[str, Any]]) -> list[ViewPart]:
    if not rows:
        return []
    lines = []
    for row in rows:
        verdict = "not verified" if row["p_true"] is None else f"P(TRUE) {row['p_true']:.3f}"
        lines.append(f"round {row['round']}, {row['label']}: {verdict}{', removed' if row[_ELIMINATED] else ''}")
    return [ViewPart("Verdicts", "", "\n".join(lines))]


def _describe_votes(rows: Sequence[Mapping[str, Any]], kept: KeptReplies) -> list[ViewPart]:
    """Return how often each of the question's own labels was sampled, if it was voted on."""
    if all(row["pass"] != "vote" for row in rows):
        return []
    votes = [row for row in rows if row["pass"] in ("first", "vote")]
    own = [
        find_own_label(row["label"], kept.prompts[row["prompt"]]["labels"], row["order"]) if row["label"] else "unread"
        for row in votes
    ]
    lines = [f"{label}: {count}" for label, count in Counter(own).most_common()]
    return [ViewPart("Votes", "replies by the question's own label, the first reply included", "\n".join(lines))]


def _describe_ballot(ballot: Ballot) -> ViewPart:
    if not ballot:
        return ViewPart("Ballot", "unread: the submission fills it from the prior")
    return ViewPart("Ballot", format_ballot(ballot))
