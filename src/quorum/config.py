"""A TOML table into a stage's frozen dataclass; an unknown setting is refused."""

import inspect
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quorum.errors import BadInput

Settings = TypeVar("Settings")


def read_config(kind: Callable[..., Settings], path: Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings of `path`, a TOML file, as a `kind`; each of `overrides` is one `key=value` that wins over the file.

    Raises:
        BadInput: the file is not TOML, a setting is unknown, missing or of the wrong type.
    """
    return from_table(kind, apply_overrides(read_table(path), overrides, str(path)), str(path))


def read_table(path: Path) -> dict[str, Any]:
    """The table that a TOML file holds.

    Raises:
        BadInput: the file is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file: {error}") from None


def apply_overrides(table: Mapping[str, Any], overrides: Sequence[str], where: str) -> dict[str, Any]:
    """`table` with each `key=value` in its place: backend.model=… is the setting `model` of the table [backend].

    Raises:
        BadInput: there is no "=", or a setting lies in what is no table.
    """
    changed = dict(table)
    for name, value in map(_override, overrides):
        *outer, last = name.split(".")
        inner = changed
        for key in outer:
            if not isinstance(inner.setdefault(key, {}), Mapping):
                raise BadInput(f"{where}: {name!r} can't be set: {key!r} is no table")
            inner[key] = inner = dict(inner[key])
        inner[last] = value
    return changed


def merge_tables(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`table` with what `over` says otherwise, setting by setting in tables of both."""
    inner = {
        name: merge_tables(table[name], value)
        for name, value in over.items()
        if isinstance(value, Mapping) and isinstance(table.get(name), Mapping)
    }
    return {**table, **over, **inner}


def from_table(kind: Callable[..., Settings], table: Mapping[str, Any], where: str, **given: Any) -> Settings:
    """What `kind`, a dataclass or any other constructor, makes of `table`; `where` is what an error message names.

    `given` are arguments that are no settings: they come from the program, not from its user.
    Settings may be str, int, float, bool, Path, Literal, tuple[str, ...], Mapping[str, ...] and any of them or None.

    Raises:
        BadInput: a setting is unknown, missing or of the wrong type.
    """
    parameters = inspect.signature(kind, eval_str=True).parameters
    allowed = [name for name in parameters if name not in given]
    for name in table:
        if name not in allowed:
            raise BadInput(f"{where}: unknown setting {name!r}; allowed are {', '.join(allowed)}")
    for name in allowed:
        if name not in table and parameters[name].default is inspect.Parameter.empty:
            raise BadInput(f"{where}: setting {name!r} is missing")
    values = {
        name: _value(parameters[name].annotation, value, f"{where}: setting {name!r}") for name, value in table.items()
    }
    return kind(**values, **given)


def _override(text: str) -> tuple[str, Any]:
    name, equals, given = text.partition("=")
    if not equals:
        raise BadInput(f"{text!r} is not a key=value")
    try:
        return name, tomllib.loads(f"value = {given}")["value"]
    except tomllib.TOMLDecodeError:
        return name, given  # a bare word is a string: out=answers.parquet


def _value(hint: Any, given: Any, where: str) -> Any:
    """`given` as the type `hint`, or BadInput."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return given
    if origin in (types.UnionType, typing.Union):
        # no setting can be null in TOML; an empty string stands for None where None is allowed
        return None if given == "" else _value(next(h for h in inner if h is not type(None)), given, where)
    if origin is typing.Literal:
        if given in inner:
            return given
        raise BadInput(f"{where} is {given!r}; allowed are {', '.join(map(str, inner))}")
    if origin is tuple:
        if isinstance(given, list):
            return tuple(_value(inner[0], item, where) for item in given)
    elif origin is not None:
        if isinstance(given, dict):
            return {key: _value(inner[1], item, where) for key, item in given.items()}
    elif hint is Path and isinstance(given, str):
        return Path(given)
    elif hint is float and isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    elif isinstance(given, hint) and not (isinstance(given, bool) and hint is not bool):
        return given
    raise BadInput(f"{where} is {given!r}, which is no {_named(hint)}")


def _named(hint: Any) -> str:
    """What a setting of the type `hint` is called in a message."""
    if typing.get_origin(hint) is tuple:
        return f"list, each a {_named(typing.get_args(hint)[0])}"
    if typing.get_origin(hint) is not None:
        return "table"
    return {"str": "text", "int": "whole number", "float": "number", "Path": "path", "bool": "truth value"}.get(
        getattr(hint, "__name__", ""), str(hint)
    )
