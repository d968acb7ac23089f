"""Drawings of the performance page: recall and latency by selectivity, a line a system.

The same records give the same bytes. Needs matplotlib, of the extra `bench`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.bars import Record, steady
from benchmarks.systems import SYSTEMS, built_as, variants_of

_FILTERS = ("random", "own_taxon", "other_taxon")
_COLOURS = ("#1b6e53", "#c4632b", "#5b6ca8", "#a83f6f", "#7a7a1f", "#555555", "#2f9fb0")
_DASHES = ("-", "--", "-.", ":", (0, (4, 1, 1, 1, 1, 1)), (0, (6, 2)))


def draw(records: Sequence[Record], systems: Sequence[str], kind: str, path: Path) -> None:
    """Recall above, median latency below, one column a filter, for one kind of query."""
    with mpl.rc_context({"svg.hashsalt": "atlas", "font.size": 8, "axes.spines.top": False}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        grid = figure.subplots(2, len(_FILTERS), sharex="col", sharey="row", squeeze=False)
        for column, name in enumerate(_FILTERS):
            for system in systems:
                points = sorted(
                    (record["selectivity"], record["recall_at_10"], record["p50_ms"])
                    for record in steady(records, system)
                    if record["filter"] == name
                    and record["queries"] == kind
                    and record["recall_at_10"] is not None
                )
                if points:
                    shares, recalls, times_ms = zip(*points, strict=True)
                    style = _style(system)
                    grid[0, column].plot(shares, recalls, label=system, **style)
                    grid[1, column].plot(shares, times_ms, label=system, **style)
            _dress(grid[0, column], grid[1, column], name)
        grid[0, 0].set_ylabel("recall@10")
        grid[1, 0].set_ylabel("p50, ms")
        handles = {label: line for axes in grid[0] for line, label in _labelled(axes)}
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=7, frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _style(system: str) -> dict[str, Any]:
    """A colour for each system, and one dash for each way of asking it."""
    plain = [name for name in SYSTEMS if built_as(name) == name]
    return {
        "color": _COLOURS[plain.index(built_as(system))],
        "linestyle": _DASHES[variants_of(built_as(system)).index(system)],
        "marker": "o",
        "markersize": 3,
    }


def _labelled(axes: Axes) -> list[tuple[Any, str]]:
    return list(zip(*axes.get_legend_handles_labels(), strict=True))


def _dress(above: Axes, below: Axes, name: str) -> None:
    above.set_title(name.replace("_", " "))
    above.set_ylim(-0.02, 1.02)
    below.set_xscale("log")
    below.set_yscale("log")
    below.set_xlabel("share of rows that pass")
