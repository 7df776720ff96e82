"""The words for yes and no in which boolean answers are written, in train files, samples and runs."""

from collections.abc import Iterable

from quorum.question import fold_text

# (yes, no); several languages share a word, but no word means yes in one and no in another
YES_NO_PAIRS = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("ja", "nein"),
    ("wahr", "falsch"),
    ("richtig", "falsch"),
    ("oui", "non"),
    ("vrai", "faux"),
    ("sí", "no"),
    ("si", "no"),
    ("verdadero", "falso"),
    ("sim", "não"),
    ("verdadeiro", "falso"),
    ("vero", "falso"),
    ("ja", "nee"),
    ("waar", "onwaar"),
    ("ja", "nej"),
    ("tak", "nie"),
    ("prawda", "fałsz"),
    ("evet", "hayır"),
    ("doğru", "yanlış"),
    ("да", "нет"),
    ("верно", "неверно"),
    ("так", "ні"),
    ("ya", "tidak"),
    ("có", "không"),
    ("đúng", "sai"),
    ("예", "아니오"),
    ("예", "아니요"),
    ("네", "아니오"),
    ("참", "거짓"),
    ("はい", "いいえ"),
    ("是", "否"),
    ("是", "不是"),
    ("对", "错"),
    ("對", "錯"),
    ("正确", "错误"),
    ("正確", "錯誤"),
    ("真", "假"),
    ("نعم", "لا"),
    ("हाँ", "नहीं"),
    ("правда", "ложь"),
    ("sim", "nao"),
    ("correct", "incorrect"),
    ("right", "wrong"),
    ("benar", "salah"),
    ("正しい", "誤り"),
    ("सही", "गलत"),
    ("صحيح", "خطأ"),
    ("כן", "לא"),
    ("נכון", "לא נכון"),
    ("ใช่", "ไม่"),
    ("ใช่", "ไม่ใช่"),
    ("o", "x"),
    ("○", "×"),
    ("✓", "✗"),
    ("√", "×"),
)
_MEANING = {word: True for word, _ in YES_NO_PAIRS} | {word: False for _, word in YES_NO_PAIRS}


def parse_yes_no(text: str) -> bool | None:
    """Return what a word for yes or no means; None for any other text."""
    return _MEANING.get(fold_text(text))


def is_yes_or_no(text: str) -> bool:
    """Return whether a text is a word for yes or no, in one of the known languages."""
    return fold_text(text) in _MEANING


def find_yes_no_pair(cells: Iterable[str]) -> tuple[str, str] | None:
    """Return the words for yes and no that all cells belong to, in the cells' upper or lower case; None if none fits.

    The first pair of `YES_NO_PAIRS` wins: a column of "no" alone has "yes" as the other word.
    """
    written = {cell.strip() for cell in cells}
    folded = {fold_text(cell) for cell in written}
    for pair in YES_NO_PAIRS:
        if folded and folded <= set(pair):
            yes, no = (_copy_case(word, written) for word in pair)
            return yes, no
    return None


def _copy_case(word: str, written: Iterable[str]) -> str:
    own = [cell for cell in written if fold_text(cell) == word]
    if own:
        return sorted(own)[0]
    example = sorted(written)[0]
    if len(example) > 1 and example.isupper():
        return word.upper()
    return word.capitalize() if example[:1].isupper() else word
