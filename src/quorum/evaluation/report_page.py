"""Render the report as one HTML page with charts."""

from dataclasses import dataclass

from quorum.evaluation.report.charts import Chart
from quorum.evaluation.report.fact_charts import draw_charts, draw_ladder_chart
from quorum.evaluation.report.page import render_html
from quorum.evaluation.report_extras import LadderTable, LoadViews
from quorum.evaluation.report_facts import Facts


@dataclass(frozen=True, slots=True)
class Page:
    """The report: an HTML page that needs no other file, and its charts for use elsewhere."""

    html: str
    charts: tuple[Chart, ...]


def render_page(facts: Facts, load_views: LoadViews | None = None) -> Page:
    """Draw the charts and render the page; `load_views` gives what the models saw and replied."""
    charts = draw_charts(facts)
    return Page(render_html(facts, charts, load_views), tuple(charts))


def draw_ladder(ladder: LadderTable) -> Chart | None:
    """Draw the gains of a ladder's stages; return None if no stage was tried."""
    return draw_ladder_chart(ladder)
