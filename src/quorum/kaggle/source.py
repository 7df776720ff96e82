"""The package as source: a module's imports, all that a story needs, and what could not stand in one file."""

import ast
import builtins
import symtable
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from quorum.errors import BadInput


@dataclass(frozen=True)
class SourceModule:
    """One file of the package, or the story itself."""

    name: str  # quorum.judge.ensemble.pool, kernels/vote.py
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

    @cached_property
    def symbols(self) -> symtable.SymbolTable:
        """Its names, scope by scope."""
        return symtable.symtable(self.text, self.name, "exec")


def list_needed_modules(names: Sequence[str], src: Path) -> list[SourceModule]:
    """The modules called `names` and all that they need, each after what it needs itself.

    Raises:
        BadInput: a circle, or a module that is not there.
    """
    done: dict[str, SourceModule] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise BadInput(f"imports go round in a circle: {' -> '.join([*path[path.index(name) :], name])}")
        if name in done:
            return
        file = src.joinpath(*name.split(".")).with_suffix(".py")
        if not file.is_file():
            raise BadInput(f"{path[-1] if path else 'the kernel'} imports from {name}, which is no module in {src}")
        module = read_module(name, file)
        for need in module.needs:
            visit(need, (*path, name))
        done[name] = module

    for name in names:
        visit(name, ())
    return list(done.values())


def read_module(name: str, path: Path) -> SourceModule:
    """The module in the file `path`.

    Raises:
        BadInput: it is no Python, or holds what would mean something else in one file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        module = SourceModule(name, text, ast.parse(text, name))
        scopes = _scopes(module.symbols)
    except SyntaxError as error:
        raise BadInput(f"{path}, line {error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise BadInput(f"{path}: no Python: {error}") from None
    _check_imports(module)
    _check_scopes(module, scopes)
    return module


def is_main_guard(node: ast.AST) -> bool:
    """Whether a statement is what runs its module as a program."""
    spelt = ("__name__ == '__main__'", "'__main__' == __name__")
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) in spelt


def _check_imports(module: SourceModule) -> None:
    """Refuses what would mean something else in one file."""
    ifs = (node for node in ast.walk(module.tree) if isinstance(node, ast.If) and is_main_guard(node))
    doors = {part for door in ifs for part in ast.walk(door.test)}
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
        if isinstance(node, ast.Name) and node.id == "__name__" and node not in doors:
            raise BadInput(f'{where}: __name__, which is another in one file; allowed is: if __name__ == "__main__":')
    for node in module.imports:
        for alias in node.names:
            if alias.name == "*" or alias.asname:
                raise BadInput(f"{module.name}, line {node.lineno}: import {alias.name} as {alias.asname or '*'}; "
                               f"allowed is only the name itself")  # fmt: skip


def _check_scopes(module: SourceModule, scopes: Sequence[tuple[symtable.SymbolTable, ...]]) -> None:
    """Refuses an import whose name would mean something else, once it is gone and the name is the whole file's."""
    own = {alias.name for node in module.imports for alias in node.names}
    for *outer, scope in scopes:
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            if name not in own or not symbol.is_imported():
                continue
            if symbol.is_assigned() or symbol.is_parameter():
                raise BadInput(f"{module.name}: {name} is imported and assigned in {scope.get_name()}")
            if scope.get_type() == "class":
                raise BadInput(f"{module.name}: {name} is imported in the body of {scope.get_name()}, a class")
            if others := [around.get_name() for around in outer if _is_local(around, name)]:
                raise BadInput(f"{module.name}: {name} is imported in {scope.get_name()}, and another in {others[-1]}")


def _is_local(scope: symtable.SymbolTable, name: str) -> bool:
    """Whether a function has `name` for itself and for the functions in it."""
    return scope.get_type() == "function" and name in scope.get_identifiers() and scope.lookup(name).is_local()


def _scopes(table: symtable.SymbolTable, *outer: symtable.SymbolTable) -> list[tuple[symtable.SymbolTable, ...]]:
    """Every scope of a module, each after those around it."""
    around = (*outer, table)
    return [around, *(inner for child in table.get_children() for inner in _scopes(child, *around))]


def check_imported_names(modules: Sequence[SourceModule]) -> None:
    """Refuses an import of what its module does not have: in one file it would be missed when it is used.

    Raises:
        BadInput: there is such an import.
    """
    there = {module.name: _bound(module.symbols) for module in modules}
    for module in modules:
        for node in module.imports:
            for alias in node.names:
                if alias.name not in there[str(node.module)]:
                    raise BadInput(f"{module.name}, line {node.lineno}: {node.module} has no {alias.name}")


def _bound(table: symtable.SymbolTable) -> set[str]:
    """The names that get a meaning in a scope."""
    return {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }


def check_unique(modules: Sequence[SourceModule], taken: Mapping[str, str]) -> None:
    """Refuses a top-level name with two meanings: in one file the later would take the place of the earlier.

    `taken` are names that the file has besides, and what they mean there.

    Raises:
        BadInput: there is such a name, or one that would hide a built-in.
    """
    meanings = {name: (meaning, "the built file") for name, meaning in taken.items()}
    for module in modules:
        outside = _imported_from_outside(module)
        for name in sorted(_bound(module.symbols)):
            symbol = module.symbols.lookup(name)
            if symbol.is_imported() and name not in outside:
                continue  # from the package: its meaning is noted where it is defined
            meaning = outside[name] if symbol.is_imported() else f"defined in {module.name}"
            before, where = meanings.setdefault(name, (meaning, module.name))
            if before != meaning:
                raise BadInput(f"{name} has two meanings in one file: {before} ({where}) and {meaning} ({module.name})")
            if hasattr(builtins, name):
                raise BadInput(f"{name}, {meaning}, would take the place of Python's own in every module")


def _imported_from_outside(module: SourceModule) -> dict[str, str]:
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
