"""The report as one HTML page that needs no network, and its charts."""

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from quorum.evaluation.certainty import Z95
from quorum.evaluation.report.charts import Chart, DotRow, draw_bar_chart, draw_dot_chart, draw_reliability_chart
from quorum.evaluation.report.facts import Facts, QuestionAnswers
from quorum.evaluation.report.text import make_printable
from quorum.evaluation.shakeup import estimate_selection_luck

HARDEST = 20  # questions that stand in the page itself
MOST_PAIRS = 30  # of members
MOST_QUESTIONS = 20_000  # that the page carries for its filter: 20 MB or so; the hardest
_TEXT_SIGNS, _CHOICE_SIGNS, _NAME_SIGNS = 600, 160, 80  # signs of a question, of a choice and of a name that are shown
_MOST_SUBJECTS, _MOST_PANELS, _MOST_ROWS = 60, 6, 40  # that are drawn


@dataclass(frozen=True, slots=True)
class Page:
    """The report: HTML that holds everything, and the same charts for use elsewhere."""

    html: str
    charts: tuple[Chart, ...]


def render_page(facts: Facts) -> Page:
    """The page. All text that is not ours is escaped by the template or stands in JSON that no parser takes for markup.

    The policy in its head names the hashes of its one script and one style sheet: nothing else runs, and nothing is
    fetched.
    """
    style, script = _part("page.css"), _part("page.js")
    charts = draw_charts(facts)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "name": lambda text: make_printable(text, _NAME_SIGNS),
        "num": _in_figures,
        "signed": _signed,
    }
    best = facts.board.standings[0].entry.held_out
    html = environment.from_string(_part("page.html")).render(
        facts=facts,
        charts={chart.name: chart for chart in charts},
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        hardest=[_card(one) for one in facts.questions[:HARDEST]],
        data=_json_in_html(_questions_data(facts)),
        most_pairs=MOST_PAIRS,
        carried=min(len(facts.questions), MOST_QUESTIONS),
        luck=None if best.error is None else estimate_selection_luck(best.error, facts.looks),
        z=Z95,
    )
    return Page(html, tuple(charts))


def draw_charts(facts: Facts) -> list[Chart]:
    """The charts that there are facts for."""
    drawn = [
        _score_chart(facts),
        _shakeup_chart(facts),
        _paired_chart(facts),
        _subject_chart(facts),
        _letter_chart(facts),
        _gain_chart(facts),
        _reliability_charts(facts),
        _cost_chart(facts),
        _hits_chart(facts),
    ]
    return [chart for chart in drawn if chart]


def _score_chart(facts: Facts) -> Chart:
    rows = []
    for standing in facts.board.standings[:_MOST_ROWS]:
        score, name = standing.entry.held_out, make_printable(standing.entry.name)
        interval = (score.low, score.high) if score.low is not None and score.high is not None else None
        said, best = f"{score.value:.3f}", standing.rank == 1
        rows.append(DotRow(name, score.value, said, interval, tick=standing.entry.public, strong=best))
    alt = f"Held-out {facts.board.metric} of {len(rows)} runs with 95 % intervals, best first; numbers in the table."
    public = " (dot), public (tick)" if any(row.tick is not None for row in rows) else ""
    return draw_dot_chart("scores", alt, f"held-out {facts.board.metric}{public}", rows)


def _shakeup_chart(facts: Facts) -> Chart | None:
    rows = [
        DotRow(
            make_printable(one.run),
            one.public - one.held_out.value,
            _signed(one.public - one.held_out.value),
            band=(-Z95 * one.expected.public, Z95 * one.expected.public),
            strong=abs(one.public - one.held_out.value) > Z95 * one.expected.public,
        )
        for one in facts.shaken[:_MOST_ROWS]
        if one.public is not None and one.expected
    ]
    if not rows:
        return None
    alt = "Public minus held-out score of each run, over the band where luck alone leaves 95 % of them."
    return draw_dot_chart("shakeup", alt, "public minus held-out; band: luck, 95 %", rows, line=0.0)


def _paired_chart(facts: Facts) -> Chart | None:
    if not facts.compared:
        return None
    rows = [
        DotRow(make_printable(pair.second), pair.difference, _signed(pair.difference), (pair.low, pair.high))
        for pair in facts.compared.pairs
    ]
    best = make_printable(facts.compared.runs[0].run, 30)
    alt = f"The best run, {best}, minus each other run on the same questions, with 95 % intervals."
    return draw_dot_chart("paired", alt, f"{best} minus run", rows, line=0.0)


