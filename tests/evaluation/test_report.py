import json
import math
import random
import re
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from quorum.evaluation.ledger import append_entry, make_leaderboard
from quorum.evaluation.metrics import Score
from quorum.evaluation.report.text import make_printable
from quorum.evaluation.report_facts import collect_facts
from quorum.evaluation.report_page import render_page
from quorum.evaluation.shakeup import Parts, assume_parts, estimate_selection_bias, estimate_shakeup, find_parts
from quorum.files.answers import make_answers, write_answers
from quorum.files.solution import SolvedRow
from quorum.question import Question
from tests.support.chromium import Chromium, needs_chromium
from tests.support.paths import SOURCES
from tests.support.report import make_run
from tests.support.verb import run_verb

STYLE = SOURCES / "quorum" / "evaluation" / "report" / "page.css"


def facts(questions, runs, parts=None, **more):
    return replace(collect_facts("toys", make_leaderboard([run.entry for run in runs]), questions, runs, parts), **more)


TOYS = [
    Question(id="q1", text="one?", choices=("x", "y", "z"), answer="A", subject="fruit"),
    Question(id="q2", text="two?", choices=("x", "y", "z"), answer="B", subject="fruit"),
    Question(id="q3", text="three?", choices=("x", "y"), answer="A", subject="tool", context="It is x."),
    Question(id="q4", text="four?", choices=("x", "y"), answer="B", subject="tool"),
]


def toy_runs():
    good = make_run("good", TOYS, {"q1": {"A": 1.0}, "q2": {"B": 1.0}, "q3": {"B": 1.0}, "q4": {"B": 1.0}}, 1)
    soft = make_run("soft", TOYS, {"q1": {"A": 0.7, "B": 0.3}, "q2": {"C": 1.0}, "q3": {"B": 1.0}, "q4": {}}, 2)
    both = make_run("both", TOYS, good.ballots, 3, members=("good", "soft"))
    return [good, soft, both]


def test_the_hardest_question_is_the_one_that_most_runs_get_wrong_alike():
    found = facts(TOYS, toy_runs())
    assert [one.question.id for one in found.questions] == ["q3", "q2", "q4", "q1"]
    assert (found.questions[0].hits, found.questions[0].rival, found.questions[0].rival_votes) == (0, "B", 3)


def test_an_answer_filled_from_the_prior_is_marked():
    found = facts(TOYS, toy_runs())
    fourth = next(one for one in found.questions if one.question.id == "q4")
    assert dict(zip(found.runs, zip(fourth.sent, fourth.read, strict=True), strict=True))["soft"] == ("A", False)


def test_members_agree_on_what_both_read_and_a_vote_is_no_member():
    (pair,) = facts(TOYS, toy_runs()).agreements
    assert ({pair.one, pair.other}, pair.share, pair.n) == ({"good", "soft"}, pytest.approx(2 / 3), 3)


def test_a_vote_is_compared_with_its_members_and_with_what_they_could_reach():
    (gain,) = facts(TOYS, toy_runs()).gains
    assert gain.oracle == 0.75
    assert {pair.second: pair.difference for pair in gain.pairs} == {"good": 0.0, "soft": 0.5}


def test_letters_are_counted_over_questions_with_choices_beside_the_answers():
    found = facts(TOYS, toy_runs())
    assert [(row.letter, row.gold) for row in found.letters] == [("A", 0.5), ("B", 0.5), ("C", 0.0)]
    assert found.letters[2].runs[found.runs.index("soft")] == 0.25


def test_only_runs_with_probabilities_have_a_reliability_diagram():
    (one,) = facts(TOYS, toy_runs()).reliabilities
    assert (one.run, one.n) == ("soft", 3)


def test_scores_by_subject_are_those_of_the_submission():
    found = facts(TOYS, toy_runs())
    assert {row.subject: (row.n, [one.score.value for one in row.scores]) for row in found.subjects} == {
        "fruit": (2, [1.0, 1.0, 0.5]),
        "tool": (2, [0.5, 0.5, 0.0]),
    }


