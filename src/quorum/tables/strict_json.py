"""Parse JSON without losing digits."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Parse JSON and keep the text of each number ("1.10" stays "1.10"); NaN becomes None.

    Raises:
        ValueError: the text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
