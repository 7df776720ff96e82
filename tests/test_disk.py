"""Folders that are removed only if Quorum created them, and names that cannot lead elsewhere."""

from pathlib import Path

import pytest

from quorum.disk import FOLDER_MARKER, LONGEST_NAME, check_file_name, replace_folder
from quorum.errors import BadInput


def test_a_folder_is_created_with_its_parents_and_replaced_with_all_that_was_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "trained"
    replace_folder(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "model").write_text("old")
    replace_folder(folder)
    assert [path.name for path in folder.iterdir()] == [FOLDER_MARKER]


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    replace_folder(tmp_path / "empty")
    assert (tmp_path / "empty" / FOLDER_MARKER).is_file()


def test_a_folder_without_the_marker_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "precious.txt").write_text("precious")
    with pytest.raises(BadInput, match=r"mine: this folder was not created by Quorum .* move it or delete it"):
        replace_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("marked", [True, False])
def test_a_symbolic_link_to_a_folder_is_not_followed(tmp_path: Path, marked: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if marked:
        replace_folder(target)
    target.mkdir(exist_ok=True)
    (target / "precious.txt").write_text("precious")
    link.symlink_to(target)
    with pytest.raises(BadInput, match="link: not a folder that Quorum created"):
        replace_folder(link)
    assert (target / "precious.txt").read_text() == "precious"
    assert link.is_symlink()


def test_a_link_to_a_marker_elsewhere_is_no_marker(tmp_path: Path) -> None:
    replace_folder(tmp_path / "ours")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / FOLDER_MARKER).symlink_to(tmp_path / "ours" / FOLDER_MARKER)
    with pytest.raises(BadInput, match="was not created by Quorum"):
        replace_folder(folder)


def test_links_inside_a_replaced_folder_are_removed_and_their_targets_kept(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    replace_folder(tmp_path / "ours")
    (tmp_path / "ours" / "link").symlink_to(outside)
    replace_folder(tmp_path / "ours")
    assert (outside / "precious.txt").read_text() == "precious"


def test_a_folder_below_a_linked_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "large")
    for _ in range(2):
        replace_folder(tmp_path / "runs" / "trained")
    assert (tmp_path / "large" / "trained" / FOLDER_MARKER).is_file()


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(BadInput, match="file: not a folder that Quorum created"):
        replace_folder(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    "name",
    ["sample", "my competition", "comp [1]", "ä 漢字 😀", "a.b", "-x", "chain-of-thought, where it pays", "x" * 120],
)
def test_a_plain_name_is_returned_as_it_is(name: str) -> None:
    assert check_file_name(name, "name") == name


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "is empty"),
        ("../../x", "contains a path separator"),
        ("/etc", "contains a path separator"),
        ("a/b", "contains a path separator"),
        ("a\\b", "contains a path separator"),
        (".", "starts with a dot"),
        ("..", "starts with a dot"),
        (".hidden", "starts with a dot"),
        ("a\0b", "contains a control character"),
        ("a\nb", "contains a control character"),
        ("a\x1b[2Jb", "contains a control character"),
        ("a\u2028b", "contains a control character"),
        ("é" * LONGEST_NAME, f"has {2 * LONGEST_NAME} bytes; at most {LONGEST_NAME} are allowed"),
        ("c\udcff", "is not valid UTF-8"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, fault: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_file_name(name, "q.toml: name")
    assert str(refused.value).startswith(f"q.toml: name {name!r} {fault}")
    assert str(refused.value).isprintable()