def test_of_many_runs_the_best_twenty_are_analysed():
    runs = [make_run(f"r{number}", TOYS, toy_runs()[number % 2].ballots, number) for number in range(23)]
    assert len(facts(TOYS, runs).runs) == 20


def test_the_parts_are_counted_or_assumed_or_not_known():
    rows = [
        SolvedRow(id="a", answer="A", usage="Public"),
        SolvedRow(id="b", answer="A", usage="Private"),
        SolvedRow(id="c", answer="A", usage="Private"),
        SolvedRow(id="d", answer="A", usage="Ignored"),
    ]
    assert find_parts(rows) == Parts(1, 2, False)
    assert find_parts([SolvedRow(id="a", answer="A"), SolvedRow(id="b", answer="B")]) is None
    assert assume_parts(1000, 0.3) == Parts(300, 700, True)
    assert assume_parts(1) is None


def test_the_expected_shakeup_is_the_spread_that_draws_show():
    draw, parts = random.Random(1), Parts(80, 200, False)

    def mean(size):
        return sum(draw.random() < 0.6 for _ in range(size)) / size

    held, public, private = ([mean(size) for _ in range(2000)] for size in (150, 80, 200))

    def spread(ones, others):
        gaps = [one - other for one, other in zip(ones, others, strict=True)]
        return math.sqrt(sum(gap * gap for gap in gaps) / len(gaps))

    expected = estimate_shakeup(
        Score(value=0.6, error=math.sqrt(0.24 / 150), low=None, high=None, n=150, unread=0), parts
    )
    assert expected
    assert expected.public == pytest.approx(spread(public, held), rel=0.06)
    assert expected.private == pytest.approx(spread(private, public), rel=0.06)
    assert estimate_shakeup(Score(value=1.0, error=None, low=None, high=None, n=1, unread=0), parts) is None


def test_choosing_the_best_of_several_runs_overstates_it_by_the_mean_of_the_largest_normal():
    assert estimate_selection_bias(1.0, 1) == pytest.approx(0.0, abs=1e-6)
    assert estimate_selection_bias(1.0, 2) == pytest.approx(1 / math.sqrt(math.pi), abs=1e-6)
    assert estimate_selection_bias(0.5, 1000) == pytest.approx(0.5 * 3.2414, abs=1e-3)  # Harter (1961)


def test_control_characters_are_shown_and_long_text_is_cut():
    assert make_printable("a\0b\x7f\n\t\ud800") == "a\N{SYMBOL FOR NULL}b\N{SYMBOL FOR DELETE}\n\t?"
    assert make_printable("x" * 1234, 10) == "xxxxxxxxxx … (1,224 more characters)"
    assert make_printable("x" * 10, 10) == "x" * 10


HOSTILE = [
    "</script><script>document.documentElement.dataset.ran = 1; alert(1)</script>",
    '<img src=x onerror="document.documentElement.dataset.ran = 1; alert(2)">',
    "<svg onload=alert(3)><style>*{display:none}</style>",
    '"><a href="javascript:alert(4)" autofocus onfocus=alert(5)>click</a>',
    "' onmouseover='alert(6)",
    "<img src=http://127.0.0.1:{port}/pixel><link rel=stylesheet href=http://127.0.0.1:{port}/style>",
    '<meta http-equiv=refresh content="0;url=http://127.0.0.1:{port}/away"><base href=http://127.0.0.1:{port}/>',
    "<iframe srcdoc='<script>parent.document.documentElement.dataset.ran = 1</script>'></iframe>",
    "{{ 7 * 7 }} {% raw %} {# no comment #} ${7*7}",
    "<!-- ]]> --> &lt;b&gt; &amp;",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u2028 next \u2029 line",
    "W" * 10_000,
    "nul \0 bell \x07 escape \x1b[31m",
    "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 中文 العربية 한국어",
    "$x^2$ \\alpha $unclosed_{",
    "__proto__",
]


