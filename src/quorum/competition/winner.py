"""A table of settings as a TOML file: what a ladder, or a sweep, has chosen."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quorum.errors import BadInput


def format_toml(table: Mapping[str, Any]) -> str:
    """A table of settings as TOML: what stands alone first, then a [section] for each table; None is left out.

    Raises:
        BadInput: a value that TOML has no form for.
    """
    plain = {name: value for name, value in table.items() if value is not None and not isinstance(value, Mapping)}
    sections = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{_toml_key(name)} = {_toml_value(value)}\n" for name, value in plain.items()]
    for name, inner in sections.items():
        lines += ["\n" if lines else "", f"[{_toml_key(name)}]\n"]
        lines += [
            f"{_toml_key(setting)} = {_toml_value(value)}\n" for setting, value in inner.items() if value is not None
        ]
    return "".join(lines)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml_value(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{_toml_key(name)} = {_toml_value(each)}" for name, each in value.items() if each is not None)
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, Path):
        return _toml_value(str(value))
    if isinstance(value, bool | int | float | str) and value == value and value not in (float("inf"), -float("inf")):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's values are TOML's but for DEL
    raise BadInput(f"{value!r} can't be written as TOML")
