"""Submit a file or a kernel's output to Kaggle once, and read its score."""

import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from quorum.disk import fingerprint
from quorum.errors import BadInput
from quorum.kaggle.client import KAGGLE_SITE, Kaggle, KaggleError, RetryPolicy, ask_kaggle, ask_service, poll_until
from quorum.kaggle.push import PushedVersion

_LONGEST_MESSAGE = 400  # characters; the mark after it, which identifies a submission, must not be truncated


@dataclass(frozen=True, kw_only=True)
class SubmittedFile:
    """A submission at Kaggle; the scores are None if Kaggle shows none (yet)."""

    competition: str
    ref: int
    description: str
    public_score: float | None
    private_score: float | None

    def has_bytes(self, sha256: str) -> bool:
        """Return whether the description has the mark of a file with this SHA-256."""
        return _make_mark(sha256) in self.description


def ignore_left(left: int) -> None:
    """Note nothing about the submissions that are left."""


def submit_file(
    kaggle: Kaggle,
    competition: str,
    path: Path,
    approved: str,
    message: str,
    policy: RetryPolicy,
    again: bool = False,
    note_left: Callable[[int], None] = ignore_left,
) -> int:
    """Submit the file at `path` and return the submission's number.

    Args:
        approved: the SHA-256 that the file must have.
        message: becomes the description, followed by the mark of the file.
        again: submit bytes that were submitted before.
        note_left: called with the number of submissions that are still allowed today after this one.

    Raises:
        BadInput: the file has another SHA-256, its bytes were submitted before, or no submission is left today.
        KaggleError: Kaggle refused it, or the outcome is unknown.
    """
    with tempfile.TemporaryDirectory() as own:  # a copy, so that exactly the checked bytes are sent
        copy = Path(own) / path.name
        shutil.copyfile(path, copy)
        _check_bytes(copy, approved, path)

        def send(text: str) -> Any:
            return kaggle.api.competition_submit(str(copy), text, competition, quiet=True)

        known, left = _list_known(kaggle, competition, approved, again, policy)
        ref = _send_once(kaggle, competition, send=send, sha256=approved, message=message, known=known, policy=policy)
        note_left(left)
        return ref


def submit_kernel(
    kaggle: Kaggle,
    competition: str,
    pushed: PushedVersion,
    path: Path,
    approved: str,
    message: str,
    policy: RetryPolicy,
    again: bool = False,
    note_left: Callable[[int], None] = ignore_left,
) -> int:
    """Submit the output file of a kernel's version to a code competition and return the submission's number.

    Kaggle runs the kernel again on the hidden test file.

    Args:
        path: the output as it was read back.
        approved: the SHA-256 that the output must have.

    Raises:
        BadInput, KaggleError: as `submit_file`; for status 403 the message names the page with the button.
    """
    _check_bytes(path, approved, path)

    def send(text: str) -> Any:
        return kaggle.api.competition_submit_code(path.name, text, competition, pushed.id, pushed.version, quiet=True)

    known, left = _list_known(kaggle, competition, approved, again, policy)
    try:
        ref = _send_once(kaggle, competition, send=send, sha256=approved, message=message, known=known, policy=policy)
        note_left(left)
        return ref
    except KaggleError as error:
        if error.status != 403:
            raise
        raise KaggleError(
            f"{error}; open {pushed.url}, choose version {pushed.version} and press 'Submit to competition' there",
            403,
        ) from None


def read_score(kaggle: Kaggle, competition: str, ref: int, policy: RetryPolicy) -> SubmittedFile:
    """Wait for the scores of submission `ref` and return it; the scores are None if `policy.total` is over first.

    Raises:
        KaggleError: Kaggle could not score it, or does not know it.
    """
    what = f"submission {ref} to {competition}"
    description = ""
    request = partial(ask_service, kaggle, what, "competitions", "get_submission", policy, policy.tries, ref=ref)
    for answer in poll_until(request, policy):
        description = answer.description or ""
        if answer.status.name == "ERROR":
            raise KaggleError(
                f"{what}: Kaggle could not score it: {answer.error_description or 'no reason given'}", 400
            )
        if answer.status.name == "COMPLETE":
            return SubmittedFile(
                competition=competition,
                ref=ref,
                description=description,
                public_score=_parse_score(answer.public_score),
                private_score=_parse_score(answer.private_score),
            )
    return SubmittedFile(
        competition=competition, ref=ref, description=description, public_score=None, private_score=None
    )


