"""An invented world drawn from its words: its paragraphs, and questions about what they tell.

Every value of a pool belongs to equally many things and has one paragraph of its own, so that how often a choice
occurs in the background says nothing about whether it is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from sample.item import NONE, Distinct, Item, arranged, choice_count
from sample.names import Namer
from sample.world import BESIDES, KINDS, Kind, Relation

THINGS, VALUES = 80, 20  # things a kind, values a relation: each value belongs to THINGS / VALUES things
NONE_SHARE = 0.11
LANGUAGES = ("es", "de", "vi", "ko")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences of the background about `title`."""

    subject: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What the world holds: `relation` gives `thing` the value `value`, which is one of `pool`."""

    kind: Kind
    relation: Relation
    thing: str
    value: str
    pool: tuple[str, ...]


def made_world(rng: Random) -> tuple[list[Fact], list[Paragraph]]:
    """All facts of the world, and the paragraphs that tell them, shuffled among paragraphs about the values."""
    namer = Namer(rng)
    forenames = namer.names(40)
    facts: list[Fact] = []
    paragraphs: list[Paragraph] = []
    for kind in KINDS:
        things = namer.names(THINGS)
        told: dict[str, list[Fact]] = {thing: [] for thing in things}
        for relation in kind.relations:
            pool = _pool(rng, namer, forenames, relation)
            values = [value for value in pool for _ in range(THINGS // VALUES)]
            rng.shuffle(values)
            for thing, value in zip(things, values, strict=True):
                told[thing].append(Fact(kind=kind, relation=relation, thing=thing, value=value, pool=pool))
            paragraphs += [_about_value(rng, kind, relation, value) for value in pool]
        others = [*things[1:], things[0]]
        paragraphs += [_about_thing(rng, told[thing], other) for thing, other in zip(things, others, strict=True)]
        facts += [fact for thing in things for fact in told[thing]]
    rng.shuffle(paragraphs)
    return facts, paragraphs


def fact_items(rng: Random, facts: Sequence[Fact], subject: str, count: int) -> list[Item]:
    """`count` questions in English about different facts of a subject."""
    distinct = Distinct()
    of_subject = [fact for fact in facts if fact.kind.subject == subject]
    for fact in rng.sample(of_subject, k=len(of_subject)):
        if len(distinct.items) == count:
            break
        distinct.add(_item(rng, fact))
    return distinct.items


def language_items(rng: Random, facts: Sequence[Fact], items: Sequence[Item]) -> list[list[Item]]:
    """Every item that can be asked in other languages, with its translations, their choices in other orders."""
    asked = {
        wording.format(e=fact.thing): fact
        for fact in facts
        if fact.relation.translated
        for wording in fact.relation.asked
    }
    groups = []
    for item in items:
        fact = asked.get(item.text)
        if fact is None or NONE in item.choices:
            continue
        right = item.choices[item.right]
        wrong = [choice for choice in item.choices if choice != right]
        group = [item]
        for language in LANGUAGES:
            choices, place = arranged(rng, right, wrong)
            text = fact.relation.translated[language].format(e=fact.thing)
            group.append(replace(item, text=text, choices=choices, right=place))
        groups.append(group)
    return groups


def _pool(rng: Random, namer: Namer, forenames: Sequence[str], relation: Relation) -> tuple[str, ...]:
    match relation.pool:
        case "person":
            return tuple(f"{rng.choice(forenames)} {name}" for name in namer.names(VALUES))
        case str():
            return tuple(namer.names(VALUES))
        case words:
            return words


def _about_thing(rng: Random, facts: Sequence[Fact], other: str) -> Paragraph:
    kind, thing = facts[0].kind, facts[0].thing
    sentences = [rng.choice(fact.relation.told).format(v=fact.value) for fact in facts]
    sentences += rng.sample(kind.besides, k=rng.choice((1, 2)))
    sentences.append(rng.choice(kind.compared).format(o=other))
    rng.shuffle(sentences)
    return Paragraph(kind.subject, thing, " ".join([rng.choice(kind.opened).format(e=thing), *sentences]))


def _about_value(rng: Random, kind: Kind, relation: Relation, value: str) -> Paragraph:
    besides = BESIDES[relation.pool if isinstance(relation.pool, str) else "thing"]
    opened = rng.choice(besides[:3]).format(v=value, n=relation.noun)
    text = " ".join([opened, *rng.sample(besides[3:], k=3)])
    return Paragraph(kind.subject, value, text[0].upper() + text[1:])


def _item(rng: Random, fact: Fact) -> Item:
    text = rng.choice(fact.relation.asked).format(e=fact.thing)
    count = choice_count(rng)
    none = count > 2 and rng.random() < NONE_SHARE
    right = NONE if none and rng.random() < 0.3 else fact.value
    others = [value for value in fact.pool if value != fact.value]
    wrong = rng.sample(others, k=count - 1 - (none and right != NONE))
    choices, place = arranged(rng, right, wrong, NONE if none else "")
    return Item(subject=fact.kind.subject, text=text, choices=choices, right=place, source=fact.thing)
