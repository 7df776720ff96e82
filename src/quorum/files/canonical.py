"""Bring labels that different files write in different ways into one form, so that they can be compared.

Letters in any case and brackets become A, B …; so do indices, words for yes and no, and option texts, where letters or
options are known. Numbers get their canonical form (18.0 is 18, 1,200 is 1200).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorum.data.yes_no import find_yes_no_pair, parse_yes_no
from quorum.errors import BadInput, list_some
from quorum.files.label_style import LabelStyle, are_indices, are_letters, find_symbols
from quorum.number import canonical_number
from quorum.question import MOST_CHOICES, fold_text, letters

_INDEX_HINT = "say from which number they count: --form index0 or --form index1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """The labels that one file gives: in a run, or in a solution.

    `canonical`: they are A, B … already. `where` begins a message. `given` are the labels.
    """

    where: str
    given: frozenset[str]
    canonical: bool = False

    @property
    def kind(self) -> str:
        """What the labels are: letters, indices, words (yes and no), numbers, texts, or nothing."""
        if not self.given:
            return "nothing"
        if find_yes_no_pair(self.given) and (len(self.given) > 1 or min(map(len, self.given)) > 1):
            return "words"
        if self.canonical or are_letters(self.given):
            return "letters"
        if are_indices(self.given):
            return "indices"
        return "numbers" if all(map(canonical_number, self.given)) else "texts"


def translate_labels(
    own: LabelSet, together: Sequence[LabelSet], options: int, style: LabelStyle | None = None
) -> dict[str, str]:
    """Return the canonical form of each label of a file.

    Args:
        together: what all files give, the solution first, `own` among them: indices become letters if any file gives
            letters, and words and texts are written as in the first file.
        options: the number of options of the widest question; 0: not known.
        style: how the file writes its labels, if known; it shows from which number indices count.

    Raises:
        BadInput: the labels are indices, and it is not clear from which number they count.
    """
    if style is not None and style.alphabet in ("0", "1") and own.kind == "indices":
        return _translate_indices(own, style.alphabet)
    lettered = any(one.kind == "letters" for one in together) or options > 0
    match own.kind:
        case "letters":
            return {label: _read_letter(label) for label in own.given}
        case "indices" if lettered:
            return _translate_indices(own, _find_base(own, together, options))
        case "indices" | "numbers" if any(one.kind == "words" for one in together) and _are_bits(own.given):
            return _translate_words(own, together)
        case "words":
            return _translate_words(own, together)
        case "indices" | "numbers":
            return {label: _plain_number(label) for label in own.given}
    if lettered:
        return {label: _read_letter(label) for label in own.given}
    spelled: dict[str, str] = {}  # the first file's writing of a text
    for label in (each for one in together for each in sorted(one.given)):
        spelled.setdefault(fold_text(label), label)
    return {label: canonical_number(label) or spelled[fold_text(label)] for label in own.given}


def translate_texts(
    by_id: Mapping[str, Iterable[str]], choices: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], str]:
    """Return the label of each (id, text) whose text is that of one option of its question, in any case."""
    found = {}
    for id, texts in by_id.items():
        own = [fold_text(choice) for choice in choices.get(id, ())]
        for text in texts:
            meaning = parse_yes_no(text)
            folded = fold_text(text)
            places = [place for place, choice in enumerate(own) if choice == folded]
            if not places and meaning is not None:
                places = [place for place, choice in enumerate(own) if parse_yes_no(choice) is meaning]
            number = canonical_number(text)
            if not places and number is not None:
                places = [place for place, choice in enumerate(own) if canonical_number(choice) == number]
            if len(places) == 1:
                found[id, text] = letters(len(own))[places[0]]
    return found


def refuse_other_alphabets(run: str, given: set[str], right: set[str], where: str) -> None:
    """Raise BadInput if a run's labels are of another kind than a solution's, of which none is ever given.

    Small and large numbers are of one kind, because an open question may have any number as its answer; but a run of
    0, 1, 2 … or 1, 2, 3 … holds indices.
    """
    if not given or not right or given & right:
        return
    kinds = [LabelSet(where="", given=frozenset(labels)).kind for labels in (given, right)]
    if kinds[0] == kinds[1] and kinds[0] != "texts":
        return  # every answer may be wrong
    if set(kinds) == {"indices", "numbers"} and not (kinds[0] == "indices" and _are_consecutive(given)):
        return
    raise BadInput(
        f"run {run!r} answers {list_some(sorted(given))}; {where} has {list_some(sorted(right))}: none of its answers"
        " is ever given; --questions FILE says what options mean, if they are written otherwise"
    )


def refuse_shifted_indices(run: str, given: set[str], right: set[str], where: str) -> None:
    """Raise BadInput if a run counts options from 0, and a solution from 1, or the other way round."""
    if not all(label.isdigit() and len(label) < 3 for label in given | right) or len(right) < 3:
        return
    run_numbers, gold_numbers = {int(label) for label in given}, {int(label) for label in right}
    low, high = sorted((run_numbers, gold_numbers), key=min)
    shifted = min(low) == 0 and min(high) == 1 and max(high) == max(low) + 1 and max(high) <= MOST_CHOICES
    if shifted:
        raise BadInput(
            f"run {run!r} answers {min(run_numbers)} to {max(run_numbers)}, and {where} has {min(gold_numbers)} to"
            f" {max(gold_numbers)}: one counts from 0, the other from 1; {_INDEX_HINT}"
        )


def _read_letter(label: str) -> str:
    symbols = find_symbols([label])
    return symbols.values[0] if symbols and not symbols.numeric else label


def _translate_indices(own: LabelSet, base: str) -> dict[str, str]:
    known, found = letters(MOST_CHOICES), {}
    for label in own.given:
        symbols = find_symbols([label])
        index = int(symbols.values[0]) - int(base) if symbols else -1
        if not 0 <= index < MOST_CHOICES:
            raise BadInput(f"{own.where}: {label!r} is no index from {base} on")
        found[label] = known[index]
    return found


def _find_base(own: LabelSet, together: Sequence[LabelSet], options: int) -> str:
    """Return the index of the first label, which the range of the indices shows beside the letters of other files."""
    numbers = {int(symbols.values[0]) for label in own.given if (symbols := find_symbols([label]))}
    given = {_read_letter(label) for one in together if one.kind == "letters" for label in one.given}
    known = letters(MOST_CHOICES)
    most = options or max((known.index(label) + 1 for label in given if label in known), default=0)
    if 0 in numbers:
        return "0"
    if max(numbers) >= most:
        return "1"
    raise BadInput(f"{own.where}: answers are {list_some(sorted(own.given))}, of {most} options; {_INDEX_HINT}")


def _translate_words(own: LabelSet, together: Sequence[LabelSet]) -> dict[str, str]:
    """Return the words for yes and no in the first file's writing."""
    pairs = [pair for one in together if (pair := find_yes_no_pair(one.given))]
    return {
        label: pairs[0][0] if parse_yes_no(label) or _plain_number(label) == "1" else pairs[0][1] for label in own.given
    }


def _are_consecutive(indices: Iterable[str]) -> bool:
    """Return whether indices are three or more consecutive numbers from 0 or 1."""
    numbers = sorted({int(symbols.values[0]) for index in indices if (symbols := find_symbols([index]))})
    return len(numbers) > 2 and numbers[0] < 2 and numbers == list(range(numbers[0], numbers[-1] + 1))


def _are_bits(labels: Iterable[str]) -> bool:
    return all(_plain_number(label) in ("0", "1") for label in labels)


def _plain_number(label: str) -> str:
    return canonical_number(label) or label
