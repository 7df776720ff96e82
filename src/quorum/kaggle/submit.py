"""A submission sent to Kaggle once, and its public score read back."""

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

_LONGEST_MESSAGE = 400  # characters; what follows it, by which a submission is known, must not be cut off


@dataclass(frozen=True)
class SubmittedFile:
    """What became of one submission; the scores are None where Kaggle gives none (yet)."""

    competition: str
    ref: int
    description: str
    public_score: float | None
    private_score: float | None

    def has_bytes(self, sha256: str) -> bool:
        """Whether it says of itself that it is of these bytes."""
        return _mark(sha256) in self.description


def submit_file(
    kaggle: Kaggle,
    competition: str,
    path: Path,
    approved: str,
    message: str,
    patience: RetryPolicy,
    again: bool = False,
) -> int:
    """Submits the file at `path`, whose bytes must be those with the SHA-256 `approved`; the submission's number.

    Raises:
        BadInput: other bytes than those approved, they were submitted before (and not `again`), or no submission is
            left today.
        KaggleRefused: Kaggle refused it, or nobody knows whether it took it.
    """
    with tempfile.TemporaryDirectory() as own:  # what was checked is what is sent, whatever happens to `path`
        copy = Path(own) / path.name
        shutil.copyfile(path, copy)
        _check_bytes(copy, approved, path)

        def send(text: str) -> Any:
            return kaggle.api.competition_submit(str(copy), text, competition, quiet=True)

        known = _known_before(kaggle, competition, approved, again, patience)
        return _sent_once(kaggle, competition, send, approved, message, known, patience)


def submit_kernel(
    kaggle: Kaggle,
    competition: str,
    pushed: PushedVersion,
    path: Path,
    approved: str,
    message: str,
    patience: RetryPolicy,
    again: bool = False,
) -> int:
    """Submits the output file of a pushed kernel's version to a code competition; the submission's number.

    `path` is that output as it was read back: its bytes must be those with the SHA-256 `approved`. Kaggle runs the
    kernel anew on the hidden test file.

    Raises:
        BadInput, KaggleRefused: as `submit_file`; on 403 the message names the page with the button.
    """
    _check_bytes(path, approved, path)

    def send(text: str) -> Any:
        return kaggle.api.competition_submit_code(path.name, text, competition, pushed.id, pushed.version, quiet=True)

    known = _known_before(kaggle, competition, approved, again, patience)
    try:
        return _sent_once(kaggle, competition, send, approved, message, known, patience)
    except KaggleError as refused:
        if refused.status != 403:
            raise
        raise KaggleError(
            f"{refused}; open {pushed.url}, choose version {pushed.version} and press 'Submit to competition' there",
            403,
        ) from None


def read_score(kaggle: Kaggle, competition: str, ref: int, patience: RetryPolicy) -> SubmittedFile:
    """What became of submission `ref`, waited for; its scores are None where `patience.whole` is over first.

    Raises:
        KaggleRefused: Kaggle could not score it, or does not know it.
    """
    what = f"submission {ref} to {competition}"
    description = ""
    asked = partial(ask_service, kaggle, what, "competitions", "get_submission", patience, patience.tries, ref=ref)
    for answer in poll_until(asked, patience):  # Kaggle may be out for a while; the submission is not
        description = answer.description or ""
        if answer.status.name == "ERROR":
            raise KaggleError(
                f"{what}: Kaggle could not score it: {answer.error_description or 'no reason given'}", 400
            )
        if answer.status.name == "COMPLETE":
            scores = (_number(answer.public_score), _number(answer.private_score))
            return SubmittedFile(competition, ref, description, *scores)
    return SubmittedFile(competition, ref, description, None, None)


def _check_bytes(path: Path, approved: str, shown: Path) -> None:
    found = fingerprint(path)
    if found != approved:
        raise BadInput(f"{shown}: its SHA-256 is {found[:12]}…, but {approved[:12]}… was checked and scored here")


def _mark(sha256: str) -> str:
    """What a submission's description ends in, by which it is found again."""
    return f"[{sha256[:12]}]"


def _known_before(kaggle: Kaggle, competition: str, sha256: str, again: bool, patience: RetryPolicy) -> set[int]:
    """The numbers of your submissions so far, once there may be one more."""
    _check_allowance(kaggle, competition, patience)
    before = _submissions(kaggle, competition, patience)
    same = [submission.ref for submission in before if _mark(sha256) in (submission.description or "")]
    if same and not again:
        raise BadInput(
            f"{competition}: these very bytes are submission {max(same)} already: --ref {max(same)} reads its score, "
            "--again spends another place on them"
        )
    return {submission.ref for submission in before}


def _sent_once(
    kaggle: Kaggle,
    competition: str,
    send: Callable[[str], Any],
    sha256: str,
    message: str,
    known: set[int],
    patience: RetryPolicy,
) -> int:
    what = f"submitting to {competition}"
    text = f"{message.strip()[:_LONGEST_MESSAGE]} {_mark(sha256)}"
    try:
        answer = ask_kaggle(what, lambda: send(text), patience, limit=patience.upload)
        if not answer.ref:  # the client says a failed upload in the message
            raise KaggleError(f"{what}: {answer.message or 'Kaggle gave it no number'}", None)
        return int(answer.ref)
    except KaggleError as refused:
        if not refused.ambiguous:
            raise
        return _found_again(kaggle, competition, _mark(sha256), known, patience, refused)


def _check_allowance(kaggle: Kaggle, competition: str, patience: RetryPolicy) -> None:
    what = f"the submissions left in {competition}"
    limits = ask_service(
        kaggle, what, "competitions", "get_submission_limits", patience, patience.tries, competition_name=competition
    )
    if limits.num_allowed_now > 0:
        return
    if limits.num_total == 0:  # what Kaggle answers to somebody without a team
        raise BadInput(f"you have not joined {competition}: accept its rules at {_page(competition)}/rules")
    when = "in all" if limits.limited_by_total else "today"
    raise BadInput(f"{competition} takes no more of your submissions {when} ({limits.num_today} made today)")


def _submissions(kaggle: Kaggle, competition: str, patience: RetryPolicy) -> list[Any]:
    """Your newest submissions."""
    what = f"your submissions to {competition}"
    answer = ask_service(
        kaggle, what, "competitions", "list_submissions", patience, patience.tries, competition_name=competition
    )
    return list(answer.submissions or [])


def _found_again(
    kaggle: Kaggle, competition: str, mark: str, known: set[int], patience: RetryPolicy, refused: KaggleError
) -> int:
    """The number of the new submission whose description has the `mark`: each one costs a place, so none is repeated.

    Raises:
        KaggleRefused: there is none.
    """
    seen = poll_until(partial(_submissions, kaggle, competition, patience), patience)
    for submission in chain.from_iterable(islice(seen, patience.tries)):
        if submission.ref not in known and mark in (submission.description or ""):
            return int(submission.ref)
    raise KaggleError(
        f"{refused}; no new submission shows at {_page(competition)}/submissions: look there before you submit again",
        None,
    ) from refused


def _number(score: str | None) -> float | None:
    """A score as Kaggle writes it; None where it is not shown, or is no number."""
    try:
        value = float(score or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _page(competition: str) -> str:
    return f"{KAGGLE_SITE}/competitions/{competition}"
