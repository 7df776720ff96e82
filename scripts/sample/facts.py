"""Make an invented world: facts, paragraphs that state them, and questions about them.

Every value of a pool belongs to equally many things and has one paragraph of its own, so that the frequency of a choice
in the background does not show whether it is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from sample.item import NONE, Distinct, Item, arrange_choices, draw_choice_count
from sample.names import Namer
from sample.world import KINDS, VALUE_SENTENCES, Kind, Relation

THINGS, VALUES = 80, 20  # things per kind, values per relation: each value belongs to THINGS / VALUES things
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
    """A fact of the world: `relation` gives `thing` the value `value`, which is one of `pool`."""

    kind: Kind
    relation: Relation
    thing: str
    value: str
    pool: tuple[str, ...]


def make_world(rng: Random) -> tuple[list[Fact], list[Paragraph]]:
    """Return all facts of the world, and shuffled paragraphs: those that state the facts, and some about the values."""
    namer = Namer(rng)
    forenames = namer.make_names(40)
    facts: list[Fact] = []
    paragraphs: list[Paragraph] = []
    for kind in KINDS:
        things = namer.make_names(THINGS)
        by_thing: dict[str, list[Fact]] = {thing: [] for thing in things}
        for relation in kind.relations:
            pool = _make_pool(rng, namer, forenames, relation)
            values = [value for value in pool for _ in range(THINGS // VALUES)]
            rng.shuffle(values)
            for thing, value in zip(things, values, strict=True):
                by_thing[thing].append(Fact(kind=kind, relation=relation, thing=thing, value=value, pool=pool))
            paragraphs += [_describe_value(rng, kind, relation, value) for value in pool]
        others = [*things[1:], things[0]]
        paragraphs += [
            _describe_thing(rng, by_thing[thing], other) for thing, other in zip(things, others, strict=True)
        ]
        facts += [fact for thing in things for fact in by_thing[thing]]
    rng.shuffle(paragraphs)
    return facts, paragraphs


def make_fact_items(rng: Random, facts: Sequence[Fact], subject: str, count: int) -> list[Item]:
    """Return `count` questions in English about different facts of a subject."""
    distinct = Distinct()
    of_subject = [fact for fact in facts if fact.kind.subject == subject]
    for fact in rng.sample(of_subject, k=len(of_subject)):
        if len(distinct.items) == count:
            break
        distinct.add(_make_item(rng, fact))
    return distinct.items


def make_language_groups(rng: Random, facts: Sequence[Fact], items: Sequence[Item]) -> list[list[Item]]:
    """Return one group for each item that has translations: the item and its translations, with choices reordered."""
    by_text = {
        wording.format(e=fact.thing): fact
        for fact in facts
        if fact.relation.translations
        for wording in fact.relation.questions
    }
    groups = []
    for item in items:
        fact = by_text.get(item.text)
        if fact is None or NONE in item.choices:
            continue
        right = item.choices[item.right]
        wrong = [choice for choice in item.choices if choice != right]
        group = [item]
        for language in LANGUAGES:
            choices, index = arrange_choices(rng, right, wrong)
            text = fact.relation.translations[language].format(e=fact.thing)
            group.append(replace(item, text=text, choices=choices, right=index))
        groups.append(group)
    return groups


def _make_pool(rng: Random, namer: Namer, forenames: Sequence[str], relation: Relation) -> tuple[str, ...]:
    match relation.pool:
        case "person":
            return tuple(f"{rng.choice(forenames)} {name}" for name in namer.make_names(VALUES))
        case str():
            return tuple(namer.make_names(VALUES))
        case words:
            return words


def _describe_thing(rng: Random, facts: Sequence[Fact], other: str) -> Paragraph:
    kind, thing = facts[0].kind, facts[0].thing
    sentences = [rng.choice(fact.relation.statements).format(v=fact.value) for fact in facts]
    sentences += rng.sample(kind.fillers, k=rng.choice((1, 2)))
    sentences.append(rng.choice(kind.comparisons).format(o=other))
    rng.shuffle(sentences)
    return Paragraph(kind.subject, thing, " ".join([rng.choice(kind.openings).format(e=thing), *sentences]))


def _describe_value(rng: Random, kind: Kind, relation: Relation, value: str) -> Paragraph:
    sentences = VALUE_SENTENCES[relation.pool if isinstance(relation.pool, str) else "thing"]
    opening = rng.choice(sentences[:3]).format(v=value, n=relation.noun)
    text = " ".join([opening, *rng.sample(sentences[3:], k=3)])
    return Paragraph(kind.subject, value, text[0].upper() + text[1:])


def _make_item(rng: Random, fact: Fact) -> Item:
    text = rng.choice(fact.relation.questions).format(e=fact.thing)
    count = draw_choice_count(rng)
    none = count > 2 and rng.random() < NONE_SHARE
    right = NONE if none and rng.random() < 0.3 else fact.value
    others = [value for value in fact.pool if value != fact.value]
    wrong = rng.sample(others, k=count - 1 - (none and right != NONE))
    choices, index = arrange_choices(rng, right, wrong, NONE if none else "")
    return Item(subject=fact.kind.subject, text=text, choices=choices, right=index, source=fact.thing)
