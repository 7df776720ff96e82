"""A kernel in one file: the modules that its story needs, bottom up, as they stand, and its dials at the foot."""

import ast
import builtins
import hashlib
import json
import symtable
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pprint import pformat
from typing import Any

from quorum.errors import BadInput, some
from quorum.kaggle.metadata import kaggle_limits
from quorum.kaggle.secret import find_secrets

# What every built file needs besides its story; these need nothing but Python itself, so that the wheels can come next.
_GROUND = ("quorum.kaggle.mount", "quorum.config", "quorum.door")

# What the built file itself brings, and what it means there.
_BUILT_IN = {
    "os": "import os",
    "sys": "import sys",
    "Path": "from pathlib import Path",
    "PINS": "what the wheels are",
    "DIALS": "the dials",
    "run_kernel": "what runs the story",
}


@dataclass(frozen=True)
class Module:
    """One file of the package, or the story itself."""

    name: str  # quorum.judge.vote, kernels/vote.py
    text: str
    tree: ast.Module

    @cached_property
    def imports(self) -> list[ast.ImportFrom]:
        """Its imports from the package, those inside functions too."""
        found = (node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom))
        return [node for node in found if node.module and node.module.split(".")[0] == "quorum"]

    @property
    def needs(self) -> list[str]:
        """The modules that it imports from the package."""
        return list(dict.fromkeys(str(node.module) for node in self.imports))


def built_kernel(
    story: Path,
    table: Mapping[str, Any],
    src: Path,
    name: str,
    commit: str,
    pins: Sequence[str] = (),
    wheels: str = "",
) -> str:
    """The text of one self-contained script: the same text for the same sources, dials and commit.

    `story` is a kernel with a `main(config)`, `table` its dials, `src` the folder that holds the package; `pins` are
    requirements that it installs at Kaggle from the folder `wheels` (/kaggle/input/…) before anything else is imported.

    Raises:
        BadInput: a circle, a name that stands twice, an import that cannot be printed into one file, a requirement
            without its version, what looks like a secret, more bytes than Kaggle takes.
    """
    last = _read_module(str(story), story)
    whole = _needed((*_GROUND, *last.needs), src)
    head = whole[: len(_needed(_GROUND, src))]
    body = whole[len(head) :]
    config = _config_name(last)
    _check_unique([*whole, last])
    pinned = _pinned(pins, wheels)

    code = "\n\n".join(
        [
            *map(_section, head),
            *([_wheels_step(pinned, wheels)] if pinned else []),
            *map(_section, body),
            _section(last),
            _foot(table, config, name),
        ]
    )
    if secrets := find_secrets(code):
        raise BadInput(f"{name}: what looks like a secret would be pushed: {some(secrets)}")
    text = _banner(name, story, last, commit, code) + code
    compile(text, f"{name}.py", "exec", dont_inherit=True)
    most = kaggle_limits()["source"]["most_bytes"]
    if len(text.encode()) > most:
        raise BadInput(f"{name}: {len(text.encode())} bytes, where Kaggle takes {most}")
    return text


def _needed(names: Sequence[str], src: Path) -> list[Module]:
    """The modules called `names` and all that they need, each after what it needs itself.

    Raises:
        BadInput: a circle, or a module that is not there.
    """
    done: dict[str, Module] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise BadInput(f"imports go round in a circle: {' -> '.join([*path[path.index(name) :], name])}")
        if name in done:
            return
        file = src.joinpath(*name.split(".")).with_suffix(".py")
        if not file.is_file():
            raise BadInput(f"{path[-1] if path else 'the kernel'} imports from {name}, which is no module in {src}")
        module = _read_module(name, file)
        for need in module.needs:
            visit(need, (*path, name))
        done[name] = module

    for name in names:
        visit(name, ())
    return list(done.values())


