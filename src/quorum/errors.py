"""Bad input, told so that its owner can mend it."""


class BadInput(ValueError):
    """The user's input is wrong; the message says where, what was found and what is allowed."""


def list_some(things: list[str], limit: int = 5) -> str:
    """The first few of `things`, one after the other, and how many more there are."""
    shown = ", ".join(things[:limit])
    return shown if len(things) <= limit else f"{shown} and {len(things) - limit} more"
