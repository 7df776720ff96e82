"""Decode a text file: UTF-8 first, then by byte order marks and NUL bytes, then by the letters that come out."""

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_letters

from quorum.errors import BadInput
from quorum.tables.languages import LANGUAGES, KnownLanguage

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_RARE = frozenset({"cp850", "mac_roman", "cp866", "koi8_r", "koi8_u", "iso8859_2", "euc_jp"})
_SAMPLE_BYTES = 300_000  # of the lines that are not ASCII; enough to tell encodings apart
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_LONG_RUN = re.compile(r"[^\x00-\x7f\u2010-\u2026]{3,}")
_INSIDE = re.compile(r"(?<=[a-z])[^\x00-\xbf]")
_UTF8_ACCENTS = re.compile(rb"([\xc3-\xc5][\x80-\xbf]|\xe2\x80[\x90-\xaf])+")
_PUNCTUATION = frozenset("“”„‘’‚–—…«»°·€£§²³½¼×÷±µ™©®•´¿¡→ \u3000，。？！：；（）、《》「」『』・％～①②③④⑤－．")
_MIXED_WORD = re.compile(r"[A-Za-z][^\x00-\xbf\u2000-\u20ff]|[^\x00-\xbf\u2000-\u20ff][A-Za-z]")

_RARITY = 0.15  # what the score of a rare encoding is reduced by; less for long texts
FITTING = 0.9  # least score of Western letters in a text that is ASCII but for a few of them
PLAUSIBLE = 0.45  # least mean score of an encoding's characters
CLEAR = 0.08  # least distance between the scores of the best and the second best text; less for long texts
FEW_ACCENTS = 0.02  # accented letters among all letters, below which a text is taken for English


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text without its byte order mark, and the encoding it was decoded with."""

    text: str
    encoding: str
    has_bom: bool = False


def decode_text(raw: bytes, where: str, encoding: str | None = None) -> Decoded:
    """Decode a file.

    Valid UTF-8 is UTF-8. Other files are decoded with each known encoding that has no invalid bytes, and the one whose
    characters are the most common in one of its languages is taken.

    Args:
        encoding: of the file if it is not UTF-8, which the content shows; None means that it is detected.

    Raises:
        BadInput: an unknown encoding, invalid bytes, NUL bytes outside of the rows of a UTF-8 file, or two encodings
            that fit equally well.
    """
    bom, found = next(((mark, name) for mark, name in _BOMS if raw.startswith(mark)), (b"", None))
    if found is not None:
        return Decoded(_decode_named(raw[len(bom) :], found, where), found, has_bom=True)
    try:
        decoded = Decoded(raw.decode("utf-8"), "utf-8")
        header = re.match(r"[\r\n]*[^\r\n]*", decoded.text)
        if header is None or "\0" not in header[0]:
            return decoded  # a cell may hold NUL
        decoded = _decode_wide(raw) or decoded
    except UnicodeDecodeError as error:
        if encoding is not None:
            return Decoded(_decode_named(raw, encoding, where), encoding)
        decoded = _decode_wide(raw) or _decode_by_letters(raw, where, error)
    if "\0" in decoded.text:
        line = decoded.text.count("\n", 0, decoded.text.index("\0")) + 1
        raise BadInput(f"{where}, line {line}: a NUL byte; the file is damaged or not a table of text")
    return decoded


def _decode_named(raw: bytes, encoding: str, where: str) -> str:
    try:
        return raw.decode(encoding)
    except LookupError:
        raise BadInput(f"{where}: unknown encoding {encoding!r}; use a name such as utf-8, cp1252 or cp949") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{where}, line {line}: byte {raw[error.start]:#04x} is not {encoding}") from None


def _decode_wide(raw: bytes) -> Decoded | None:
    """Decode UTF-16 or UTF-32 without a byte order mark; None if the bytes are not like that.

    Every table has ASCII separators and line ends, whose other bytes are NUL: at least a fiftieth of all bytes.
    """
    if raw.count(0) < max(1, len(raw) / 50):
        return None
    best: tuple[int, Decoded] | None = None
    for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:
            continue
        plain = len(re.findall(r"[\t\n\r -~]", text))
        likely = plain >= len(text) / (20 if re.search(r"[\r\n]", text) else 2)
        if "\0" not in text and likely and (best is None or plain > best[0]):
            best = plain, Decoded(text, name)
    return None if best is None else best[1]


def _decode_by_letters(raw: bytes, where: str, error: UnicodeDecodeError) -> Decoded:
    line = raw.count(b"\n", 0, error.start) + 1
    byte = f"{where}, line {line}: byte {raw[error.start]:#04x} is not UTF-8"
    if _is_damaged_utf8(raw) or _has_utf8_accents(raw):
        raise BadInput(
            f"{byte}, although other lines are; it is damaged, or was put together from files of several encodings"
        )
    scores = _score_encodings(_sample_lines(raw))
    western = next(one for one in scores if one.encoding == "cp1252")
    if western.score >= FITTING and _has_few_accents(raw) and _decodes(raw, western.encoding):
        return Decoded(_decode_named(raw, western.encoding, where), western.encoding)
    best = scores[0]
    count = len(_NON_ASCII.findall(best.text))
    if best.score * count / (count + 1.5) < PLAUSIBLE:  # one or two characters prove little
        raise BadInput(
            f"{byte}, and it is not clear which other encoding it has; "
            'save it as UTF-8, or set encoding = "..." in the layout'
        )
    least = best.score - max(CLEAR / 4, min(CLEAR, 8 * CLEAR / math.sqrt(count)))
    likely = [one for one in scores if one.score >= least]
    best, *rivals = [one for one in likely if _decodes(raw, one.encoding)] or likely[:1]
    if rivals:
        samples = " or ".join(f"{one.encoding} ({_differing_word(one, rivals[0], best)})" for one in (best, rivals[0]))
        raise BadInput(
            f"{where}: the file is not UTF-8; it could be {samples}; "
            f'save it as UTF-8, or set encoding = "{best.encoding}" in the layout'
        )
    return Decoded(_decode_named(raw, best.encoding, where), best.encoding)


def _sample_lines(raw: bytes) -> bytes:
    """Return the first lines that are not ASCII: they decide about the encoding."""
    sample = bytearray()
    for match in re.finditer(rb"[^\n]*[\x80-\xff][^\n]*", raw):
        sample += match[0] + b"\n"
        if len(sample) > _SAMPLE_BYTES:
            break
    return bytes(sample)


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_utf8(raw: bytes) -> bool:
    """Return whether most of the characters above 127 are valid UTF-8."""
    text = _sample_lines(raw).decode("utf-8", "surrogateescape")
    bad = len(re.findall("[\udc80-\udcff]", text))
    return len(_NON_ASCII.findall(text)) > 2 * bad


def _has_utf8_accents(raw: bytes) -> bool:
    """Return whether some accented letters are UTF-8 and others are not: at least three, and a tenth of them.

    A run of two bytes that is such a letter in UTF-8 (C3 A9 for é) is two characters in Western encodings (Ã©) that
    do not occur together.
    """
    runs = re.findall(rb"[\x80-\xff]+", _sample_lines(raw))
    accents = sum(_UTF8_ACCENTS.fullmatch(run) is not None for run in runs)
    single = sum(len(run) == 1 for run in runs)
    return accents >= max(3, len(runs) / 10) and accents + single >= len(runs) / 2 and single > 0


@dataclass(frozen=True, slots=True)
class Scored:
    """How plausible the text of an encoding is, at most 1."""

    score: float
    encoding: str
    text: str


def _score_encodings(raw: bytes) -> list[Scored]:
    """Return the known encodings, the most plausible first; of those with equal texts the first."""
    found: dict[str, Scored] = {}
    for encoding, text in _decode_all(raw):
        score = max(_score_text(text, language) for language in LANGUAGES if encoding in language.encodings)
        if encoding in _RARE:
            score -= min(_RARITY, 8 * _RARITY / math.sqrt(len(_NON_ASCII.findall(text)) or 1))
        if text not in found or found[text].score < score:
            found[text] = Scored(score, found[text].encoding if text in found else encoding, text)
    return sorted(found.values(), key=lambda one: -one.score)


def _decode_all(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield each known encoding with the text; U+FFFD, for invalid bytes, makes the text less plausible."""
    for encoding in dict.fromkeys(name for language in LANGUAGES for name in language.encodings):
        yield encoding, raw.decode(encoding, "replace")