def _read_module(name: str, path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        raise BadInput(f"{path}, line {error.lineno}: {error.msg}") from None
    module = Module(name, text, tree)
    _check_imports(module)
    return module


def _check_imports(module: Module) -> None:
    """Refuses what would mean something else in one file."""
    for node in ast.walk(module.tree):
        where = f"{module.name}, line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "quorum" for alias in node.names):
            raise BadInput(f"{where}: import quorum…; allowed is only: from quorum.wing.module import name")
        if isinstance(node, ast.ImportFrom):
            if node.level:
                raise BadInput(f"{where}: a relative import; allowed is only: from quorum.wing.module import name")
            if node.module == "__future__":
                raise BadInput(f"{where}: from __future__ holds for a whole file; leave it out")
        if isinstance(node, ast.Name) and node.id == "__file__":
            raise BadInput(f"{where}: __file__, which at Kaggle is another file in another folder")
    for node in module.imports:
        for alias in node.names:
            if alias.name == "*" or alias.asname:
                raise BadInput(f"{module.name}, line {node.lineno}: import {alias.name} as {alias.asname or '*'}; "
                               f"allowed is only the name itself")  # fmt: skip
    own = {alias.name for node in module.imports for alias in node.names}
    for scope in _scopes(symtable.symtable(module.text, module.name, "exec")):
        for symbol in scope.get_symbols():
            if symbol.get_name() in own and symbol.is_imported() and symbol.is_assigned():
                raise BadInput(f"{module.name}: {symbol.get_name()} is imported and assigned in {scope.get_name()}")


def _scopes(table: symtable.SymbolTable) -> list[symtable.SymbolTable]:
    return [table, *(inner for child in table.get_children() for inner in _scopes(child))]


def _check_unique(modules: Sequence[Module]) -> None:
    """Refuses a top-level name with two meanings: in one file the later would take the place of the earlier."""
    meanings = {name: (meaning, "the built file") for name, meaning in _BUILT_IN.items()}
    for module in modules:
        outside = _imported_from_outside(module)
        for symbol in symtable.symtable(module.text, module.name, "exec").get_symbols():
            name = symbol.get_name()
            if symbol.is_imported() and name not in outside:
                continue  # from the package: its meaning is noted where it is defined
            if not (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
                continue
            meaning = outside[name] if symbol.is_imported() else f"defined in {module.name}"
            before, where = meanings.setdefault(name, (meaning, module.name))
            if before != meaning:
                raise BadInput(f"{name} has two meanings in one file: {before} ({where}) and {meaning} ({module.name})")
            if hasattr(builtins, name):
                raise BadInput(f"{name}, {meaning}, would take the place of Python's own in every module")


def _imported_from_outside(module: Module) -> dict[str, str]:
    """What each name means that the module imports at its top level from elsewhere than the package."""
    meanings: dict[str, str] = {}
    nodes: list[ast.AST] = list(module.tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:  # import a.b binds a
                name = alias.asname or alias.name.split(".")[0]
                meanings[name] = f"import {alias.name} as {name}" if alias.asname else f"import {name}"
        elif isinstance(node, ast.ImportFrom) and node not in module.imports:
            meanings |= {alias.asname or alias.name: f"from {node.module} import {alias.name}" for alias in node.names}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return meanings


def _section(module: Module) -> str:
    """A module as it stands, without its imports from the package and without what runs it as a program."""
    lines: list[str | None] = list(module.text.splitlines())
    for block in _blocks(module.tree):
        gone = [node for node in block if node in module.imports or _is_door(node)]
        for node in gone:
            lines[node.lineno - 1 : node.end_lineno] = [None] * ((node.end_lineno or node.lineno) - node.lineno + 1)
        if gone and len(gone) == len(block) and block is not module.tree.body:
            lines[gone[0].lineno - 1] = " " * gone[0].col_offset + "pass"
    title = module.name if module.name.startswith("quorum.") else Path(module.name).name
    return f"# {'-' * 4} {title} {'-' * (112 - len(title))}\n\n{_closed(lines)}\n"


def _blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """Every list of statements in a module."""
    fields = ("body", "orelse", "finalbody", "handlers")
    found = (getattr(node, field, None) for node in ast.walk(tree) for field in fields)
    return [block for block in found if isinstance(block, list)]


def _is_door(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _closed(lines: Sequence[str | None]) -> str:
    """The lines without those that are gone (None), and without the second blank line beside such a hole."""
    kept: list[str] = []
    hole = False
    for line in lines:
        if line is None:
            hole = True
        elif line or not hole or (kept and kept[-1]):
            kept.append(line)
            hole = hole and not line
    return "\n".join(kept).strip("\n")


def _config_name(story: Module) -> str:
    """The dataclass that the story's main takes."""
    mains = [node for node in story.tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    classes = {node.name for node in story.tree.body if isinstance(node, ast.ClassDef)}
    for node in mains:
        annotation = node.args.args[0].annotation if len(node.args.args) == 1 else None
        if isinstance(annotation, ast.Name) and annotation.id in classes:
            return annotation.id
    raise BadInput(f"{story.name}: a kernel needs a main(config: ITS_DATACLASS)")


def _pinned(pins: Sequence[str], wheels: str) -> list[str]:
    """The requirements, once each is known to have its version."""
    for pin in pins:
        if "==" not in pin or "*" in pin:
            raise BadInput(f"requirement {pin!r} has no version of its own: name==version is allowed")
    if pins and not wheels.startswith("/kaggle/input/"):
        raise BadInput(f"{len(pins)} requirements, but wheels is {wheels!r}, which is no folder under /kaggle/input/")
    return list(pins)


def _wheels_step(pins: Sequence[str], wheels: str) -> str:
    return f"""# What follows may need the wheels: they are installed, and the program starts anew with them.
PINS = {pformat(list(pins), width=100)}

if __name__ == "__main__" and os.environ.get("QUORUM_WHEELS") != {wheels!r}:
    enter(lambda: enter_with_wheels(PINS, {wheels!r}, sys.argv, os.environ, print))
"""


def _foot(table: Mapping[str, Any], config: str, name: str) -> str:
    lines = (
        f"    {json.dumps(dial)}: {pformat(value, width=100, sort_dicts=False)},\n" for dial, value in table.items()
    )
    return f"""# ---- the dials of {name} {"-" * (99 - len(name))}

# On the command line dial=value wins over these, and kaggle=FOLDER stands for /kaggle in every path.
DIALS = {{
{"".join(lines)}}}


def run_kernel() -> int:
    table = overridden(DIALS, sys.argv[1:], "the dials")
    root = Path(table.pop("kaggle", "/kaggle"))
    for line in [*preflight(root), f"dials: {{table}}"]:
        print(line, flush=True)
    return main(dials({config}, mounted(table, root), "the dials")) or DONE


if __name__ == "__main__":
    enter(run_kernel)
"""


def _banner(name: str, story: Path, module: Module, commit: str, code: str) -> str:
    doc = (ast.get_docstring(module.tree) or name).splitlines()[0]
    return f'''"""{doc}

Built by Quorum: kernel {name} out of kernels/{story.name} and the modules it needs, in one file. Do not edit it here.

commit   {commit}
sources  sha256 {hashlib.sha256(code.encode()).hexdigest()}
rebuild  make kernels
"""

import os
import sys
from pathlib import Path

'''
