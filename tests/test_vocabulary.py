"""Documentation and source use the field's own words: the phrases of this table are rejected, with what to write.

Of Python files the comments, the texts and the names are read (`second_look` as "second look"); all others whole.
"""

import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

REPLACEMENTS = {
    r"stands|stood": "is, is in, comes before, is kept",
    r"told|said": "reported, printed, shown",
    r"(?:comes?|came|coming) to(?! an end)": "results in, result",
    r"(?:hangs?|hung) on": "depends on",
    r"no (?:\w+ )?\w+ any ?more": "is not, stopped being, became",
    r"ways? out": "hint, fix",
    r"signs(?! in)": "characters",
    r"blanks": "spaces",
    r"mend|mends|mended|mending": "repair",
    r"straddles?|straddling": "is on both sides of the split",
    r"(?:a|the|one|each|every|first|second|further|later|more|many|of) looks?": "an evaluation; a pass",
    r"looks at|looked at|looked on": "evaluates, evaluated; reads, checks",
    r"kin|twins?": "similar models; duplicate",
    r"dials?": "setting, override",
    r"whoever|whatever|whichever": "name the person or the thing",
    r"wants|wanted": "needs, requires, requested",
}
PATTERNS = {pattern: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for pattern in REPLACEMENTS}

# Data, not our own words: the phrases by which the reply reader recognises an answer.
EXCEPTIONS = {"src/quorum/ask/parse/words.py"}
QUOTED = {  # lines that quote a phrase on purpose
    "docs/commands.md": ["`--dials` is `--settings`"],
}

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "mkdocs.yml", "data/sample/README.md")),
    ROOT / "submissions" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.yml")),
    *sorted((ROOT / ".github").rglob("*.md")),
    *sorted((ROOT / "kernels").glob("*.toml")),
]
MODULES = [path for name in ("src", "kernels", "examples") for path in sorted((ROOT / name).rglob("*.py"))]


def list_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that hold prose, with their numbers."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    fstring_parts = getattr(tokenize, "FSTRING_MIDDLE", -1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT, fstring_parts):
            yield from enumerate(token.string.splitlines(), token.start[0])
        elif token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", token.string).replace("_", " ")
            yield token.start[0], words


def find_phrases(path: Path) -> list[str]:
    """Return the rejected phrases of a file, each with its line and what to write instead."""
    where = path.relative_to(ROOT).as_posix()
    found = []
    for number, line in list_lines(path):
        for quoted in QUOTED.get(where, ()):
            line = line.replace(quoted, "")
        for pattern, compiled in PATTERNS.items():
            if match := compiled.search(line):
                found.append(f"{where}:{number}: {match[0]!r}: write {REPLACEMENTS[pattern]}: {line.strip()[:80]}")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_uses_the_words_of_the_field(path: Path) -> None:
    assert find_phrases(path) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_uses_the_words_of_the_field(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() not in EXCEPTIONS:
        assert find_phrases(path) == []


def test_every_exception_is_needed() -> None:
    for name in EXCEPTIONS:
        assert find_phrases(ROOT / name), f"{name} has no rejected phrase: remove it from the exceptions"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("the answer that stands", ["stands|stood"]),
        ("A second look at them", [r"(?:a|the|one|each|every|first|second|further|later|more|many|of) looks?"]),
        ("the loss is no number any more", [r"no (?:\w+ )?\w+ any ?more"]),
        ("the client signs in; a text that looks like a key; standing; kindly; aforesaid; understood", []),
    ],
)
def test_a_phrase_is_found_as_whole_words(line: str, found: list[str]) -> None:
    assert [pattern for pattern, compiled in PATTERNS.items() if compiled.search(line)] == found


def test_names_and_comments_of_a_module_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    module = tmp_path / "module.py"
    module.write_text('second_looks = f"{1} kin"  # what was told\n\n\nclass FirstLook:\n    """Whatever it is."""\n')
    assert [line.split(": ")[1] for line in find_phrases(module)] == [
        "'second looks'",
        "'kin'",
        "'told'",
        "'First Look'",
        "'Whatever'",
    ]
