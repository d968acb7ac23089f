"""The map of a report: how many rows came in from which cell, over land, as SVG.

Takes its ground from the page's colours. Knows cells and counts. One thread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from atlas.geo.cells import centres
from atlas.geo.land import Detail, land_at
from atlas.geo.outlines import Geometries, outlines, world_polygons
from atlas.geo.views import View, view_of
from indexer.report.contents import MapCells

# Stand-ins for colours of the page; see `drawings`.
LAND, SEA, SHORE = "#010205", "#010206", "#010207"
# Seen on light and on dark land, and in order in grey (viridis without its ends).
RAMP = ("#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#6ece58", "#d8e219")
_WIDTH_IN = 7.0
_LOW_SHORE_M = 12_000.0
_LEAST_PX = 1.2


class MapClass(NamedTuple):
    """Cells with `first` to `last` rows, in one colour."""

    first: int
    last: int
    colour: str


def classes_of(most: int) -> tuple[MapClass, ...]:
    """Classes of counts from 1 to `most`: powers of a base, so that there are at most seven."""
    base = 2 if most < 2 ** len(RAMP) else 10
    firsts = [base**power for power in range(len(RAMP)) if base**power <= max(most, 1)]
    colours = RAMP[len(RAMP) - len(firsts) :]
    lasts = [*(first - 1 for first in firsts[1:]), max(most, 1)]
    return tuple(map(MapClass, firsts, lasts, colours))


def draw(cells: MapCells, classes: tuple[MapClass, ...]) -> Figure:
    """The map of what came in; the whole earth where the cells lie far apart."""
    latitude, longitude = centres(cells.cells)
    view = view_of(latitude, longitude)
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * view.aspect))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(view.left, view.right)
    axes.set_ylim(view.bottom, view.top)
    axes.set_axis_off()
    frame = PathPatch(_compound([view.frame()]), facecolor=SEA, edgecolor="none", zorder=0)
    axes.add_patch(frame)
    ground, lakes = land_at(_detail(view)).areas(view.box)
    for order, (shapes, colour) in enumerate(((ground, LAND), (lakes, SEA)), 1):
        pieces = _large_enough(view, view.projected(shapes)[0])
        if len(pieces):
            patch = PathPatch(_compound(pieces), facecolor=colour, edgecolor=SHORE, linewidth=0.4)
            axes.add_patch(patch).set_zorder(order)
    for one in classes:
        inside = (cells.rows >= one.first) & (cells.rows <= one.last)
        if not inside.any():
            continue
        pieces, _ = world_polygons(outlines(cells.cells[inside]))
        shown, _ = view.projected(pieces)
        # One path a class: a file of thousands of elements takes seconds to show.
        patch = PathPatch(_compound(shown), facecolor=one.colour, edgecolor=one.colour)
        patch.set_linewidth(0.3)
        axes.add_patch(patch).set_zorder(3)
    for artist in axes.get_children():
        artist.set_clip_path(frame)
    return figure


def _detail(view: View) -> Detail:
    return "l" if view.width_m / 700.0 < _LOW_SHORE_M else "c"


def _large_enough(view: View, shapes: Geometries) -> Geometries:
    """Shapes that can be seen."""
    west, south, east, north = shapely.bounds(shapes).reshape(-1, 4).T
    least_m = _LEAST_PX * view.width_m / 700.0
    kept: Geometries = shapes[np.maximum(east - west, north - south) >= least_m]
    return kept


def _compound(shapes: Geometries | list[shapely.Geometry]) -> Path:
    rings: npt.NDArray[np.object_] = shapely.get_rings(np.asarray(shapes, dtype=object))
    return Path.make_compound_path(
        *(Path(shapely.get_coordinates(ring), closed=True) for ring in rings)
    )
