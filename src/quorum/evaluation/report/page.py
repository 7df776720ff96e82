"""Render the report as one HTML page that needs no network."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from quorum.evaluation.certainty import Z95
from quorum.evaluation.report.charts import Chart
from quorum.evaluation.report.text import format_number, format_signed, make_printable
from quorum.evaluation.report.views import pack_views
from quorum.evaluation.report_extras import LoadViews
from quorum.evaluation.report_facts import MAX_RUNS, Facts, QuestionAnswers
from quorum.evaluation.shakeup import estimate_selection_bias

HARDEST = 20  # questions in the page's own table
MAX_PAIRS = 30  # of members
MAX_QUESTIONS = 20_000  # in the page's filter, the hardest ones: about 20 MB
_MAX_TEXT, _MAX_CHOICE, _MAX_NAME = 600, 160, 80  # characters shown of a question, of a choice and of a name
_MAX_SETTING = 120  # characters shown of a setting's value


def render_html(facts: Facts, charts: Sequence[Chart], load_views: LoadViews | None = None) -> str:
    """Return the page as HTML.

    The template escapes all foreign text, except in JSON, which is written so that no HTML parser finds markup in it.
    The content security policy in the head has the hashes of the page's one script and one style sheet: nothing else
    runs, and nothing is fetched.
    """
    style, script = read_part("page.css"), read_part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "name": lambda text: make_printable(text, _MAX_NAME),
        "num": format_number,
        "text": lambda text: make_printable(text, _MAX_TEXT),
        "signed": format_signed,
    }
    best = facts.board.standings[0].entry.held_out
    views = pack_views(facts, load_views, MAX_QUESTIONS)
    return environment.from_string(read_part("page.html")).render(
        facts=facts,
        charts={chart.name: chart for chart in charts},
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {hash_for_policy(style)}; script-src {hash_for_policy(script)}; "
        "base-uri 'none'; form-action 'none'",
        hardest=[_make_card(one) for one in facts.questions[:HARDEST]],
        data=_dump_json_for_html(_make_filter_data(facts) | {"views": asdict(views)}),
        viewable=views.count,
        settings=_compare_settings(facts),
        settings_of=[row.entry.name for row in facts.board.standings[:MAX_RUNS]],
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


@dataclass(frozen=True, slots=True)
class _SettingRow:
    """A setting, its value in each run ("" where it is not set), and whether runs differ."""

    name: str
    values: tuple[str, ...]
    differs: bool


def _compare_settings(facts: Facts) -> list[_SettingRow]:
    """Return the settings of the runs on the board, those that differ first."""
    entries = [row.entry for row in facts.board.standings[:MAX_RUNS]]
    tables = [_flatten_settings(entry.config) for entry in entries]
    members = [bool(entry.config) and not entry.members for entry in entries]  # neither the prior nor a vote
    rows = []
    for name in sorted({name for table in tables for name in table}):
        values = tuple(make_printable(table.get(name, ""), _MAX_SETTING) for table in tables)
        differs = len({value for value, member in zip(values, members, strict=True) if member}) > 1
        rows.append(_SettingRow(make_printable(name, _MAX_NAME), values, differs))
    return sorted(rows, key=lambda row: not row.differs)


def _flatten_settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the settings of nested tables by dotted name, as text."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten_settings(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


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


def read_part(name: str) -> str:
    """Return a file of the page: its template, style sheet or script."""
    return files("quorum.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def hash_for_policy(text: str) -> str:
    """Return the hash of a script or style sheet for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