def _score_text(text: str, language: KnownLanguage) -> float:
    """Return the mean over the characters above 127.

    A common character counts 1, a rare one of the script 0.4 (0 if the script is Latin), and one that does not belong
    to the script -1. Punctuation counts like a common character of a Latin script.
    """
    counts = Counter(_NON_ASCII.findall(text))
    if not language.latin:
        counts = Counter({char: count for char, count in counts.items() if char not in _PUNCTUATION})
    if not counts:
        return PLAUSIBLE
    total = sum(_weigh_character(char, language) * count for char, count in counts.items())
    if language.latin:
        total -= sum(map(len, _LONG_RUN.findall(text))) + sum(char.isupper() for char in _INSIDE.findall(text))
    elif language.core is None:
        total -= 2 * len(_MIXED_WORD.findall(text))
    return total / counts.total()


def _weigh_character(char: str, language: KnownLanguage) -> float:
    if char in language.common or (language.latin and char in _PUNCTUATION):
        return 1.0
    if not language.script.match(char):
        return -1.0
    if language.core is None:
        return 0.0 if language.latin else 0.4
    return 0.4 if char.encode(language.core, "ignore") else 0.0


def _has_few_accents(raw: bytes) -> bool:
    accents = len(raw.translate(None, delete=bytes(range(128))))
    letters = len(raw) - len(raw.translate(None, delete=ascii_letters.encode()))
    return accents < FEW_ACCENTS * (letters + accents)


def _differing_word(one: Scored, rival: Scored, best: Scored) -> str:
    """Return the first word that the two best readings spell differently, as `one` spells it."""
    words = [re.findall(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", each.text) for each in (best, rival)]
    differing = (number for number, pair in enumerate(zip(*words, strict=False)) if pair[0] != pair[1])
    own = re.findall(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", one.text)
    number = next(differing, 0)
    return repr(own[min(number, len(own) - 1)][:20])
