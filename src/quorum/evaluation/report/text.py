"""Format numbers and texts from users' files for the report."""

_CONTROLS = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {0x7F: 0x2421}


def make_printable(text: str, limit: int | None = None) -> str:
    """Return the text with control characters as pictures (NUL as ␀) and lone surrogates as �.

    A text longer than `limit` characters is cut, and the rest is counted: "abc … (7 more characters)". Markup is not
    escaped here.
    """
    clean = text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8") if not text.isprintable() else text
    if limit is None or len(clean) <= limit:
        return clean
    return f"{clean[:limit]} … ({len(clean) - limit:,} more characters)"


def format_number(value: float | None, digits: int = 3) -> str:
    """Return a number with separators between thousands; "?" for None."""
    return "?" if value is None else f"{value:,.{digits}f}"


def format_signed(value: float) -> str:
    """Return a number with its sign and three decimals."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
