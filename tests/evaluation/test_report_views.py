"""What the report shows besides scores: views of questions, two runs side by side, ladders, losses, settings."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quorum.evaluation.ledger import make_leaderboard
from quorum.evaluation.question_view import ViewPart
from quorum.evaluation.report.views import pack_views
from quorum.evaluation.report_extras import (
    Extras,
    FileFinding,
    LadderStage,
    LadderTable,
    LossCurve,
    SubmissionsLeft,
)
from quorum.evaluation.report_facts import Facts, RunAnswers, collect_facts
from quorum.evaluation.report_page import render_page
from quorum.question import Question
from tests.support.chromium import Chromium, needs_chromium
from tests.support.report import make_run

HOSTILE = "</script><img src=x onerror=alert(1)> \x1b[2J \u202egnp.exe \ud800"
QUESTIONS = [
    Question(
        id=f"q{n}", text=f"number {n}?", choices=("x", "y", "z"), answer="ABC"[n % 3], subject=("odd", "even")[n % 2]
    )
    for n in range(90)
]


def make_runs(questions: list[Question] = QUESTIONS) -> list[RunAnswers]:
    good = {q.id: {q.answer or "": 1.0} if n % 10 else {"A": 1.0} for n, q in enumerate(questions)}
    poor = {q.id: {q.answer or "": 1.0} if n % 3 else {"B": 1.0} for n, q in enumerate(questions)}
    return [
        make_run("good", questions, good, 1, config={"backend": {"name": "encoder"}, "seed": 1}),
        make_run("poor", questions, poor, 2, config={"backend": {"name": "neighbour"}, "seed": 1}),
    ]


def make_facts(**extras: Any) -> Facts:
    runs = make_runs()
    facts = collect_facts("toys", make_leaderboard([run.entry for run in runs]), QUESTIONS, runs, None)
    return replace(facts, extras=Extras(**extras))


def load_views(run: str, ids: Any) -> dict[str, list[ViewPart]]:
    return {id: [ViewPart("Prompt 1", "", f"{run} {id} {HOSTILE}"), ViewPart("Ballot", "A 1.000")] for id in ids}


def unpack(block: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(block)))


def test_views_are_packed_for_the_hardest_questions_first_and_as_many_as_fit() -> None:
    facts = make_facts()
    packed = pack_views(facts, load_views, 1000)
    assert (packed.count, len(packed.blocks)) == (90, 3)
    third = unpack(packed.blocks[2])
    assert third["1"]["80"][0][:2] == ["Prompt 1", ""]
    assert facts.questions[80].question.id in third["1"]["80"][0][2]
    one = len(packed.blocks[0])
    assert pack_views(facts, load_views, 1000, budget=one + 10).count == 40
    assert pack_views(facts, load_views, 50).count == 50
    assert pack_views(facts, None, 1000).count == pack_views(facts, lambda run, ids: {}, 1000).count == 0


def test_the_page_names_how_many_views_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = make_facts()
    first = len(pack_views(facts, load_views, 1000).blocks[0])
    monkeypatch.setattr("quorum.evaluation.report.views.pack_views.__defaults__", (first + 10,))
    page = render_page(facts, load_views).html
    assert "of the 40 hardest questions; the other 50 are left out to keep the page small" in page
    assert "quorum show RUN ID" in page


def test_a_long_reply_is_cut_with_a_note() -> None:
    packed = pack_views(make_facts(), lambda run, ids: {ids[0]: [ViewPart("Reply", "", "x" * 30_000)]}, 1000)
    text = next(iter(unpack(packed.blocks[0])["0"].values()))[0][2]
    assert text.endswith("x … (10,000 more characters)")


def test_the_page_holds_ladder_losses_findings_settings_and_submissions_left() -> None:
    ladder = LadderTable(
        name="encoder",
        metric="accuracy",
        n=90,
        stages=(LadderStage("base", 0.5, True), LadderStage("votes", 0.4, False)),
        columns=("stage", "value"),
        rows=(("base", ".5"), ("votes", ".4")),
        notes=("not tried: verify",),
    )
    finding = FileFinding(file="train.csv", severity="error", count=3, what="no answer", first="row 7 (q6): no answer")
    page = render_page(
        make_facts(
            ladders=(ladder,),
            losses=(LossCurve("train-encoder", ((1, 2.5), (2, 1.25))),),
            findings=(finding,),
            kaggle=SubmissionsLeft(4, "2026-11-27T01:02:03+00:00"),
        )
    )
    assert {"ladder", "losses", "history"} <= {chart.name for chart in page.charts}
    for text in (
        "not tried: verify",
        "row 7 (q6): no answer",
        "4 submissions left on 2026-11-27, as of 01:02 UTC",
        '<tr class="differs"><th scope="row"><code>backend.name</code></th>',
        '<tr><th scope="row"><code>seed</code></th>',
        "<td>2.500</td><td>1.250</td>",
    ):
        assert text in page.html


def test_without_them_the_page_has_no_empty_sections() -> None:
    page = render_page(make_facts()).html
    for id in ("stages", "training", "doctor"):
        assert f'id="{id}"' not in page
    assert "No prompts and replies are on disk." in page


def test_hostile_views_are_no_markup() -> None:
    page = render_page(make_facts(), load_views).html
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page


# ---- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


def open_page(browser: Chromium, folder: Path, width: int = 1280, dark: bool = False) -> None:
    path = folder / "index.html"
    path.write_text(render_page(make_facts(), load_views).html, encoding="utf-8")
    browser.open(path.as_uri(), width=width, dark=dark)


def choose(browser: Chromium, id: str, value: str) -> None:
    """Choose an option of a select, as a person would."""
    select = f"document.getElementById('{id}')"
    browser.ask(f"{select}.value = '{value}', {select}.dispatchEvent(new Event('change'))")


@needs_chromium
def test_a_question_opens_as_each_model_saw_it(browser: Chromium, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    browser.ask("document.querySelector('#hardest button.open').click()")
    shown = "document.querySelector('#view-body pre')?.textContent ?? ''"
    browser.ask("new Promise((done) => { const wait = () => view.open ? done() : setTimeout(wait, 20); wait(); })")
    id = browser.ask("document.getElementById('view-heading').textContent")
    assert id == browser.ask("document.querySelector('#hardest tbody th bdi').textContent")
    text = browser.ask(shown)
    assert text.startswith(f"good {id} </script><img src=x")
    assert "\x1b" not in text
    choose(browser, "view-run", "1")
    assert browser.ask(shown).startswith(f"poor {id} ")
    assert browser.ask("document.images.length") == 0
    assert browser.told("Log.entryAdded") == browser.told("Runtime.exceptionThrown") == []


@needs_chromium
def test_two_runs_are_compared_by_question_subject_and_letter(browser: Chromium, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    good, poor = ({id: max(ballot, key=ballot.__getitem__) for id, ballot in run.sent.items()} for run in make_runs())
    differ = [q for q in QUESTIONS if good[q.id] != poor[q.id]]
    only_good = sum(good[q.id] == q.answer for q in differ)
    only_poor = sum(poor[q.id] == q.answer for q in differ)
    status = browser.ask("document.getElementById('versus-status').textContent")
    assert f"Of 90 questions the two answer {len(differ)} differently: only good is right on {only_good}" in status
    assert f"only poor on {only_poor}" in status
    assert browser.ask("document.querySelectorAll('#versus-body tr').length") == min(25, len(differ))
    rows = (
        "[...document.querySelectorAll('#versus-subjects-body tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    even = [q for q in QUESTIONS if q.subject == "even"]
    gained = sum(good[q.id] == q.answer != poor[q.id] for q in even)
    found = {row[0]: row for row in browser.ask(rows)}
    assert found["even"][1] == str(len(even))
    assert found["even"][5] == str(gained)
    cell = "document.querySelectorAll('#confusion table')[1].tBodies[0].rows[0].cells[2].textContent"
    confused = sum(q.answer == "A" and poor[q.id] == "B" for q in QUESTIONS)
    assert browser.ask(cell) == str(confused)
    choose(browser, "versus-kind", "gained")
    assert (
        browser.ask("document.getElementById('versus-page').textContent").endswith(f"of {only_poor} questions")
        or not only_poor
    )


@needs_chromium
def test_a_chart_shows_a_tip_on_hover_and_marks_the_row_on_a_click(browser: Chromium, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    chart = "document.querySelector('[aria-labelledby=scores-title]')"
    browser.ask(f"{chart}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
    box = browser.ask(
        "(({ x, y, width, height }) => [x + width / 2, y + height / 2])"
        "(document.querySelectorAll('[aria-labelledby=scores-title] rect.spot')[1].getBoundingClientRect())"
    )
    where = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    tip = browser.ask("tip.hidden ? '' : tip.textContent")
    assert re.fullmatch(r"poor: 0\.\d{3}; 95 % 0\.\d{3} to 0\.\d{3}", tip)
    browser.call("Input.dispatchMouseEvent", type="mousePressed", **where)
    browser.call("Input.dispatchMouseEvent", type="mouseReleased", **where)
    assert browser.ask("document.querySelector('tr.marked th').textContent") == "poor"


@needs_chromium
def test_a_bar_filters_the_questions(browser: Chromium, tmp_path: Path) -> None:
    open_page(browser, tmp_path)
    bar = "document.querySelectorAll('[aria-labelledby=hits-title] rect.spot')[1]"
    browser.ask(f"{bar}.dispatchEvent(new Event('click'))")
    hits = sum(one.hits == 1 for one in make_facts().questions)
    assert browser.ask("document.getElementById('questions-status').textContent").endswith(f"of {hits} questions")


@needs_chromium
@pytest.mark.parametrize(("width", "wide"), [(360, True), (1280, False)])
def test_a_table_that_scrolls_says_so(browser: Chromium, tmp_path: Path, width: int, wide: bool) -> None:
    open_page(browser, tmp_path, width)
    area = "document.querySelector('#ledger').closest('.scroll')"
    after = f"getComputedStyle({area}.querySelector('caption span'), '::after').content"
    assert ("Scroll sideways" in browser.ask(after)) == wide
    browser.ask(f"new Promise((done) => {{ {area}.scrollLeft = 9999; setTimeout(done, 100); }})")
    assert "Scroll sideways" not in browser.ask(after)
    assert browser.ask("document.documentElement.scrollWidth") <= width
