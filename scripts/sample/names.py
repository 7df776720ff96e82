"""Make invented names that are pronounceable, easy to distinguish and, as far as we know, not names of real things."""

from random import Random

_STARTS = [
    "b",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "br",
    "dr",
    "gr",
    "kr",
    "tr",
    "vr",
    "sk",
    "zh",
    "kv",
]
_VOWELS = ["a", "e", "i", "o", "u", "au", "ei"]
_ENDS = ["n", "r", "l", "m", "s", "k", "t", "sh", "nd", "rn", "lk", "sk", "v", "th"]
# Words and real names that the syllables could spell.
_KNOWN = (
    "berlin",
    "london",
    "milan",
    "turin",
    "madrid",
    "dresden",
    "kent",
    "nord",
    "hitler",
    "satan",
    "stalin",
    "lenin",
    "putin",
    "martin",
    "robin",
    "kevin",
    "vipul",
    "boris",
    "doris",
    "boston",
    "hudson",
    "marlin",
    "merlin",
    "gorgon",
    "kremlin",
    "sultan",
    "titan",
    "sudan",
    "bantu",
    "hindu",
    "tokyo",
    "kerala",
    "banana",
    "panama",
    "havana",
    "samara",
    "sahara",
    "nevada",
    "dakota",
    "manila",
    "zanzi",
    "fuck",
    "shit",
    "nazi",
    "rape",
    "slut",
)


class Namer:
    """A source of names; no two begin with the same four letters, and none contains another."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._given: list[str] = []
        self._heads: set[str] = set()

    def make_name(self) -> str:
        """Return the next name, of five to nine letters."""
        while True:
            name = self._join_syllables()
            if 5 <= len(name) <= 9 and name[:4] not in self._heads and not self._clashes(name):
                self._heads.add(name[:4])
                self._given.append(name)
                return name.capitalize()

    def make_names(self, count: int) -> list[str]:
        """Return the next `count` names."""
        return [self.make_name() for _ in range(count)]

    def _join_syllables(self) -> str:
        pick = self._rng.choice
        middle = [pick(_STARTS[:15]) + pick(_VOWELS[:5]) for _ in range(self._rng.choice((0, 1)))]
        return pick(_STARTS) + pick(_VOWELS) + "".join(middle) + pick(_STARTS) + pick(_VOWELS[:5]) + pick(_ENDS)

    def _clashes(self, name: str) -> bool:
        return any(word in name for word in _KNOWN) or any(old in name or name in old for old in self._given)
