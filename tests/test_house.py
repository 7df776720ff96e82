"""The rules that keep the house standing (docs/architecture.md), checked over the source as it is."""

import ast
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from quorum.cli.main import VERBS, run_command_line
from tests.support.paths import ROOT

SOURCE = ROOT / "src" / "quorum"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
VERB_FUNCTIONS = {name: function for verbs in VERBS.values() for name, function in verbs.items()}
PROGRAMS = [*sorted((ROOT / "scripts").glob("*.py")), *sorted((ROOT / "kernels").glob("*.py"))]
FLOW = "data ask engine model train files judge evaluation kaggle competition cli"
WINGS = ("", *FLOW.split())  # the ground floor, then the flow
VERB_LINES = 60
HEAVY = {"torch", "transformers", "vllm", "unsloth", "trl", "peft", "faiss", "sentence_transformers", "datasets"}
NOT_FOR_HELP = HEAVY | {"polars", "numpy", "scipy", "sklearn", "datasketch", "rich", "pandas", "statsmodels", "kaggle"}


def wing(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0] if path.parent != SOURCE else ""


def imports(tree: ast.AST, top_only: bool = False) -> list[str]:
    nodes = tree.body if top_only else ast.walk(tree)
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_down(path):
    here = WINGS.index(wing(path))
    for name in imports(ast.parse(path.read_text())):
        assert not name.startswith("."), f"{name}: a relative import"
        if name.startswith("quorum."):
            parts = name.split(".")
            there = WINGS.index(parts[1] if len(parts) > 2 else "")
            assert there <= here, f"{name} stands after {path.relative_to(SOURCE)} in the flow"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_heavy_imports_stand_inside_functions(path):
    assert not {name.split(".")[0] for name in imports(ast.parse(path.read_text()), top_only=True)} & HEAVY


def test_no_name_stands_for_two_things():
    owners = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in names:
                owners[name].add(str(path.relative_to(SOURCE)))
    assert {name: paths for name, paths in owners.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_has_a_caption_and_only_the_door_prints(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    prints = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("print", "input")]
    assert not prints or path.name == "console.py" or wing(path) == "cli"


def help_of(*command):
    """What `COMMAND --help` prints, and the top-level modules that it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert loaded, "importtime printed nothing"
    return done.stdout, loaded


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_help_answers_without_a_heavy_import(program):
    shown, loaded = help_of(str(program))
    assert "--json" in shown or program.parent.name == "kernels"
    assert not loaded & NOT_FOR_HELP


@pytest.mark.parametrize("verb", ["", *VERB_FUNCTIONS])
def test_help_of_a_verb_describes_it_without_a_heavy_import(verb):
    shown, loaded = help_of("-m", "quorum.cli", *([verb] if verb else []))
    assert shown.startswith(f"Usage: quorum {verb}".rstrip())
    assert "--json" in shown or verb in ("", "run")
    assert max(map(len, shown.splitlines())) <= 80
    assert not loaded & NOT_FOR_HELP


def test_help_lists_every_verb_under_its_heading_in_one_line():
    lines = help_of("-m", "quorum.cli")[0].splitlines()
    for heading, verbs in VERBS.items():
        start = lines.index(f"{heading}:")
        listed = lines[start + 1 : start + 1 + len(verbs)]
        assert [line.split()[0] for line in listed] == list(verbs)


@pytest.mark.parametrize("verb", VERB_FUNCTIONS)
def test_a_verb_is_short_and_alone_in_its_file(verb):
    function = VERB_FUNCTIONS[verb]
    assert len(inspect.getsourcelines(function)[0]) <= VERB_LINES
    assert Path(inspect.getfile(function)).stem == verb.replace("-", "_")
    assert function.__doc__
    assert len(function.__doc__.splitlines()[0]) <= 80 - 20


@pytest.mark.parametrize("verb", ["", *VERB_FUNCTIONS])
def test_a_wrong_option_of_a_verb_ends_in_one_line_with_code_2(verb, capsys):
    assert run_command_line([*([verb] if verb else []), "--no-such-option"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_the_page_of_commands_lists_every_verb_once():
    rows = [line for line in (ROOT / "docs" / "commands.md").read_text().splitlines() if line.startswith("| `quorum ")]
    assert [row.split("`")[1].split()[1] for row in rows] == list(VERB_FUNCTIONS)


def test_only_the_command_line_imports_typer():
    users = {
        path for path in MODULES if any(name.split(".")[0] == "typer" for name in imports(ast.parse(path.read_text())))
    }
    assert users
    assert {wing(path) for path in users} == {"cli"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_wrong_argument_ends_with_code_2_and_no_traceback(program):
    done = subprocess.run(
        [sys.executable, str(program), "--no-such-setting", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr[-500:]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_module_is_imported(path):
    modules = [*imports(ast.parse(path.read_text())), *re.findall(r"\bfrom (tests\.[\w.]+) import", path.read_text())]
    assert [name for name in modules if name.rpartition(".")[2].startswith("test_")] == []
