"""Define the exception for bad input, and shorten lists in messages."""


class BadInput(ValueError):
    """The user's input is invalid; the message names the location, the value found and the allowed values."""


def list_some(things: list[str], limit: int = 5) -> str:
    """Return the first `limit` things, separated by commas, and the number of the others."""
    shown = ", ".join(things[:limit])
    return shown if len(things) <= limit else f"{shown} and {len(things) - limit} more"