def hostile_facts(port=1):
    texts = [text.replace("{port}", str(port)) for text in HOSTILE]
    questions = [
        Question(
            id=f"{number} {text[:200]}",
            text=text,
            choices=(text, "y", text[::-1] + "."),
            answer="AB"[number % 2],
            subject=text[:300],
            group=None,
            context=text,
        )
        for number, text in enumerate(texts)
    ]
    draw = random.Random(3)
    runs = []
    for number, text in enumerate([*texts, "\ud800 lone"]):
        ballots = {q.id: {draw.choice("ABC"): 0.8, "A": 0.2} if draw.random() < 0.9 else {} for q in questions}
        more = {"members": (texts[0], texts[1])} if number == 2 else {}
        runs.append(make_run(text, questions, ballots, number, commit=text, when=text, public=0.4, **more))
    return collect_facts(
        texts[0], make_leaderboard([run.entry for run in runs]), questions, runs, Parts(100, 200, True)
    )


@pytest.fixture(scope="module")
def toy_page():
    return render_page(facts(TOYS, toy_runs(), Parts(10, 20, False)))


@pytest.fixture(scope="module")
def hostile_page():
    return render_page(hostile_facts()).html


def test_foreign_text_makes_no_markup(hostile_page):
    assert hostile_page.count("<script>") == 1  # ours; the other holds JSON
    assert hostile_page.count("<script") == hostile_page.count("</script>") == 2
    assert not re.search(r"<(img|iframe|link|base|a href=.javascript)", hostile_page)
    data = re.search(r'<script type="application/json" id="questions-data">(.*?)</script>', hostile_page, re.S)
    assert data
    assert not set("<>&\u2028\u2029") & set(data[1])
    texts = {question[3] for question in json.loads(data[1])["questions"]}
    assert texts == {make_printable(text.replace("{port}", "1"), 600) for text in HOSTILE}


def test_the_policy_allows_our_script_and_style_alone_and_no_attribute_needs_more(hostile_page):
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', hostile_page)
    assert found
    policy = found[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    outside_data = re.sub(r"<script.*?</script>", "", hostile_page, flags=re.S)
    assert not re.search(r"<[^>]* style=", outside_data)


def test_the_page_is_the_same_bytes_for_the_same_facts(toy_page):
    assert render_page(facts(TOYS, toy_runs(), Parts(10, 20, False))) == toy_page


def test_a_chart_takes_its_colours_from_the_page_and_has_an_alternative(toy_page):
    for chart in toy_page.charts:
        assert "#0b5cad" not in chart.svg
        assert "<style" not in chart.svg
        assert f'aria-labelledby="{chart.name}-title"' in chart.svg
        assert chart.alt
        assert chart.png.startswith(b"\x89PNG")


def test_without_answers_on_disk_the_leaderboard_is_still_shown():
    board = make_leaderboard([run.entry for run in toy_runs()])
    page = render_page(collect_facts("toys", board, [], [], None)).html
    assert "no longer on disk" in page
    assert "not known here" in page
    assert 'id="questions-data"' not in page


def test_a_question_without_choices_or_subject_and_a_run_alone_make_a_page():
    open_question = [
        Question(id="n1", text="how many?", choices=(), answer="42"),
        Question(id="n2", text="how much?", choices=(), answer="7"),
    ]
    alone = make_run("alone", open_question, {"n1": {"42": 1.0}, "n2": {"8": 1.0}})
    page = render_page(facts(open_question, [alone])).html
    assert "By subject" not in page
    assert "Letters" not in page


@pytest.mark.parametrize("metric", ["map@3", "macro-f1", "log-loss"])
def test_every_metric_makes_a_page_with_the_better_run_first(metric):
    runs = [
        make_run(name, TOYS, ballots, metric=metric, competition="toys")
        for name, ballots in (
            ("worse", {question.id: {"B": 0.6, "A": 0.4} for question in TOYS}),
            ("better", {question.id: {question.answer: 0.6, "A": 0.4} for question in TOYS}),
        )
    ]
    found = facts(TOYS, runs, Parts(10, 20, False))
    assert found.runs == ("better", "worse")
    assert (found.comparison.pairs[0].first, found.comparison.pairs[0].second) == ("better", "worse")
    page = render_page(found).html
    assert f"<dt>Held-out {metric}</dt>" in page
    assert f"toys: held-out {metric}{', lower is better' if metric == 'log-loss' else ''}. Data d1" in page
    assert ("lower is better" in page) == (metric == "log-loss")


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("name", "least"), [("ink", 7), ("muted", 4.5), ("accent", 4.5), ("band", 2.8)])
def test_colours_contrast_with_the_paper_in_light_and_dark(name, least):
    schemes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]+);", block))
        for block in re.findall(r":root {(.*?)}", STYLE.read_text(), re.S)
    ]
    for scheme in schemes[:2]:
        full = {
            key: value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:])
            for key, value in scheme.items()
        }
        low, high = sorted(luminance(full[key]) for key in (name, "paper"))
        assert (high + 0.05) / (low + 0.05) >= least  # WCAG 2.2, 1.4.3 and 1.4.11


