"""The report's charts: rows of dots with intervals, bars, and reliability curves; each is drawn once."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from quorum.evaluation.certainty import compute_wilson_interval
from quorum.evaluation.report.facts import Reliability
from quorum.evaluation.report.svg import ACCENT, BAND, FAINT, INK, MUTED, PAPER, make_inline_svg

WIDTH = 360  # points: charts are as wide as a phone, and grow by half at most
_ROW, _FONT_SIZE, _FOOT = 21, 12.0, 42  # points: a row's height, the font's, what the axis takes
_TALL = 1.1  # times as high as wide: such a chart stands alone
_LONGEST_NAME = 20
_PNG_DPI = 200
_CHART_STYLE: Any = {
    "font.size": _FONT_SIZE,
    "text.parse_math": False,  # a run may be called $x$
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "figure.facecolor": PAPER,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as SVG for the page and as PNG for elsewhere; `alt` says in a sentence what it shows."""

    name: str
    alt: str
    svg: str
    png: bytes
    tall: bool


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row: a dot at `value`, a line for its interval, a grey band, a tick, and what is written at the end."""

    name: str
    value: float | None
    said: str
    interval: tuple[float, float] | None = None
    band: tuple[float, float] | None = None
    tick: float | None = None
    strong: bool = False


def draw_dot_chart(name: str, alt: str, axis: str, rows: Sequence[DotRow], line: float | None = None) -> Chart:
    """Rows of dots from the top down over one axis; `line` is where a vertical line stands."""
    with rc_context(_CHART_STYLE):
        height = _FOOT + _ROW * len(rows)
        names = [_short(row.name) for row in rows]
        left, right = 14 + _widest(names), 12 + _widest([row.said for row in rows])
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        axes = figure.add_axes(
            (left / WIDTH, _FOOT / height, (WIDTH - left - right) / WIDTH, _ROW * len(rows) / height)
        )
        half = _widest([axis]) / 2 + 2  # where names are long the plot is narrower than its caption
        middle = min(max((left + WIDTH - right) / 2, half), WIDTH - half)
        figure.text(middle / WIDTH, 6 / height, axis, ha="center", color=MUTED)
        if line is not None:
            axes.axvline(line, color=FAINT, linewidth=1)
        for place, row in enumerate(rows):
            _draw_row(axes, place, row)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.margins(x=0.04)
        axes.locator_params(axis="x", nbins=4 if left + right < WIDTH * 2 / 3 else 2)
    return _chart_of(figure, name, alt)


def draw_bar_chart(name: str, alt: str, axis: str, bars: Sequence[tuple[str, int]]) -> Chart:
    """A bar for each count, which stands above it."""
    with rc_context(_CHART_STYLE):
        figure = Figure(figsize=(WIDTH / 72, 170 / 72), dpi=72)
        axes = figure.add_axes((0.02, 0.24, 0.96, 0.66))
        axes.bar(range(len(bars)), [count for _, count in bars], color=ACCENT, width=0.7)
        for place, (_, count) in enumerate(bars):
            axes.text(place, count, f"{count:,}", ha="center", va="bottom")
        axes.set_xticks(range(len(bars)), [told for told, _ in bars])
        axes.set_yticks([])
        axes.set_xlabel(axis)
        axes.tick_params(length=0)
    return _chart_of(figure, name, alt)


def draw_reliability_chart(name: str, alt: str, found: Sequence[Reliability]) -> Chart:
    """A panel for each run: accuracy against sureness with Wilson intervals; the larger a dot the more questions."""
    columns, side = 2, WIDTH / 2
    lines = -(-len(found) // columns)
    with rc_context(_CHART_STYLE):
        figure = Figure(figsize=(WIDTH / 72, lines * side / 72), dpi=72)
        for place, one in enumerate(found):
            across, down = place % columns, place // columns
            box = (across / columns + 0.09, 1 - (down + 0.82) / lines, 0.38, 0.68 / lines)
            _draw_reliability(figure.add_axes(box), one, last=place >= len(found) - columns)
    return _chart_of(figure, name, alt)


def _draw_row(axes: Any, place: int, row: DotRow) -> None:
    colour = ACCENT if row.strong else MUTED
    if row.band:
        axes.plot(row.band, [place, place], color=BAND, linewidth=3, solid_capstyle="butt", zorder=1)
    if row.interval:
        axes.plot(row.interval, [place, place], color=colour, linewidth=1.5, solid_capstyle="butt", zorder=2)
    if row.tick is not None:
        axes.plot([row.tick, row.tick], [place - 0.32, place + 0.32], color=INK, linewidth=1.5, zorder=3)
    if row.value is not None:
        axes.plot([row.value], [place], "o", color=colour, markersize=6.5, zorder=4)
    said = axes.annotate(
        row.said,
        (1, place),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center_baseline",
    )
    said.set_color(INK)


def _draw_reliability(axes: Any, one: Reliability, last: bool) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=1)
    for here in one.bins:
        low, high = compute_wilson_interval(here.accuracy, None, [None] * here.count)
        axes.plot([here.confidence] * 2, [low, high], color=ACCENT, linewidth=1, zorder=2)
    most = max(here.count for here in one.bins)
    axes.scatter(
        [here.confidence for here in one.bins],
        [here.accuracy for here in one.bins],
        s=[12 + 50 * here.count / most for here in one.bins],
        color=ACCENT,
        zorder=3,
        clip_on=False,
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_title(_short(one.run), fontsize=_FONT_SIZE, loc="left")
    if last:
        axes.set_xlabel("how sure")


def _chart_of(figure: Figure, name: str, alt: str) -> Chart:
    png = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box in the PNG; the page has the reader's own fonts
        figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
        svg = make_inline_svg(figure, name, alt)
    width, height = figure.get_size_inches()
    return Chart(name, alt, svg, png.getvalue(), bool(height > _TALL * width))


def _widest(texts: Sequence[str]) -> float:
    """The widest text's points in a font that is wider than most: readers' own fonts then have room as well."""
    return max(float(TextPath((0, 0), text, size=_FONT_SIZE).get_extents().width) for text in texts)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
