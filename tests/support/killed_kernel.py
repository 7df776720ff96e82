"""kernels/infer.py as a process to be killed: a run for each line it reads, forked, so that imports are paid for once.

Its model is a slow fake that notes every question it is asked. Arguments: the TOML and the file of notes.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "kernels"))

import infer
import polars  # noqa: F401  # imported once, used in the forks alone

import quorum.ask.reply
import quorum.data.read
import quorum.data.repair
import quorum.files.submission  # noqa: F401
import quorum.model.managed
from quorum.config import read_config
from quorum.judge.settings import RunSettings
from quorum.model.simulated import ScriptedModel, SimulatedModel, SimulatedSettings
from quorum.question import Prompt, Reply

SECONDS = 0.001  # that the model takes for a question


def main(toml: Path, notes: Path) -> None:
    believer = SimulatedModel(SimulatedSettings(accuracy=0.5, seed=1))
    asked = os.open(notes, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def slow(prompt: Prompt) -> Reply:
        time.sleep(SECONDS)
        os.write(asked, f"{prompt.question_id}\n".encode())
        return believer.answer([prompt])[0]

    setattr(quorum.model.managed, "open_backend", lambda table, solved: ScriptedModel(slow))  # noqa: B010
    config = read_config(RunSettings, toml)
    for _ in sys.stdin:
        run = os.fork()
        if run == 0:
            infer.main(config)
            os._exit(0)
        print(run, flush=True)
        _, status = os.waitpid(run, 0)
        print(status, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
