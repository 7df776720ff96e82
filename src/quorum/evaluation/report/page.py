"""Render the report as one HTML page that needs no network."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from quorum.evaluation.certainty import Z95
from quorum.evaluation.report.charts import Chart
from quorum.evaluation.report.text import format_number, format_signed, make_printable
from quorum.evaluation.report_facts import Facts, QuestionAnswers
from quorum.evaluation.shakeup import estimate_selection_bias

HARDEST = 20  # questions in the page's own table
MAX_PAIRS = 30  # of members
MAX_QUESTIONS = 20_000  # in the page's filter, the hardest ones: about 20 MB
_MAX_TEXT, _MAX_CHOICE, _MAX_NAME = 600, 160, 80  # characters shown of a question, of a choice and of a name


def render_html(facts: Facts, charts: Sequence[Chart]) -> str:
    """Return the page as HTML.

    The template escapes all foreign text, except in JSON, which is written so that no HTML parser finds markup in it.
    The content security policy in the head has the hashes of the page's one script and one style sheet: nothing else
    runs, and nothing is fetched.
    """
    style, script = _read_part("page.css"), _read_part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "name": lambda text: make_printable(text, _MAX_NAME),
        "num": format_number,
        "signed": format_signed,
    }
    best = facts.board.standings[0].entry.held_out
    return environment.from_string(_read_part("page.html")).render(
        facts=facts,
        charts={chart.name: chart for chart in charts},
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash_for_policy(style)}; script-src {_hash_for_policy(script)}; "
        "base-uri 'none'; form-action 'none'",
        hardest=[_make_card(one) for one in facts.questions[:HARDEST]],
        data=_dump_json_for_html(_make_filter_data(facts)),
        max_pairs=MAX_PAIRS,
        filterable=min(len(facts.questions), MAX_QUESTIONS),
        selection_bias=None if best.error is None else estimate_selection_bias(best.error, facts.evaluations),
        z=Z95,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """A question as it is shown: printable, and cut if it is long."""

    id: str
    subject: str | None
    context: str
    text: str
    choices: tuple[tuple[str, str], ...]
    gold: str
    answers: QuestionAnswers


def _make_card(one: QuestionAnswers) -> _Card:
    question = one.question
    return _Card(
        id=make_printable(question.id, _MAX_NAME),
        subject=None if question.subject is None else make_printable(question.subject, _MAX_NAME),
        context=make_printable(question.context or "", _MAX_TEXT),
        text=make_printable(question.text, _MAX_TEXT),
        choices=tuple((label, make_printable(question.choice(label), _MAX_CHOICE)) for label in question.labels),
        gold=make_printable(question.answer or "", _MAX_NAME),
        answers=one,
    )


def _make_filter_data(facts: Facts) -> dict[str, object]:
    """Return the data of the page's filter, as page.js reads it."""
    cards = [_make_card(one) for one in facts.questions[:MAX_QUESTIONS]]
    subjects = sorted({card.subject for card in cards if card.subject is not None})
    index = {subject: number for number, subject in enumerate(subjects)}
    return {
        "runs": [make_printable(run, _MAX_NAME) for run in facts.runs],
        "subjects": subjects,
        "questions": [
            [
                card.id,
                -1 if card.subject is None else index[card.subject],
                card.context,
                card.text,
                [text for _, text in card.choices],
                card.gold,
                [make_printable(label, _MAX_NAME) for label in card.answers.sent],
                [int(read) for read in card.answers.read],
            ]
            for card in cards
        ],
    }


def _dump_json_for_html(value: object) -> str:
    """Return JSON in which an HTML parser finds no markup: "<", ">", "&" and the line ends of scripts are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _read_part(name: str) -> str:
    return files("quorum.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _hash_for_policy(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
