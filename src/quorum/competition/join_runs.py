"""Join a member's runs over the parts of a competition into one run: its answers, kept replies and manifest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from quorum.ballot import Ballot, average_ballots
from quorum.competition.prepare import PreparedCompetition
from quorum.competition.run import CompetitionRun
from quorum.data.read import read_questions
from quorum.files.answers import ballots_from_answers, make_answers, read_answers, write_answers
from quorum.files.kept_replies import remove_kept
from quorum.files.manifest import RunManifest, fingerprint_questions, read_manifest, write_manifest
from quorum.files.run_folder import RunFolder
from quorum.tables.parquet import read_parquet_file, write_parquet_file


def join_runs(
    prepared: PreparedCompetition, name: str, held_out: Sequence[CompetitionRun], test: Sequence[CompetitionRun]
) -> CompetitionRun:
    """Write one run's answers to all held-out and all test questions, and return the run.

    Args:
        prepared: the whole competition.
        name: of the member.
        held_out: the member's runs over the folds.
        test: its runs over the test questions, whose probabilities are averaged.
    """
    folder = prepared.run(name)
    solved = {id: ballot for run in held_out for id, ballot in _read_ballots(run.folder.held_out).items()}
    tested = [_read_ballots(run.folder.test) for run in test]
    answers = {
        folder.held_out: {question.id: solved[question.id] for question in prepared.held_out},
        folder.test: {question.id: average_ballots(run[question.id] for run in tested) for question in prepared.test}
        if len(tested) > 1
        else tested[0],
    }
    run = read_answers(held_out[0].folder.held_out)["run"][0]
    for path, ballots in answers.items():
        write_answers(make_answers(run, ballots), path)
    _join_kept([run.folder for run in held_out], folder, folder.held_out.stem)
    _join_kept([run.folder for run in test] if len(test) == 1 else [], folder, folder.test.stem)
    parts = list(dict.fromkeys(run.folder.manifest for run in (*held_out, *test)))
    write_manifest(_join_manifests([read_manifest(path) for path in parts], prepared), folder.manifest)
    seconds = {run.folder.path: run.seconds for run in (*held_out, *test)}
    test_by = "average" if len(test) > 1 else "refit"
    config = {**test[-1].config, "folds": len(held_out), "test by": test_by}
    return CompetitionRun(name=name, folder=folder, config=config, seconds=sum(seconds.values()))


def _read_ballots(path: Path) -> Mapping[str, Ballot]:
    return ballots_from_answers(read_answers(path))


def _join_kept(parts: Sequence[RunFolder], folder: RunFolder, file: str) -> None:
    """Join the replies, prompts and retrieved texts that the parts kept about a file; prompts get new numbers."""
    remove_kept(folder, file)
    if not parts or not all(part.replies(file).is_file() for part in parts):
        return
    replies, prompts, background, first = [], [], [], 0
    for part in parts:
        own = read_parquet_file(part.prompts(file))
        number = pl.col("prompt") + pl.lit(first, pl.UInt32)
        prompts.append(own.with_columns(number))
        replies.append(read_parquet_file(part.replies(file)).with_columns(number))
        if part.background(file).is_file():
            background.append(read_parquet_file(part.background(file)))
        first = 1 + max(prompts[-1]["prompt"].to_list(), default=first)
    for frames, path in (
        (replies, folder.replies(file)),
        (prompts, folder.prompts(file)),
        (background, folder.background(file)),
    ):
        if frames:
            write_parquet_file(pl.concat(frames), path)


def _join_manifests(parts: Sequence[RunManifest], prepared: PreparedCompetition) -> RunManifest:
    """Return the manifest of all parts together; what a part alone says, such as medians, is left to its own."""
    calls, counts = Counter[str](), Counter[str]()
    for part in parts:
        calls.update(part.calls)
        counts.update(part.counts)
    files = {path.stem: path for path in (prepared.test_file, prepared.files.held_out)}
    asked = {stem: read_questions(path) for stem, path in files.items()}
    return RunManifest(
        run=parts[0].run,
        questions={stem: fingerprint_questions(questions) for stem, questions in asked.items()},
        counts={stem: len(questions) for stem, questions in asked.items()},
        prompt=parts[0].prompt,
        precision=parts[0].precision,
        calls=dict(calls),
        order_sensitive=_average_shares([(part.order_sensitive, part.counts) for part in parts]),
        reread=_average_shares([(part.reread, part.counts) for part in parts]),
        failed=sum(part.failed for part in parts),
    )


def _average_shares(parts: Sequence[tuple[Mapping[str, float], Mapping[str, int]]]) -> dict[str, float]:
    """Return the mean of the parts' shares by file, weighted by the number of questions."""
    files = dict.fromkeys(file for shares, _ in parts for file in shares)
    return {
        file: sum(shares.get(file, 0.0) * counts.get(file, 0) for shares, counts in parts)
        / sum(counts.get(file, 0) for _, counts in parts)
        for file in files
    }
