"""Make questions of common sense, which a small sentence encoder can answer without training."""

from collections.abc import Sequence
from random import Random

from sample.item import ALL, NONE, Distinct, Item, arrange_choices, draw_choice_count

SUBJECT = "common sense"

# Right answer -> the words that the question asks about; wrong choices are right answers of other rows of the table.
_USED = {
    "a knife": "cut a loaf of bread",
    "an umbrella": "stay dry in the rain",
    "a hammer": "drive a nail into wood",
    "a broom": "sweep the kitchen floor",
    "a needle": "sew on a button",
    "a key": "open a locked door",
    "a pen": "sign a letter",
    "a ladder": "reach the roof",
    "a thermometer": "find out whether you have a fever",
    "a torch": "see in a dark cellar",
    "a comb": "tidy your hair",
    "a kettle": "boil water for tea",
    "a shovel": "dig a hole in the garden",
    "a fishing rod": "catch a trout",
    "a towel": "dry yourself after a bath",
    "an alarm clock": "wake up early",
    "a pillow": "rest your head in bed",
    "a fridge": "keep milk cold",
    "a map": "find the way in a strange town",
    "a saw": "cut a plank in two",
    "a toothbrush": "clean your teeth",
    "a calculator": "add up a long bill",
    "a telescope": "look at the moon",
    "a wallet": "carry coins and banknotes",
    "an oven": "bake a cake",
    "an iron": "smooth a wrinkled shirt",
    "scissors": "cut paper into stars",
    "sunglasses": "protect your eyes from bright light",
    "a bicycle pump": "fill a flat tyre with air",
    "a leash": "walk a dog",
}
_DONE = {
    "a baker": "makes bread and rolls before sunrise",
    "a dentist": "repairs your teeth",
    "a pilot": "flies an aeroplane",
    "a farmer": "grows wheat and keeps cows",
    "a plumber": "mends a leaking pipe",
    "a judge": "decides a case in court",
    "a tailor": "shortens a pair of trousers",
    "a librarian": "lends books to readers",
    "a firefighter": "puts out a burning house",
    "a nurse": "looks after patients in hospital",
    "a postman": "delivers letters and parcels",
    "a barber": "cuts hair and trims beards",
    "a carpenter": "builds tables out of wood",
    "a vet": "treats a sick horse",
    "a chef": "prepares meals in a restaurant",
    "a gardener": "plants flowers and prunes hedges",
    "a mechanic": "repairs a car engine",
    "a teacher": "explains fractions to children",
    "a photographer": "takes pictures at a wedding",
    "a fisherman": "hauls nets full of herring",
    "an astronomer": "studies distant stars",
    "a cashier": "takes your money in a supermarket",
    "a sculptor": "carves figures from stone",
    "a conductor": "leads an orchestra",
}
_FOUND = {
    "in a hospital": "a surgeon and many beds",
    "in a library": "shelves full of books",
    "in an airport": "passengers waiting for their flight",
    "on a farm": "a tractor and a hen house",
    "in a bakery": "fresh rolls and cakes",
    "in a classroom": "a blackboard and pupils",
    "in a bathroom": "a shower and soap",
    "in a garage": "a parked car",
    "in a desert": "sand dunes and camels",
    "in the ocean": "whales and coral reefs",
    "in a theatre": "actors on a stage",
    "in a stable": "horses and hay",
    "in a museum": "old paintings behind glass",
    "in a bank": "a safe full of money",
    "in a forest": "squirrels and tall trees",
    "in a kitchen": "pots, pans and a stove",
    "in a church": "an altar and an organ",
    "at a harbour": "ships and fishing boats",
    "in a cinema": "people watching a film",
    "in an office": "desks with computers",
    "in a gym": "dumbbells and treadmills",
    "in a zoo": "lions behind bars",
    "in a pharmacy": "medicine and plasters",
    "in a vineyard": "rows of grapes",
}
_OPPOSITE = {
    "cold": "hot",
    "dark": "bright",
    "empty": "full",
    "slow": "fast",
    "noisy": "quiet",
    "poor": "rich",
    "wet": "dry",
    "weak": "strong",
    "cheap": "expensive",
    "narrow": "wide",
    "cowardly": "brave",
    "shallow": "deep",
    "ancient": "modern",
    "guilty": "innocent",
    "sour": "sweet",
    "rough": "smooth",
    "lazy": "hard-working",
    "blunt": "sharp",
    "sad": "cheerful",
    "generous": "stingy",
}
_KINDS = {
    "fruit": ("apple", "pear", "banana", "cherry", "plum", "grape"),
    "musical instrument": ("violin", "trumpet", "drum", "flute", "piano", "harp"),
    "vehicle": ("car", "bus", "lorry", "tram", "motorbike", "van"),
    "piece of furniture": ("chair", "table", "wardrobe", "sofa", "bed", "desk"),
    "bird": ("sparrow", "eagle", "owl", "swan", "parrot", "crow"),
    "item of clothing": ("shirt", "coat", "trousers", "sock", "skirt", "glove"),
    "colour": ("red", "yellow", "purple", "green", "orange", "blue"),
    "sport": ("football", "tennis", "rowing", "boxing", "judo", "hockey"),
    "insect": ("wasp", "fly", "mosquito", "grasshopper", "butterfly", "ladybird"),
    "weather": ("fog", "hail", "thunderstorm", "drizzle", "sunshine", "snow"),
    "body part": ("elbow", "knee", "shoulder", "ankle", "nose", "chin"),
    "vegetable": ("carrot", "cabbage", "spinach", "turnip", "leek", "beetroot"),
}

