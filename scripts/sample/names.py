"""Invented names: pronounceable, told apart at a glance, and (as far as we could think) of nothing in this world."""

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
# What the syllables could spell that means something.
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
    """Gives out names; no two begin with the same four letters, and none stands inside another."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._given: list[str] = []
        self._heads: set[str] = set()

    def name(self) -> str:
        """The next name, of five to nine letters."""
        while True:
            name = self._syllables()
            if 5 <= len(name) <= 9 and name[:4] not in self._heads and not self._clashes(name):
                self._heads.add(name[:4])
                self._given.append(name)
                return name.capitalize()

    def names(self, count: int) -> list[str]:
        """The next `count` names."""
        return [self.name() for _ in range(count)]

    def _syllables(self) -> str:
        pick = self._rng.choice
        middle = [pick(_STARTS[:15]) + pick(_VOWELS[:5]) for _ in range(self._rng.choice((0, 1)))]
        return pick(_STARTS) + pick(_VOWELS) + "".join(middle) + pick(_STARTS) + pick(_VOWELS[:5]) + pick(_ENDS)

    def _clashes(self, name: str) -> bool:
        return any(word in name for word in _KNOWN) or any(old in name or name in old for old in self._given)
