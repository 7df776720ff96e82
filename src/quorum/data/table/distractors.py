"""Put a right answer among its distractors, in an order that does not give it away."""

import hashlib
from collections.abc import Sequence


def order_choices(question: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts in a random order that depends on the question and the texts alone, never on their order.

    The order is the same in every run and on every machine, and every place is equally likely for each text.
    """

    def key(text: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{question}\0{text}".encode(errors="replace")).digest(), text

    return tuple(sorted(texts, key=key))