def _check_bytes(path: Path, approved: str, shown: Path) -> None:
    found = fingerprint(path)
    if found != approved:
        raise BadInput(f"{shown}: its SHA-256 is {found[:12]}…, but {approved[:12]}… was checked and scored here")


def _make_mark(sha256: str) -> str:
    """Return the text at the end of a submission's description that identifies its file."""
    return f"[{sha256[:12]}]"


def _list_known(
    kaggle: Kaggle, competition: str, sha256: str, again: bool, policy: RetryPolicy
) -> tuple[set[int], int]:
    """Return the numbers of your earlier submissions, and how many are left today after one more.

    Another one is allowed, and it is not a repeat.

    Raises:
        BadInput: no submission is left, or the bytes were submitted before.
    """
    left = _check_allowance(kaggle, competition, policy) - 1
    before = _list_submissions(kaggle, competition, policy)
    same = [submission.ref for submission in before if _make_mark(sha256) in (submission.description or "")]
    if same and not again:
        raise BadInput(
            f"{competition}: the same bytes are submission {max(same)} already; --ref {max(same)} reads its score, "
            "--again submits them once more"
        )
    return {submission.ref for submission in before}, left


def _send_once(
    kaggle: Kaggle,
    competition: str,
    send: Callable[[str], Any],
    sha256: str,
    message: str,
    known: set[int],
    policy: RetryPolicy,
) -> int:
    """Submit without retries, and return the submission's number; if the outcome is unknown, look the submission up."""
    what = f"submitting to {competition}"
    text = f"{message.strip()[:_LONGEST_MESSAGE]} {_make_mark(sha256)}"
    try:
        answer = ask_kaggle(what, lambda: send(text), policy, limit=policy.transfer_timeout)
        if not answer.ref:  # the client reports a failed upload in the message
            raise KaggleError(f"{what}: {answer.message or 'Kaggle returned no number'}", None)
        return int(answer.ref)
    except KaggleError as error:
        if not error.ambiguous:
            raise
        return _look_up_submission(
            kaggle, competition, mark=_make_mark(sha256), known=known, policy=policy, error=error
        )


def _check_allowance(kaggle: Kaggle, competition: str, policy: RetryPolicy) -> int:
    """Return how many submissions Kaggle allows now, at least one."""
    what = f"the submissions left in {competition}"
    limits = ask_service(
        kaggle,
        what,
        service="competitions",
        method="get_submission_limits",
        policy=policy,
        tries=policy.tries,
        competition_name=competition,
    )
    if limits.num_allowed_now > 0:
        return int(limits.num_allowed_now)
    if limits.num_total == 0:  # Kaggle's answer to somebody without a team
        raise BadInput(f"you have not joined {competition}: accept its rules at {_page_url(competition)}/rules")
    when = "in all" if limits.limited_by_total else "today"
    raise BadInput(f"{competition} accepts no more submissions from you {when} ({limits.num_today} made today)")


def _list_submissions(kaggle: Kaggle, competition: str, policy: RetryPolicy) -> list[Any]:
    """Return your newest submissions."""
    what = f"your submissions to {competition}"
    answer = ask_service(
        kaggle,
        what,
        service="competitions",
        method="list_submissions",
        policy=policy,
        tries=policy.tries,
        competition_name=competition,
    )
    return list(answer.submissions or [])


def _look_up_submission(
    kaggle: Kaggle, competition: str, mark: str, known: set[int], policy: RetryPolicy, error: KaggleError
) -> int:
    """Return the number of the new submission whose description has the `mark`.

    Raises:
        KaggleError: there is none.
    """
    polls = poll_until(partial(_list_submissions, kaggle, competition, policy), policy)
    for submission in chain.from_iterable(islice(polls, policy.tries)):
        if submission.ref not in known and mark in (submission.description or ""):
            return int(submission.ref)
    raise KaggleError(
        f"{error}; {_page_url(competition)}/submissions shows no new submission: check there before you submit again",
        None,
    ) from error


def _parse_score(score: str | None) -> float | None:
    """Return a score as a number; None if it is not shown or not a finite number."""
    try:
        value = float(score or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _page_url(competition: str) -> str:
    return f"{KAGGLE_SITE}/competitions/{competition}"