_TABLES = (
    (
        _USED,
        (
            "Which of these would you use to {}?",
            "You want to {}. What do you need?",
            "What is the best thing to {} with?",
        ),
    ),
    (_DONE, ("Who {}?", "Which of these people usually {}?", "Somebody {}. Who is it most likely to be?")),
    (
        _FOUND,
        ("Where would you expect {}?", "Where are you if you see {}?", "You notice {}. Where is that, most likely?"),
    ),
    (
        _OPPOSITE,
        (
            "Which word is the opposite of '{}'?",
            "What do you call something that is not at all {}?",
            "Which word means the contrary of '{}'?",
        ),
    ),
)
_KIND_ASKED = ("Which of these is {}?", "Which one would you call {}?", "One of these is {}. Which?")


def make_everyday_items(rng: Random, count: int) -> list[Item]:
    """Return `count` different questions; a few have "All of the above" or "A and B" as the last choice."""
    distinct = Distinct()
    items = [
        _make_table_item(rng, table, *row, asked)
        for table, wordings in _TABLES
        for row in table.items()
        for asked in wordings
    ]
    items += [_make_kind_item(rng, kind, member) for kind, members in _KINDS.items() for member in members]
    items += [_make_all_item(rng, kind) for kind in _KINDS]
    items += [_make_both_item(rng, kind) for kind in _KINDS]
    special = [item for item in items if item.choices[-1] in (ALL, "A and B")]
    plain = [item for item in items if item.choices[-1] not in (ALL, "A and B")]
    rng.shuffle(plain)
    for item in special + plain:
        if len(distinct.items) < count:
            distinct.add(item)
    rng.shuffle(distinct.items)
    return distinct.items


def _make_table_item(rng: Random, table: dict[str, str], answer: str, about: str, wording: str) -> Item:
    others = [other for other in table if other != answer]
    return _make_item(rng, wording.format(about), answer, others)


def _make_kind_item(rng: Random, kind: str, member: str) -> Item:
    others = [rng.choice(members) for other, members in _KINDS.items() if other != kind]
    return _make_item(rng, rng.choice(_KIND_ASKED).format(_add_article(kind)), member, others)


def _make_all_item(rng: Random, kind: str) -> Item:
    """Return a question with "All of the above" as the last choice, which is right half of the time."""
    members, strangers = _draw_members_and_others(rng, kind)
    text = f"Which of the following can be called {_add_article(kind)}?"
    if rng.random() < 0.5:
        choices, right = arrange_choices(rng, ALL, members[:3], ALL)
    else:
        choices, right = arrange_choices(rng, members[0], strangers[:2], ALL)
    return Item(subject=SUBJECT, text=text, choices=choices, right=right)


def _make_both_item(rng: Random, kind: str) -> Item:
    """Return a question with "A and B" as the last choice, which is right if the first two are of the kind."""
    members, strangers = _draw_members_and_others(rng, kind)
    text = f"Choose everything here that counts as {_add_article(kind)}."
    if rng.random() < 0.5:
        return Item(subject=SUBJECT, text=text, choices=(members[0], members[1], strangers[0], "A and B"), right=3)
    return Item(subject=SUBJECT, text=text, choices=(strangers[0], strangers[1], members[0], "A and B"), right=2)


def _draw_members_and_others(rng: Random, kind: str) -> tuple[list[str], list[str]]:
    strangers = [rng.choice(members) for other, members in _KINDS.items() if other != kind]
    return rng.sample(_KINDS[kind], k=len(_KINDS[kind])), rng.sample(strangers, k=len(strangers))


def _add_article(kind: str) -> str:
    return kind if kind == "weather" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _make_item(rng: Random, text: str, answer: str, others: Sequence[str]) -> Item:
    count = draw_choice_count(rng)
    none = count > 2 and rng.random() < 0.05
    choices, right = arrange_choices(rng, answer, rng.sample(others, k=count - 1 - none), NONE if none else "")
    return Item(subject=SUBJECT, text=text, choices=choices, right=right)
