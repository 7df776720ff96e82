"""The setting `form`: how a submission writes its answers, when the sample submission does not show it."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from quorum.errors import BadInput
from quorum.files.label_style import LabelStyle, find_symbols
from quorum.question import MOST_CHOICES, letters

# letter: B. index0, index1: B is 1 or 2. words: B is the second word. text: the option's text, or the answer to an open
# question. ranked: B A C, in one cell or in a column each. probability: that of one label. probabilities, onehot: a
# column for each label, of probabilities or of 1 for the answer and 0 for the others.
Form = Literal["letter", "index0", "index1", "words", "text", "ranked", "probability", "probabilities", "onehot"]
FORM_HELP = (
    "How the submission writes an answer, if train and the sample do not show it: letter, index0, index1, text, ranked,"
    " probabilities, onehot; probability: B; words: yes | no. An example may follow the name, as in letter: (a)."
)
_LIST_SEPARATORS = (", ", ",", "; ", ";", " | ", "|", " > ", ">", "/", " ")
_WORD_SEPARATOR = " | "
_SHORT_LABEL = re.compile(r"[^\s\w]?(?:[A-Za-z]|[0-9]{1,2})[^\s\w]?")
_WRAPPED = re.compile(r"(?P<opening>[\[({]['\"]?)(?:[^\[\](){}]*?)(?P<closing>['\"]?[\])}])")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedStyle:
    """How several labels are written in one cell: "A B C", "A,B,C", "['A', 'B', 'C']"."""

    separator: str = " "
    opening: str = ""
    closing: str = ""

    def join(self, words: list[str]) -> str:
        """Return the cell of these words."""
        return self.opening + self.separator.join(words) + self.closing

    def split(self, cell: str) -> list[str]:
        """Return the words of a cell."""
        inner = cell.removeprefix(self.opening).removesuffix(self.closing)
        return inner.split(self.separator)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSetting:
    """A parsed `form`; `labels` are those of probability columns, in their order; None: not set."""

    form: Form
    style: LabelStyle | None = None
    ranked: RankedStyle | None = None
    k: int | None = None
    labels: tuple[str, ...] | None = None


def parse_form(text: str) -> FormSetting:
    """Parse a `form` such as "index1", "letter: (a)", "words: yes | no", "ranked: A, B, C" or "probability: B".

    Raises:
        BadInput: the form is not known, or its example does not fit it.
    """
    name, colon, example = (part.strip() for part in text.partition(":"))
    if name not in get_args(Form):
        raise BadInput(f"form {text!r} is not among {', '.join(get_args(Form))}; an example may follow: letter: (a)")
    form: Form = name  # type: ignore[assignment]
    if not example:
        if colon or name in ("words", "probability"):
            needed = {"words": "words: yes | no", "probability": "probability: B"}.get(name, "letter: (a)")
            raise BadInput(f"form {text!r} needs an example after the colon, as in {needed!r}")
        return FormSetting(form=form, style=_default_style(form))
    match form:
        case "words":
            words = tuple(word.strip() for word in example.split(_WORD_SEPARATOR.strip()))
            if len(words) < 2 or "" in words or len(set(words)) < len(words):
                raise BadInput(f"form {text!r}: two different words or more are expected, as in 'words: yes | no'")
            return FormSetting(form=form, style=LabelStyle("words", words=words))
        case "probability" | "probabilities" | "onehot":
            labels = tuple(example.split())
            known = letters(MOST_CHOICES)
            if not set(labels) <= set(known) or (form == "probability") != (len(labels) == 1):
                raise BadInput(f"form {text!r}: labels are expected after the colon, as in 'probability: B'")
            return FormSetting(form=form, labels=labels)
        case "ranked":
            split = split_ranked_cells([example])
            symbols = find_symbols(split[1][0]) if split else find_symbols([example])
            if symbols is None:
                raise BadInput(f"form {text!r}: labels are expected after the colon, as in 'ranked: A B C'")
            style = symbols.style("1" if symbols.values[0] == "1" else "0")
            if split is None:
                return FormSetting(form=form, style=style, ranked=RankedStyle(), k=1)
            return FormSetting(form=form, style=style, ranked=split[0], k=len(split[1][0]))
        case "letter" | "index0" | "index1":
            symbols = find_symbols([example])
            if symbols is None or symbols.numeric != form.startswith("index"):
                raise BadInput(f"form {text!r}: the first label is expected after the colon, as in 'letter: (a)'")
            return FormSetting(form=form, style=symbols.style("1" if form == "index1" else "0"))
    raise BadInput(f"form {text!r}: {form} takes no example")


def format_form(
    form: Form, style: LabelStyle, ranked: RankedStyle | None = None, k: int = 1, labels: tuple[str, ...] = ()
) -> str:
    """Return the `form` that `parse_form` reads as these values."""
    match form:
        case "words":
            return f"words: {_WORD_SEPARATOR.join(style.words)}"
        case "letter" | "index0" | "index1":
            return form if style == _default_style(form) else f"{form}: {style.write('A')}"
        case "probability" | "probabilities" | "onehot":
            return f"{form}: {' '.join(labels)}"
        case "ranked":
            words = list(style.write_all(letters(k)))
            return f"ranked: {(ranked or RankedStyle()).join(words)}"
        case "text":
            return form


def split_ranked_cells(cells: list[str]) -> tuple[RankedStyle, list[list[str]]] | None:
    """Return how cells list labels, and the words of each; None unless they hold short labels, one cell several."""
    opening, closing = _find_wrapping(cells)
    inner = [cell.removeprefix(opening).removesuffix(closing) for cell in cells]
    for separator in _LIST_SEPARATORS:
        style = RankedStyle(separator=separator, opening=opening, closing=closing)
        if opening.endswith(("'", '"')):
            quote = opening[-1]
            style = RankedStyle(separator=f"{quote}{separator}{quote}", opening=opening, closing=closing)
        rows = [cell.split(style.separator) for cell in inner]
        if max(map(len, rows)) < 2:
            continue
        words = [word for row in rows for word in row]
        if all(map(_SHORT_LABEL.fullmatch, words)) and find_symbols(words):
            return style, rows
    return None


def _default_style(form: Form) -> LabelStyle | None:
    match form:
        case "letter":
            return LabelStyle("A")
        case "index0":
            return LabelStyle("0")
        case "index1":
            return LabelStyle("1")
        case "text":
            return LabelStyle("text")
    return None


def _find_wrapping(cells: list[str]) -> tuple[str, str]:
    """Return what begins and ends every cell of lists: ("['", "']") of "['A', 'B']"."""
    found = map(_WRAPPED.fullmatch, cells)
    pairs = {(match["opening"], match["closing"]) if match else ("", "") for match in found}
    return pairs.pop() if len(pairs) == 1 else ("", "")