# ---- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def server():
    """A server that counts who comes: nobody may."""
    asked = []

    class Counted(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Counted)
    Thread(target=http.serve_forever, daemon=True).start()
    yield http.server_port, asked
    http.shutdown()


def opened(browser, tmp_path, html, **how):
    path = tmp_path / "index.html"
    path.write_text(html, encoding="utf-8")
    browser.open(path.as_uri(), **how)
    return path.as_uri()


@needs_chromium
def test_hostile_text_runs_nothing_and_requests_nothing(browser, server, tmp_path):
    port, asked = server
    url = opened(browser, tmp_path, render_page(hostile_facts(port)).html)
    seen = "[...document.querySelectorAll('#questions-body .words > .text')].map((one) => one.textContent)"
    texts = browser.ask(seen)
    assert sorted(texts) == sorted(make_printable(text.replace("{port}", str(port)), 600) for text in HOSTILE)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; }), 1")
    assert browser.ask("document.documentElement.dataset.ran") is None
    assert browser.ask("document.images.length + document.querySelectorAll('iframe, link, base').length") == 0
    assert browser.told("Page.javascriptDialogOpening") == []
    assert {event["request"]["url"] for event in browser.told("Network.requestWillBeSent")} == {url}
    assert browser.told("Log.entryAdded") == browser.told("Runtime.exceptionThrown") == []
    assert asked == []


@needs_chromium
def test_the_policy_stops_injected_markup(browser, server, tmp_path, toy_page):
    port, asked = server
    evil = HOSTILE[0].removeprefix("</script>") + HOSTILE[1] + HOSTILE[5].replace("{port}", str(port))
    page = toy_page.html.replace("<main", f"{evil}<main")
    opened(browser, tmp_path, page)
    assert browser.ask("document.images.length") == 2  # it did get in
    assert len(browser.told("Log.entryAdded")) >= 3  # and was refused
    assert browser.ask("document.documentElement.dataset.ran") is None
    assert browser.told("Page.javascriptDialogOpening") == []
    assert asked == []


