"""Parse JSON without losing digits."""

import json
from collections import Counter
from typing import Any


def parse_json(text: str) -> Any:
    """Parse JSON and keep the text of each number ("1.10" stays "1.10"); NaN becomes None.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or has an object with two values for one key.
    """
    try:
        return json.loads(
            text, parse_int=str, parse_float=str, parse_constant=lambda _: None, object_pairs_hook=_refuse_repeats
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {key!r} twice")
    return found
