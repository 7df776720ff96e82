"""Answer question files with one model, and keep a legal submission on disk at every moment.

python kernels/infer.py kernels/encoder.toml [key=value ...]
"""

import time

from quorum.console import print_status, progress_bar, run_story
from quorum.judge.settings import RunSettings
from quorum.model.backend import list_backend_settings


def main(settings: RunSettings) -> None:
    """Answer every question once, refine the answers, and write them."""
    from quorum.judge.session import Session

    session = Session(settings, clock=time.monotonic, report=print_status, show_progress=progress_bar)
    session.open()  # read, refuse leaks, write the first legal submission, load the models
    session.answer()
    fitted = session.rehearse()  # on solved questions, if a setting has to be fitted
    session.refine(fitted)
    session.close(fitted)


if __name__ == "__main__":
    run_story(RunSettings, main, __doc__, list_backend_settings)
