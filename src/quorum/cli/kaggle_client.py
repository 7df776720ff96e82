"""Open a Kaggle client: signed in, or one that only prints its requests."""

from typing import TYPE_CHECKING

from quorum.console import print_text

if TYPE_CHECKING:
    from quorum.kaggle.client import Kaggle, RetryPolicy


def open_kaggle(user: str, wait: float, dry_run: bool) -> "tuple[Kaggle, RetryPolicy]":
    """Return a Kaggle client and its retry policy; in a dry run, a client that only prints its requests.

    Args:
        user: the user name to assume in a dry run.
        wait: the most hours to wait for Kaggle, in total.
        dry_run: print the requests and send none.
    """
    import sys
    import time
    from functools import partial

    from quorum.kaggle.client import RetryPolicy, make_dry_run_client, make_dry_run_policy, sign_in

    if dry_run:
        return make_dry_run_client(user, partial(print_text, file=sys.stdout)), make_dry_run_policy()
    policy = RetryPolicy(clock=time.monotonic, sleep=time.sleep, total=wait * 3600)
    return sign_in(policy), policy
