"""The drawings of a report, as SVG that stands in a page and takes its colours from it.

What is drawn in `INK` becomes the page's colour of text, so that one file can be read on light and
on dark ground. Knows curves and counts, not what they mean. One thread.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter

from atlas.search.curve import Curve
from indexer.report.record import StageRun

# Stand-ins: no other colour of a drawing is one of them.
INK, FAINT = "#010203", "#010204"
_IN_PAGE = {INK: "currentColor", FAINT: "var(--line)"}
# Okabe and Ito (2008): told apart by the colour-blind, and seen on white and on black.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_WIDTH_IN = 4.4
_MOST_BARS = 24


def svg_of(figure: Figure, name: str, title: str) -> str:
    """The figure as an SVG element; `name` makes its ids its own, `title` is read aloud."""
    FigureCanvasSVG(figure)
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    for colour, in_page in _IN_PAGE.items():
        text = text.replace(colour, in_page)
    # A tenth of a point is less than can be seen; more digits are most of the file.
    text = re.sub(r"(\d\.\d)\d+(?=[ \n\"])", r"\1", text)
    # The page says how wide it is.
    head, _, rest = text.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{title}">{rest}'


def figure_of(height_in: float) -> tuple[Figure, Axes]:
    """An empty figure whose text and lines follow the page."""
    with mpl.rc_context(
        {
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": FAINT,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.family": "sans-serif",
        }
    ):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots()
    axes.grid(visible=True, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def stacked_bars(
    names: Sequence[str], parts: Mapping[str, Sequence[int]], colours: Sequence[str], unit: str
) -> Figure:
    """A bar a name, of parts that add up; at most `_MOST_BARS` names, the first of them."""
    shown = min(len(names), _MOST_BARS)
    figure, axes = figure_of(1.1 + 0.24 * shown)
    left = [0] * shown
    for (part, values), colour in zip(parts.items(), colours, strict=False):
        here = list(values[:shown])
        axes.barh(range(shown), here, left=left, label=part, color=colour, height=0.7)
        left = [before + value for before, value in zip(left, here, strict=True)]
    axes.set_yticks(range(shown), [_short(name) for name in names[:shown]])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(unit)
    if len(parts) > 1:
        _legend(figure, columns=4)
    return figure


def throughput(stages: Sequence[StageRun]) -> Figure:
    """Units a second over the time of a run, a step line a stage; logarithmic, 1 and above."""
    figure, axes = figure_of(2.9)
    for number, stage in enumerate(stages):
        times, rates = [], []
        before_s, before = 0.0, 0
        # A rate between two points of one instant is none.
        for at_s, done in stage.points:
            if at_s - before_s < max(0.001, stage.took_s / 60):
                continue
            times += [stage.started_s + before_s, stage.started_s + at_s]
            rates += [(done - before) / (at_s - before_s)] * 2
            before_s, before = at_s, done
        if not times and stage.done and stage.took_s > 0:
            times = [stage.started_s, stage.started_s + stage.took_s]
            rates = [stage.done / stage.took_s] * 2
        axes.plot(
            times,
            rates,
            label=f"{stage.name}, {stage.unit}",
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
            linewidth=1.6,
        )
    axes.set_yscale("log")
    _plain(axes.yaxis)
    axes.set_xlabel("seconds since the run began")
    axes.set_ylabel("a second")
    _legend(figure)
    return figure


def recall(curve: Curve) -> Figure:
    """Recall against what a search looks at, a line a kind of query; the served setting marked."""
    figure, axes = figure_of(2.9)
    for number, kind in enumerate(sorted({point.queries for point in curve.points})):
        points = sorted(
            (p for p in curve.points if p.queries == kind and p.path == "index"),
            key=lambda point: (point.codes, point.fetch),
        )
        colour = COLOURS[number]
        by_fetch = sorted({point.fetch for point in points})
        for fetch in by_fetch:
            line = [point for point in points if point.fetch == fetch]
            axes.plot(
                [point.codes for point in line],
                [point.recall for point in line],
                color=colour,
                linewidth=1.3,
                marker="o",
                markersize=2.5,
                label=f"{kind} queries" if fetch == by_fetch[0] else None,
            )
        served = [p for p in curve.points if p.queries == kind and p.default and p.codes > 0]
        axes.plot(
            [point.codes for point in served],
            [point.recall for point in served],
            color=colour,
            marker="D",
            markersize=7,
            linestyle="none",
            markeredgecolor=INK,
        )
    axes.set_xscale("log")
    _plain(axes.xaxis)
    axes.set_xlabel("codes scored for a query (a line for each number of candidates)")
    axes.set_ylabel(f"recall@{curve.k}")
    _legend(figure)
    return figure


def _legend(figure: Figure, columns: int = 3) -> None:
    legend = figure.legend(
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handlelength=1.5,
        columnspacing=1.2,
    )
    for text in legend.get_texts():
        text.set_color(INK)


def _plain(axis: Axis) -> None:
    """Numbers of a logarithmic axis as people write them."""
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"
