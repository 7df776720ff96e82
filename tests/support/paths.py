"""Where the files are that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
KERNELS = ROOT / "kernels"
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared" / "data"  # real files, which users do not have
