"""A submission sent to Kaggle, and its public score read back."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorum.disk import fingerprint
from quorum.errors import BadInput
from quorum.kaggle.client import KAGGLE_SITE, Kaggle, KaggleRefused, Patience, ask_kaggle, ask_service
from quorum.kaggle.push import Pushed


@dataclass(frozen=True)
class Submitted:
    """What became of one submission; the scores are None where Kaggle gives none (yet)."""

    competition: str
    ref: int
    sha256: str
    public_score: float | None
    private_score: float | None


def submit_file(
    kaggle: Kaggle, competition: str, path: Path, approved: str, message: str, patience: Patience
) -> Submitted:
    """Submits the file at `path`, whose bytes must be those with the SHA-256 `approved`, and waits for its score.

    Raises:
        BadInput: other bytes than those approved, or no submission is left today.
        KaggleRefused: Kaggle refused it, could not score it, or nobody knows whether it took it.
    """
    with tempfile.TemporaryDirectory() as own:  # what was checked is what is sent, whatever happens to `path`
        copy = Path(own) / path.name
        shutil.copyfile(path, copy)
        _check_bytes(copy, approved, path)

        def send(text: str) -> Any:
            return kaggle.api.competition_submit(str(copy), text, competition, quiet=True)

        return _submitted(kaggle, competition, send, approved, message, patience)


def submit_kernel(
    kaggle: Kaggle, competition: str, pushed: Pushed, path: Path, approved: str, message: str, patience: Patience
) -> Submitted:
    """Submits the output file of a pushed kernel's version to a code competition, and waits for its score.

    `path` is that output as it was read back: its bytes must be those with the SHA-256 `approved`. Kaggle runs the
    kernel anew on the hidden test file.

    Raises:
        BadInput, KaggleRefused: as `submit_file`; on 403 the message names the page with the button.
    """
    _check_bytes(path, approved, path)

    def send(text: str) -> Any:
        return kaggle.api.competition_submit_code(path.name, text, competition, pushed.id, pushed.version, quiet=True)

    try:
        return _submitted(kaggle, competition, send, approved, message, patience)
    except KaggleRefused as refused:
        if refused.status != 403:
            raise
        raise KaggleRefused(
            f"{refused}; open {pushed.url}, choose version {pushed.version} and press 'Submit to competition' there",
            403,
        ) from None


def _check_bytes(path: Path, approved: str, shown: Path) -> None:
    found = fingerprint(path)
    if found != approved:
        raise BadInput(f"{shown}: its SHA-256 is {found[:12]}…, but {approved[:12]}… was checked and scored here")


def _submitted(
    kaggle: Kaggle, competition: str, send: Callable[[str], Any], sha256: str, message: str, patience: Patience
) -> Submitted:
    _check_allowance(kaggle, competition, patience)
    known = {submission.ref for submission in _submissions(kaggle, competition, patience)}
    text = f"{message} [{sha256[:12]}]"  # by which a submission of unknown outcome is found again
    what = f"submitting to {competition}"
    try:
        answer = ask_kaggle(what, lambda: send(text), patience, limit=patience.upload)
        ref = answer.ref
        if not ref:  # the client says a failed upload in the message
            raise KaggleRefused(f"{what}: {answer.message or 'Kaggle gave it no number'}", None)
    except KaggleRefused as refused:
        if not refused.ambiguous:
            raise
        ref = _found_again(kaggle, competition, text, known, patience, refused)
    return _scored(kaggle, competition, ref, sha256, patience)


def _check_allowance(kaggle: Kaggle, competition: str, patience: Patience) -> None:
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


def _submissions(kaggle: Kaggle, competition: str, patience: Patience) -> list[Any]:
    """Your newest submissions."""
    what = f"your submissions to {competition}"
    answer = ask_service(
        kaggle, what, "competitions", "list_submissions", patience, patience.tries, competition_name=competition
    )
    return list(answer.submissions or [])


def _found_again(
    kaggle: Kaggle, competition: str, text: str, known: set[int], patience: Patience, refused: KaggleRefused
) -> int:
    """The number of the new submission whose description is `text`: each one costs a place, so none is repeated.

    Raises:
        KaggleRefused: there is none.
    """
    waits = patience.waits()
    for _ in range(patience.tries):
        if not next(waits, False):
            break
        for submission in _submissions(kaggle, competition, patience):
            if submission.ref not in known and submission.description == text:
                return int(submission.ref)
    raise KaggleRefused(
        f"{refused}; no new submission shows at {_page(competition)}/submissions: look there before you submit again",
        None,
    ) from refused


def _scored(kaggle: Kaggle, competition: str, ref: int, sha256: str, patience: Patience) -> Submitted:
    what = f"submission {ref} to {competition}"
    for _ in patience.waits():
        answer = ask_service(kaggle, what, "competitions", "get_submission", patience, patience.tries, ref=ref)
        if answer.status.name == "ERROR":
            raise KaggleRefused(
                f"{what}: Kaggle could not score it: {answer.error_description or 'no reason given'}", 400
            )
        if answer.status.name == "COMPLETE":
            return Submitted(competition, ref, sha256, _number(answer.public_score), _number(answer.private_score))
    return Submitted(competition, ref, sha256, None, None)


def _number(score: str | None) -> float | None:
    """A score as Kaggle writes it; empty where it is not shown."""
    return float(score) if score else None


def _page(competition: str) -> str:
    return f"{KAGGLE_SITE}/competitions/{competition}"
