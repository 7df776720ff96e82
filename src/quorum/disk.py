"""Write files atomically, replace only folders that Quorum created, check names, and compute fingerprints."""

import hashlib
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorum.errors import BadInput

FOLDER_MARKER = ".quorum-folder"
LONGEST_NAME = 120  # bytes: two such names, a hyphen and an ending still make one file name


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and move it to `path` at the end.

    Readers never see an incomplete file, even if the program is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    yield part
    part.replace(path)


def replace_folder(path: Path) -> None:
    """Create a folder with only a marker file at `path`; an older folder is removed first if it has the marker.

    Raises:
        BadInput: a file, a symbolic link, or a non-empty folder without the marker is at `path`.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise BadInput(f"{path}: not a folder that Quorum created, so it is not replaced; move it or delete it")
    marker = path / FOLDER_MARKER
    if path.exists():
        if any(path.iterdir()) and (marker.is_symlink() or not marker.is_file()):
            raise BadInput(
                f"{path}: this folder was not created by Quorum (it has no {FOLDER_MARKER}), so it is not replaced; "
                "move it or delete it"
            )
        shutil.rmtree(path)
    path.mkdir(parents=True)
    marker.write_text("Quorum created this folder and removes it before it creates it again.\n", encoding="utf-8")


def check_file_name(name: str, what: str) -> str:
    """Return `name` if it is one plain file name, so that it cannot lead a path to another folder.

    Args:
        name: the name of a competition, a run or a member.
        what: the kind of name and its location, for the message.

    Raises:
        BadInput: the name is empty or too long, starts with a dot, or contains a path separator, a control character
            or bytes that are not UTF-8.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadInput(f"{what} {name!r} is not valid UTF-8") from None
    if not name:
        fault = "is empty"
    elif "/" in name or "\\" in name:
        fault = "contains a path separator"
    elif name.startswith("."):
        fault = "starts with a dot"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        fault = "contains a control character"
    elif size > LONGEST_NAME:
        fault = f"has {size} bytes; at most {LONGEST_NAME} are allowed"
    else:
        return name
    raise BadInput(f"{what} {name!r} {fault}; expected is one plain file name")


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
