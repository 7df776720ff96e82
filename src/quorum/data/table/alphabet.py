"""The alphabets that label choices: A B C, 1 2 3, 가 나 다, А Б В and others."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_lowercase

# In the form of `plain_label`; the first label of each is the first choice.
ALPHABETS: tuple[tuple[str, ...], ...] = (
    tuple(ascii_lowercase),
    tuple(map(str, range(1, 27))),
    tuple(map(str, range(26))),
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
    tuple("가나다라마바사아자차카타파하"),
    tuple("ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"),
    tuple("アイウエオカキクケコ"),
    tuple("イロハニホヘト"),
    tuple("甲乙丙丁戊己庚辛壬癸"),
    tuple("一二三四五六七八九十"),
    tuple("абвгдежзик"),
    tuple("абвгґдеєжз"),
    tuple("αβγδεζηθικ"),
    tuple("أبجدهوزحطي"),
    tuple("ابجدهوزحطي"),
    tuple("אבגדהוזחטי"),
    tuple("กขคงจฉชซ"),
    tuple("कखगघङ"),
    tuple("অআইঈউ"),
    tuple("কখগঘঙ"),
)
_WHOLE_NUMBER = re.compile(r"0*(\d{1,3})(?:\.0+)?(?:\s?[번番号號])?")  # "3번" is the third in Korean exams
_AROUND_LABEL = re.compile(r"^[\s([{<'\"（【「*.:]+|[\s)\]}>'\"）】」*.:,;、。．]+$")


@lru_cache(maxsize=4096)
def plain_label(text: str) -> str:
    """Return a label without decoration: "(A)", "a.", "①", "1.0" and "1번" are "a", "a", "1", "1" and "1"."""
    plain = _AROUND_LABEL.sub("", unicodedata.normalize("NFKC", text.strip()[:20])).casefold()
    number = _WHOLE_NUMBER.fullmatch(plain)
    return str(int(number[1])) if number else plain


@lru_cache(maxsize=4096)
def plain_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return several labels without decoration."""
    return tuple(map(plain_label, labels))


def find_alphabet(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return the alphabet whose beginning the labels are, in any order; None if there is none or a gap."""
    for alphabet in ALPHABETS:
        if set(labels) == set(alphabet[: len(labels)]) and len(set(labels)) == len(labels):
            return alphabet
    return None