def _subject_chart(facts: Facts) -> Chart | None:
    rows = []
    for row in facts.subjects[:_MOST_SUBJECTS]:
        score = row.scores[0].score
        interval = (score.low, score.high) if score.low is not None and score.high is not None else None
        said = f"{score.value:.2f}  n {row.n}"
        rows.append(
            DotRow(make_printable(row.subject), score.value, said, interval, tick=row.scores[0].shrunk, strong=True)
        )
    if not rows:
        return None
    best = make_printable(facts.runs[0], 30)
    alt = f"{facts.board.metric} of {best} in {len(rows)} subjects with 95 % intervals; numbers in the table."
    return draw_dot_chart("subjects", alt, f"{best} (dot), shrunk (tick)", rows)


def _letter_chart(facts: Facts) -> Chart | None:
    if not facts.letters:
        return None
    rows = [
        DotRow(row.letter, row.runs[0], f"{row.runs[0]:.0%} / {row.gold:.0%}", tick=row.gold, strong=True)
        for row in facts.letters
    ]
    best = make_printable(facts.runs[0], 30)
    alt = f"How often {best} says each letter, beside how often it is the answer; numbers in the table."
    return draw_dot_chart("letters", alt, f"{best} (dot) / answers (tick)", rows, line=0.0)


def _gain_chart(facts: Facts) -> Chart | None:
    rows = [
        DotRow(make_printable(pair.second), pair.difference, _signed(pair.difference), (pair.low, pair.high))
        for gain in facts.gains[:1]
        for pair in gain.pairs
    ]
    if not rows:
        return None
    vote = make_printable(facts.gains[0].vote, 30)
    alt = f"{vote} minus each of its members on the same questions, with 95 % intervals."
    return draw_dot_chart("gains", alt, f"{vote} minus member", rows, line=0.0)


def _reliability_charts(facts: Facts) -> Chart | None:
    drawn = facts.reliabilities[:_MOST_PANELS]
    if not drawn:
        return None
    alt = f"How often {len(drawn)} runs are right where they are so sure; on the diagonal, sureness is earned."
    return draw_reliability_chart("reliability", alt, drawn)


def _cost_chart(facts: Facts) -> Chart | None:
    entries = [standing.entry for standing in facts.board.standings[:_MOST_ROWS] if standing.entry.seconds > 0]
    if not entries:
        return None
    rows = [
        DotRow(
            make_printable(entry.name),
            entry.seconds,
            f"{entry.seconds:,.0f} s · {entry.held_out.value:.3f}",
            (0.0, entry.seconds),
            strong=entry == facts.board.standings[0].entry,
        )
        for entry in entries
    ]
    return draw_dot_chart(
        "cost", "Seconds each run took, best score first; numbers in the table.", "seconds", rows, line=0.0
    )


def _hits_chart(facts: Facts) -> Chart | None:
    if not facts.questions or not facts.asked:
        return None
    counts = [sum(one.hits == hits for one in facts.questions) for hits in range(facts.asked + 1)]
    bars = [(str(hits), count) for hits, count in enumerate(counts)]
    alt = f"How many of the {len(facts.questions)} questions 0 to {facts.asked} runs have right: {counts}."
    return draw_bar_chart("hits", alt, "runs that are right", bars)


@dataclass(frozen=True, slots=True)
class _Card:
    """A question as the page shows it: cut where it is long."""

    id: str
    subject: str | None
    context: str
    text: str
    choices: tuple[tuple[str, str], ...]
    gold: str
    told: QuestionAnswers


def _card(one: QuestionAnswers) -> _Card:
    question = one.question
    return _Card(
        make_printable(question.id, _NAME_SIGNS),
        None if question.subject is None else make_printable(question.subject, _NAME_SIGNS),
        make_printable(question.context or "", _TEXT_SIGNS),
        make_printable(question.text, _TEXT_SIGNS),
        tuple((label, make_printable(question.choice(label), _CHOICE_SIGNS)) for label in question.labels),
        make_printable(question.answer or "", _NAME_SIGNS),
        one,
    )


def _questions_data(facts: Facts) -> dict[str, object]:
    """What the page's filter works on; see page.js."""
    cards = [_card(one) for one in facts.questions[:MOST_QUESTIONS]]
    subjects = sorted({card.subject for card in cards if card.subject is not None})
    place = {subject: number for number, subject in enumerate(subjects)}
    return {
        "runs": [make_printable(run, _NAME_SIGNS) for run in facts.runs],
        "subjects": subjects,
        "questions": [
            [
                card.id,
                -1 if card.subject is None else place[card.subject],
                card.context,
                card.text,
                [text for _, text in card.choices],
                card.gold,
                [make_printable(label, _NAME_SIGNS) for label in card.told.sent],
                [int(read) for read in card.told.read],
            ]
            for card in cards
        ],
    }


def _json_in_html(value: object) -> str:
    """JSON that an HTML parser takes for text alone: no "<", ">" or "&" is in it, nor a line end that scripts know."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _in_figures(value: float | None, digits: int = 3) -> str:
    return "?" if value is None else f"{value:,.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _part(name: str) -> str:
    return files("quorum.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
