"""Make short invented passages, and questions that can be answered only from them."""

from collections.abc import Mapping
from random import Random

from sample.item import Distinct, Item, arrange_choices, draw_choice_count
from sample.names import Namer

_WORDS: Mapping[str, tuple[str, ...]] = {
    "goods": (
        "pears",
        "candles",
        "lamp oil",
        "blue wool",
        "fishhooks",
        "garlic",
        "writing paper",
        "wooden spoons",
        "horseshoes",
        "goat cheese",
        "onions",
        "rope",
        "seed corn",
        "a mousetrap",
        "salt",
        "clay pots",
    ),
    "lost": (
        "an umbrella",
        "a silver ring",
        "a red scarf",
        "a pocket watch",
        "a brass key",
        "a straw hat",
        "a notebook",
        "a leather glove",
        "a tin whistle",
        "a walking stick",
        "a purse",
        "a hunting knife",
        "a pair of spectacles",
        "a lantern",
    ),
    "spot": (
        "at the ferry",
        "in the inn",
        "under the bridge",
        "on the church steps",
        "behind the mill",
        "at the well",
        "in the barn",
        "beside the road",
        "in the chapel",
        "on a garden wall",
        "by the quarry",
        "in the bakery",
        "under an oak",
        "at the toll gate",
    ),
    "day": (
        "on Monday",
        "on Tuesday",
        "on Wednesday",
        "on Thursday",
        "on Friday",
        "on Saturday",
        "on Sunday",
        "on New Year's Day",
        "on midsummer night",
    ),
    "beast": (
        "a grey donkey",
        "a lame dog",
        "a goose",
        "a black goat",
        "two oxen",
        "a pony",
        "a one-eyed cat",
        "a tame crow",
        "a spotted pig",
        "an old mule",
        "three hens",
        "a young lamb",
    ),
    "trouble": (
        "a storm broke out",
        "the river flooded the path",
        "the cart lost a wheel",
        "fog hid the way",
        "a fallen tree lay across the road",
        "the ferry did not come",
        "thieves took the lantern",
        "snow covered the pass",
        "a bull blocked the lane",
        "both shoes fell apart",
    ),
    "reward": (
        "a jar of honey",
        "a warm blanket",
        "two gold coins",
        "a bowl of soup",
        "a seat by the fire",
        "a new pair of boots",
        "a barrel of cider",
        "a painted cup",
        "a basket of eggs",
        "a fiddle",
        "a kiss on the cheek",
        "a sack of flour",
    ),
}
_SENTENCES = (
    (
        "{Day}, {who} walked to the market to buy {goods}.",
        "{who} set out {day} because the house was out of {goods}.",
        "There was a fair {day}, and {who} went there for {goods}.",
    ),
    ("{beast} came along to carry the bags.", "For company there was {beast}.", "Nobody else went, only {beast}."),
    (
        "Half-way, {trouble}, so everything took longer than planned.",
        "All went well until {trouble}.",
        "It would have been easy, but {trouble}.",
    ),
    (
        "In the confusion {lost} was forgotten {spot}.",
        "Later {lost} turned out to be missing; it had been left {spot}.",
        "Somebody noticed in the evening that {lost} still lay {spot}.",
    ),
    (
        "A child brought it back and was given {reward}.",
        "The finder got {reward} for honesty.",
        "Whoever returned it was promised {reward}, and got it.",
    ),
)
_QUESTIONS = {
    "goods": ("What was {who} to buy at the market?", "What did {who} need?"),
    "lost": ("Which thing did {who} forget on the way?", "What went missing, to the annoyance of {who}?"),
    "spot": ("Where had {who} left the lost thing?", "Where was the thing that {who} had forgotten?"),
    "day": ("When did {who} go to the market?", "On which day did {who} set out?"),
    "beast": ("Which animal went along with {who}?", "Who or what kept {who} company?"),
    "trouble": ("Why did the journey of {who} take longer than planned?", "What went wrong for {who} on the way?"),
    "reward": ("What did {who} give to the finder?", "How did {who} reward the return of the lost thing?"),
}


def make_passage_groups(rng: Random, count: int) -> list[list[Item]]:
    """Return `count` groups, each of two questions about one passage."""
    namer = Namer(rng)
    distinct = Distinct()
    groups = []
    for _ in range(count):
        words = {slot: rng.choice(given) for slot, given in _WORDS.items()} | {"who": namer.make_name()}
        passage = _make_passage(rng, words)
        group: list[Item] = []
        slots = iter(rng.sample(list(_QUESTIONS), k=len(_QUESTIONS)))
        while len(group) < 2:
            item = _make_item(rng, words, passage, next(slots))
            if distinct.add(item):
                group.append(item)
        groups.append(group)
    return groups


def _make_passage(rng: Random, words: Mapping[str, str]) -> str:
    capital = {slot.capitalize(): word[0].upper() + word[1:] for slot, word in words.items()}
    sentences = [rng.choice(wordings).format(**words, **capital) for wordings in _SENTENCES]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _make_item(rng: Random, words: Mapping[str, str], passage: str, slot: str) -> Item:
    others = [word for word in _WORDS[slot] if word != words[slot]]
    choices, right = arrange_choices(rng, words[slot], rng.sample(others, k=draw_choice_count(rng) - 1))
    return Item(
        subject="reading",
        text=rng.choice(_QUESTIONS[slot]).format(**words),
        choices=choices,
        right=right,
        context=passage,
    )
