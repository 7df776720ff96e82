"""Define the paths of a workspace's files; no other code knows them."""

import re
from dataclasses import dataclass
from pathlib import Path

from quorum.data.split_folder import SplitFolder
from quorum.disk import check_file_name
from quorum.files.run_folder import RunFolder

GOLD = "gold"  # the name, among runs, of the folder of the right answers
# Parts of a competition, each with a folder of its own among its splits and among its runs.
FOLD = "fold"  # "fold-1-of-5": the fold is held out, and members learn from the others
OF_HELD_OUT = "-held-out"  # "fold-1-of-5-held-out": a part of the held-out fold, for a ladder
ALL_LABELS = "all-labels"  # no question is held out


@dataclass(frozen=True)
class Workspace:
    """The paths of a workspace, by default the current directory.

    Names of competitions and runs are parts of paths, so each has to be a plain file name (`check_file_name`).
    """

    root: Path = Path()
    submissions_folder: Path = Path("submissions")  # relative to the root

    def split(self, competition: str, part: str = "") -> SplitFolder:
        """Return the folder of the repaired and split questions; it has no held-out answers, so it can go to Kaggle.

        Args:
            part: the name of a part of the competition (see competition/folds.py); by default the whole competition.
        """
        folder = self.splits / _check_competition_name(competition)
        return SplitFolder(folder / check_file_name(part, "part") if part else folder)

    @property
    def splits(self) -> Path:
        """The folder of all splits."""
        return self.root / "data" / "split"

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.root / "runs"

    def run(self, competition: str, run: str, group: str = "") -> RunFolder:
        """Return the folder of a run; `group` collects runs that belong together, such as those of a ladder."""
        folder = self.runs / _check_competition_name(competition)
        if group:
            folder /= check_file_name(group, "group of runs")
        return RunFolder(folder / check_file_name(run, "run"))

    def members(self, competition: str) -> Path:
        """Return the folder of members that Quorum writes itself, as TOML files."""
        return self.runs / _check_competition_name(competition) / "members"

    def lock(self, competition: str) -> Path:
        """Return the file that a process locks while it works on the competition."""
        return self.runs / _check_competition_name(competition) / ".lock"

    def list_runs(self) -> list[RunFolder]:
        """Return the folders of all runs that have answers, those of ladders and other groups included."""
        depths = ("*/*", "*/*/*", "*/*/*/*")  # a run of its own, of a competition, of a group
        found = {path.parent for depth in depths for path in self.runs.glob(f"{depth}.parquet")}
        return [RunFolder(path) for path in sorted(found) if path.name != GOLD and RunFolder(path).list_answered()]

    def ladder(self, competition: str, name: str) -> Path:
        """Return the file with the result of a ladder, for the report."""
        file = f"ladder-{check_file_name(name, 'ladder')}.json"
        return self.runs / _check_competition_name(competition) / file

    def list_ladders(self, competition: str) -> list[Path]:
        """Return the results of the competition's ladders."""
        return sorted((self.runs / _check_competition_name(competition)).glob("ladder-*.json"))

    def list_losses(self, competition: str) -> list[Path]:
        """Return the loss curves of the competition's trainings, those of its parts included."""
        folder = self.runs / _check_competition_name(competition)
        depths = ("*/loss.json", f"{FOLD}-*/*/loss.json", f"{ALL_LABELS}/*/loss.json")
        return [path for depth in depths for path in sorted(folder.glob(depth))]

    def gold(self, competition: str) -> Path:
        """Return the file of held-out questions with their answers; it is not in `split`, so members cannot read it."""
        return self.run(competition, GOLD).held_out

    def submission(self, competition: str, run: str) -> Path:
        """Return the submission file of a run."""
        name = f"{_check_competition_name(competition)}-{check_file_name(run, 'run')}.csv"
        return self.submissions / name

    @property
    def submissions(self) -> Path:
        """The folder of submissions and of the ledger."""
        return self.root / self.submissions_folder

    @property
    def ledger(self) -> Path:
        """The ledger, the record of all submissions."""
        return self.submissions / "ledger.jsonl"

    @property
    def kaggle_state(self) -> Path:
        """The file with the number of submissions that Kaggle still allowed, by competition."""
        return self.submissions / "kaggle.json"

    @property
    def training_sample(self) -> Path:
        """The folder of sampled training questions and their split."""
        return self.root / "data" / "draw"

    @property
    def report(self) -> Path:
        """The folder of the report page and its charts."""
        return self.root / "build" / "report"

    @property
    def benchmark(self) -> Path:
        """The folder of answers to benchmarks, with their tables and page."""
        return self.root / "build" / "benchmark"

    @property
    def exploration(self) -> Path:
        """The folder of the page on a data file, and its charts."""
        return self.root / "build" / "explore"

    def method_table(self, competition: str) -> Path:
        """Return the folder of the page on a competition's models and methods, and of its tables."""
        return self.root / "build" / "methods" / _check_competition_name(competition)

    def limited(self, competition: str) -> Path:
        """Return the folder of questions drawn from a competition, to try something on."""
        return self.root / "data" / "limited" / _check_competition_name(competition)

    @property
    def built_kernels(self) -> Path:
        """The folder of kernels bundled for Kaggle, one subfolder each."""
        return self.root / "build" / "kernels"

    @property
    def wheels(self) -> Path:
        """The folder of wheels for Kaggle's Python."""
        return self.root / "build" / "wheels"

    @property
    def kaggle_outputs(self) -> Path:
        """The folder of outputs of pushed kernels, read back from Kaggle."""
        return self.runs / "kaggle"


def is_part(name: str) -> bool:
    """Return whether a folder of a competition has the name of one of its parts."""
    return name == ALL_LABELS or re.fullmatch(rf"{FOLD}-\d+-of-\d+({OF_HELD_OUT})?", name) is not None


def _check_competition_name(name: str) -> str:
    return check_file_name(name, "competition")