@needs_chromium
def test_the_page_is_light_in_light_mode_and_dark_in_dark_mode(browser, tmp_path, toy_page):
    from matplotlib.image import imread

    brightness = []
    for dark in (False, True):
        opened(browser, tmp_path, toy_page.html, dark=dark)
        browser.photograph(tmp_path / "page.png")
        brightness.append(imread(tmp_path / "page.png").mean())
    assert brightness[0] > 0.85
    assert brightness[1] < 0.35


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_only_tables_scroll_sideways(browser, tmp_path, hostile_page, dark):
    opened(browser, tmp_path, hostile_page, width=360, height=740, dark=dark)
    assert browser.ask("[innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    colour = browser.ask("getComputedStyle(document.querySelector('figure svg text')).fill")
    light = all(int(part) > 128 for part in re.findall(r"\d+", colour)[:3])
    assert light == dark


def column(browser, number):
    return browser.ask(
        f"[...document.querySelectorAll('#ledger tbody tr')].map((row) => row.cells[{number}].innerText)"
    )


@needs_chromium
def test_the_ledger_sorts_by_a_heading_and_says_so(browser, tmp_path, toy_page):
    opened(browser, tmp_path, toy_page.html)
    assert column(browser, 0) == ["good", "both", "soft"]
    score = "document.querySelectorAll('#ledger thead th')[2]"
    browser.ask(f"{score}.querySelector('button').click()")
    assert column(browser, 0) == ["soft", "good", "both"]
    assert browser.ask(f"{score}.getAttribute('aria-sort')") == "ascending"
    browser.ask(f"{score}.querySelector('button').click()")
    assert column(browser, 0) == ["good", "both", "soft"]
    assert browser.ask("document.querySelectorAll('#ledger [aria-sort]').length") == 1


@needs_chromium
def test_questions_are_found_by_word_by_subject_and_by_who_is_wrong(browser, tmp_path, toy_page):
    opened(browser, tmp_path, toy_page.html)

    def found(**chosen):
        for name, value in chosen.items():
            browser.ask(
                f"(() => {{ const one = document.getElementById('filter-{name}'); one.value = {json.dumps(value)};"
                "one.dispatchEvent(new Event('input')); one.dispatchEvent(new Event('change')); })()"
            )
        return browser.ask("[...document.querySelectorAll('#questions-body th bdi')].map((one) => one.textContent)")

    assert found() == ["q3", "q2", "q4", "q1"]
    assert found(words="FOUR?") == ["q4"]
    assert found(words="no such thing") == []
    assert "No question" in browser.ask("document.getElementById('questions-status').textContent")
    assert found(words="", subject="1") == ["q3", "q4"]
    assert found(subject="", answers="none") == ["q3"]
    assert found(answers="differ") == ["q2"]
    assert found(answers="unread") == ["q4"]
    assert found(answers="2") == ["q3", "q2", "q4"]  # soft is wrong


@needs_chromium
def test_many_questions_come_a_page_at_a_time(browser, tmp_path):
    questions = [
        Question(id=f"q{number:03}", text=f"{number}?", choices=("x", "y"), answer="A") for number in range(60)
    ]
    run = make_run("one", questions, {question.id: {"A": 1.0} for question in questions})
    opened(browser, tmp_path, render_page(facts(questions, [run])).html)
    status, rows = (
        "document.getElementById('questions-status').textContent",
        "document.querySelectorAll('#questions-body tr').length",
    )
    assert (browser.ask(status), browser.ask(rows)) == ("1–25 of 60 questions", 25)
    browser.ask("document.getElementById('later').click(), document.getElementById('later').click()")
    assert (browser.ask(status), browser.ask(rows)) == ("51–60 of 60 questions", 10)
    assert browser.ask("[earlier.disabled, later.disabled]") == [False, True]


@needs_chromium
def test_a_screen_reader_finds_landmarks_captions_and_names(browser, tmp_path, hostile_page):
    opened(browser, tmp_path, hostile_page)
    assert browser.ask("document.documentElement.lang") == "en"
    assert (
        browser.ask("['main', 'h1', 'header', 'nav', 'footer'].map((tag) => document.querySelectorAll(tag).length)")
        == [1] * 5
    )
    assert (
        browser.ask("[...document.querySelectorAll('table')].filter((one) => !one.caption?.textContent.trim()).length")
        == 0
    )
    assert browser.ask("document.querySelectorAll('th:not([scope])').length") == 0
    assert (
        browser.ask("[...document.querySelectorAll('svg')].filter((one) => one.getAttribute('role') !== 'img').length")
        == 0
    )
    ids = browser.ask("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    pointed = browser.ask(
        "[...document.querySelectorAll('[aria-labelledby]')].map((one) => one.getAttribute('aria-labelledby'))"
    )
    assert pointed
    assert set(pointed) <= set(ids)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    spoken = {"region", "img", "button", "searchbox", "combobox", "table", "navigation", "search", "link"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in spoken and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []


@needs_chromium
def test_controls_are_not_printed(browser, tmp_path, toy_page):
    opened(browser, tmp_path, toy_page.html, media="print", dark=True)
    assert (
        browser.ask("['nav', 'form', '.pager'].map((one) => document.querySelector(one).checkVisibility())")
        == [False] * 3
    )
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


# ---- the verb


def run_report(cwd, *arguments):
    return run_verb("report", *arguments, cwd=cwd)


FRUIT = "apple pear plum fig cherry lemon melon grape peach quince mango olive date lime kiwi guava"


def competition(folder):
    """A folder as quorum submit leaves it: a split, a ledger, and one run's answers."""
    from quorum.competition.folder import find_competition
    from quorum.competition.prepare import prepare_competition
    from quorum.competition.record import record_run
    from quorum.competition.run import CompetitionRun, run_prior
    from quorum.competition.workspace import Workspace
    from quorum.files.run_folder import RunFolder

    (folder / "toys").mkdir()
    rows = [(f"k{n}", f"Is the {name} in basket {n * n} ripe?", "AB"[n % 2]) for n, name in enumerate(FRUIT.split())]
    train = [f"{id},{text},\"['yes', 'no']\",{answer}" for id, text, answer in rows]
    (folder / "toys" / "train.csv").write_text("id,question,choices,answer\n" + "\n".join(train) + "\n")
    (folder / "toys" / "test.csv").write_text(
        "id,question,choices\nt1,What?,\"['yes', 'no']\"\nt2,Why?,\"['yes', 'no']\"\n"
    )
    prepared = prepare_competition(find_competition(folder / "toys"), Workspace(), 0.5, 42)
    out = Path("runs/toys/mine")
    for part, questions in (("test", prepared.test), ("heldout", prepared.held_out)):
        write_answers(make_answers("mine", {q.id: {"A": 0.6, "B": 0.4} for q in questions}), out / f"{part}.parquet")
    mine = CompetitionRun(name="mine", folder=RunFolder(out), config={}, seconds=2.0)
    for run in (run_prior(prepared), mine):
        append_entry(prepared.workspace.ledger, record_run(prepared, run))
    return len(prepared.held_out)


def test_quorum_report_writes_one_page_and_its_charts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held_out = competition(tmp_path)
    done = run_report(tmp_path, "toys", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["files"][0] == "build/report/index.html"
    assert all((tmp_path / file).stat().st_size > 1000 for file in told["files"])
    assert len(told["facts"]["questions"]) == held_out
    assert set(told["facts"]["runs"]) == {"mine", "prior"}
    answers = tmp_path / "runs" / "toys" / "mine" / "heldout.csv"
    answers.write_text(answers.read_text().replace(",A", ",B", 1))
    again = run_report(tmp_path, "toys")
    assert again.returncode == 0
    assert "these are not the answers that the ledger scored as 'mine'" in again.stderr
    (tmp_path / "toys" / "train.csv").open("a").write("k99,New?,\"['yes', 'no']\",A\n")
    changed = run_report(tmp_path, "toys")
    assert (changed.returncode, changed.stdout) == (2, "")
    assert "no submission for the current toys/train.csv" in changed.stderr


def test_without_a_ledger_quorum_report_says_how_to_make_one(tmp_path):
    (tmp_path / "toys").mkdir()
    for name in ("train", "test"):
        (tmp_path / "toys" / f"{name}.csv").write_text("id,question,A,B,answer\n1,x?,y,z,A\n")
    done = run_report(tmp_path, "toys")
    assert done.returncode == 2
    assert "quorum submit" in done.stderr
    assert "Traceback" not in done.stderr
