"""Foreign text made fit to be shown: no sign that a file or a screen can not take, and no more than is read."""

_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}


def make_printable(text: str, most: int | None = None) -> str:
    """The text with control characters as their pictures (NUL as ␀), lone surrogates as �, cut after `most` signs.

    What is cut is counted: "abc … (7 more signs)". Escaping is not done here but where markup is written.
    """
    clean = text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8") if not text.isprintable() else text
    if most is None or len(clean) <= most:
        return clean
    return f"{clean[:most]} … ({len(clean) - most:,} more signs)"
