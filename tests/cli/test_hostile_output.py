"""No text from outside moves a terminal's cursor or reorders a line, and every error is one line with its exit code."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from quorum.cli.main import run_command_line
from quorum.console import BAD_INPUT, SURPRISE, print_json, print_text, progress_bar, run_program
from quorum.errors import BadInput
from tests.support.paths import KERNELS, ROOT
from tests.support.verb import run_verb

ESCAPE = "\x1b]0;PWN\x07\x1b[2J\u202eevil\u2066\x9b31m\r"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
FILES = {
    "sub.csv": [["id", "answer"], [f"{ESCAPE}1", "A"], ["2", f"Z{ESCAPE}"]],
    "sample.csv": [["id", "answer"], ["1", "A"], ["2", "B"]],
    "run.csv": [["id", f"m{ESCAPE}", "n"], ["1", "A", "B"], ["2", "B", "B"]],
    "gold.csv": [["id", "answer"], ["1", "A"], ["2", "B"]],
    f"t{ESCAPE}.csv": [
        ["id", f"question{ESCAPE}", "A", "B", "answer", f"odd{ESCAPE}"],
        *([f"{ESCAPE}{n}", f"q {n} {ESCAPE}?", "a", "b", "C", ESCAPE] for n in range(3)),
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with tables whose ids, cells, columns and names hold escape sequences."""
    monkeypatch.chdir(tmp_path)
    for name, rows in FILES.items():
        with Path(name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    return tmp_path


def run(*words: object) -> int:
    """Run a verb in this process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: run_command_line([str(word) for word in words]))
    return int(str(ended.value.code))


@pytest.mark.parametrize(
    "words",
    [
        ("check", "sub.csv", "sample.csv"),
        ("vote", "run.csv", "--out", f"v{ESCAPE}.csv"),
        ("compare", "run.csv", "--gold", "gold.csv"),
        ("score", "sub.csv", "gold.csv"),
        ("score", "run.csv", "gold.csv", "--column", ESCAPE),
        ("doctor", f"t{ESCAPE}.csv"),
        ("doctor", f"none{ESCAPE}.csv"),
        ("split", f"t{ESCAPE}.csv", "--out", ESCAPE),
        ("show", ESCAPE, "q"),
        (f"verb{ESCAPE}",),
        ("vote", f"--opt{ESCAPE}"),
    ],
    ids=lambda words: str(words[0])[:8],
)
def test_no_escape_sequence_reaches_the_terminal(
    words: tuple[str, ...], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for as_json in ((), ("--json",)):
        run(*words, *as_json)
        printed = capfd.readouterr()
        assert printed.out + printed.err
        assert RAW.findall(printed.out + printed.err) == []


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = {ESCAPE: [ESCAPE, "\ud800", "é漢"]}
    print_json(document)
    printed = capsys.readouterr().out
    assert RAW.findall(printed) == []
    assert "é漢" in printed
    assert json.loads(printed) == document
    print_text(ESCAPE)
    assert RAW.findall(capsys.readouterr().out) == []


def test_a_caption_is_neither_markup_nor_an_escape(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress_bar(f"[red]x[/blue]{ESCAPE}") as progress:
        progress(1, 2)
    assert "[red]x[/blue]\\x1b]0;PWN\\x07" in capsys.readouterr().err


NEIGHBOUR = KERNELS / "neighbour.toml"
INFER = ("run", "infer", NEIGHBOUR, 'questions=["q.csv"]', "sample=", "train=", "out=o")
INVALID: dict[str, Callable[[], tuple[object, ...]]] = {
    "5,000 digits": lambda: (*INFER, f"limits.batch={'9' * 5000}"),
    "deep override": lambda: (*INFER, f"limits.batch={'[' * 20000}"),
    "deep file": lambda: ("run", "infer", write("deep.toml", b"a=" + b"[" * 50000)),
    "digits in a file": lambda: ("run", "infer", write("digits.toml", b"a=" + b"9" * 5000)),
    "file of bytes": lambda: ("run", "infer", write("bytes.toml", b"\xff\xfe\x00")),
    "nan": lambda: (*INFER, "limits.deadline=nan"),
    "seed": lambda: ("submit", ROOT / "data/sample", "--seed", "-1"),
    "large seed": lambda: ("split", "q.csv", "--seed", 2**32),
    "name too long": lambda: ("doctor", "x" * 300),
    "path too long": lambda: ("doctor", "x/" * 3000),
    "null byte": lambda: ("doctor", "a\0b.csv"),
    "loop": lambda: ("doctor", "loop.csv"),
    "parquet": lambda: ("doctor", write("cut.parquet", b"PAR1" + bytes(50) + b"PAR1")),
    "parquet run": lambda: ("vote", write("cut.parquet", b"PAR1" + bytes(50)), "--out", "v.csv"),
    "deep JSON": lambda: ("doctor", write("deep.json", b"[" * 100_000)),
    "deep JSON lines": lambda: ("read-replies", write("deep.jsonl", b'{"a":' * 100_000), "--out", "v.csv"),
    "digits in JSON": lambda: ("doctor", write("digits.json", b'[{"id":' + b"9" * 5000 + b"}]")),
    "ledger": lambda: ("leaderboard", "--ledger", write("ledger.jsonl", b'{"a": 1}\n')),
    "ledger is a folder": lambda: ("leaderboard", "--ledger", "."),
    "folder not in UTF-8": lambda: ("submit", os.fsdecode(b"c\xff")),
}


def write(name: str, content: bytes) -> Path:
    Path(name).write_bytes(content)
    return Path(name)


@pytest.mark.parametrize("case", INVALID)
def test_invalid_input_of_any_kind_is_one_line_and_code_2(
    case: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("loop.csv").symlink_to("loop.csv")
    Path(os.fsdecode(b"c\xff")).mkdir()
    Path("q.csv").write_text("id,question,A,B\n1,Which?,a,b\n")
    words = [str(word) for word in INVALID[case]()]
    code = run(*words)
    lines = capfd.readouterr().err.splitlines()
    assert code == BAD_INPUT, lines
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in "".join(lines)
    assert not list(Path().glob("quorum-error-*"))


class Panic(BaseException):
    """As a library in Rust raises it: no Exception."""


@pytest.mark.parametrize("kind", [ValueError, RecursionError, MemoryError, Panic])
def test_a_surprise_is_one_line_that_names_a_file_with_the_traceback(
    kind: type[BaseException], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise kind(f"two\nlines {ESCAPE} http://ada:letmein@h/x")

    with pytest.raises(SystemExit) as ended:
        run_program(fail)
    assert ended.value.code == SURPRISE
    (line,) = capsys.readouterr().err.splitlines()
    found = re.fullmatch(rf"error: unexpected {kind.__name__}: (.*); the traceback is in (\S+); please report it", line)
    assert found, line
    trace = Path(found[2]).read_text(encoding="utf-8")
    assert trace.startswith("Traceback (most recent call last)")
    assert "in fail" in trace
    assert "letmein" not in line + trace


def test_a_traceback_goes_elsewhere_where_the_current_directory_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise KeyError("x")

    (folder / "temporary").mkdir()
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "temporary"))
    with pytest.raises(SystemExit):
        run_program(fail)
    assert str(folder / "temporary") in capsys.readouterr().err
    monkeypatch.setattr("tempfile.tempdir", str(gone))
    with pytest.raises(SystemExit):
        run_program(fail)
    assert capsys.readouterr().err == "error: unexpected KeyError: 'x'; its traceback cannot be written\n"


def test_bad_input_is_one_line_even_if_its_text_has_more(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise BadInput("first\r\n  second\u2028third")

    with pytest.raises(SystemExit):
        run_program(fail)
    assert capsys.readouterr().err == "error: first second third\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_output_in_any_encoding_ends_well(encoding: str, folder: Path) -> None:
    Path("q.csv").write_text("id,question,A,B,answer\n" + "".join(f"é{n},漢 {n}?,ä{n},b{n},A\n" for n in range(9)))
    done = subprocess.run(
        [sys.executable, "-m", "quorum.cli", "doctor", "q.csv"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_full_device_is_one_line_and_no_surprise(folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m quorum.cli leaderboard --json > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == BAD_INPUT
    assert re.fullmatch(r"error: (standard output: )?No space left on device\n", done.stderr)


def test_a_kernel_that_fails_by_surprise_gives_its_code_and_line_to_submit(folder: Path) -> None:
    Path("sitecustomize.py").write_text(
        "import sys\nif sys.argv[:1] and sys.argv[0].endswith('infer.py') or '-c' in sys.argv:\n"
        "    import quorum.judge.session as s\n    s.Session.open = lambda self: 1 / 0\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT / 'src'}"}
    command = [sys.executable, str(KERNELS / "infer.py"), str(NEIGHBOUR)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == SURPRISE, done.stderr
    assert re.fullmatch(r"error: unexpected ZeroDivisionError: .*; the traceback is in \S+; please .*\n", done.stderr)
    assert run_verb("--version").returncode == 0
