"""Draws a map as a PNG: land, cells in colours, a legend, lines of text around it.

Knows shapes, colours and words, not what they mean. Matplotlib keeps caches of fonts that threads
must not share, so drawing is behind a lock: one picture at a time.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from atlas.geo.land import Detail, land_at
from atlas.geo.outlines import Cells, Geometries, outlines, world_polygons
from atlas.geo.views import View
from atlas.species.map_furniture import draw_graticule, draw_scale_bar
from atlas.species.map_text import Lines, Style, TextBlock, wrapped

SEA, LAND, SHORE, FRAME, INK, FAINT = (
    "#e9f0f5", "#fffdf7", "#7d8c9a", "#7d8c9a", "#1d2733", "#4c5763",
)  # fmt: skip
DPI = 100
# Metres of ground a pixel: below this a finer coastline can be seen.
_FINE_SHORE_M, _LOW_SHORE_M = 2_500.0, 12_000.0
# Islands and lakes that are smaller are not drawn.
_LEAST_PX = {LAND: 1.2, SEA: 5.0}
_LOCK = threading.Lock()


class Swatch(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a legend; `edge` colours its outline where it has one."""

    label: str
    colour: str
    edge: str | None = None


class LegendColumn(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a legend under one heading."""

    heading: str
    swatches: list[Swatch]


class CellLayer(NamedTuple):
    """Cells drawn in one colour; `edge` outlines them."""

    cells: Cells
    colour: str
    edge: str | None = None


class Sheet(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that is on a picture: layers from below to above, and words.

    `title` is set in italics where `italic`; `notes` are below the legend, one paragraph each.
    """

    view: View
    title: str
    italic: bool
    subtitle: str
    layers: list[CellLayer]
    legend: list[LegendColumn]
    notes: list[str]


def draw_png(sheet: Sheet, width: int) -> bytes:
    """The sheet as a PNG of `width` pixels; its height follows from what is on it."""
    with _LOCK:
        return _Page(sheet, width).png()


class _Page:
    """One picture being laid out, from the top down; all lengths are pixels."""

    def __init__(self, sheet: Sheet, width: int) -> None:
        self._sheet = sheet
        self._width = width
        self._body_px = max(10.0, 0.0135 * width) if width >= 400 else max(6.5, width / 40.0)
        self._margin = 1.2 * self._body_px
        self._inner = width - 2.0 * self._margin
        self._map_height = self._inner * sheet.view.aspect
        self._blocks: list[tuple[float, TextBlock]] = []
        self._boxes: list[tuple[float, float, Swatch]] = []
        self._map_top = 0.0

    def png(self) -> bytes:
        """Lay out, then draw."""
        height = self._laid_out()
        figure = Figure(figsize=(self._width / DPI, height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes(
            (
                self._margin / self._width,
                1.0 - (self._map_top + self._map_height) / height,
                self._inner / self._width,
                self._map_height / height,
            )
        )
        self._draw_map(axes)
        for left, top, swatch in self._boxes:
            figure.add_artist(self._box(left, top, height, swatch))
        for top, block in self._blocks:
            block.draw(figure, self._width, height, top)
        written = io.BytesIO()
        figure.savefig(
            written, format="png", metadata={"Title": self._sheet.title, "Software": None}
        )
        return written.getvalue()

    def _laid_out(self) -> int:
        """Place everything; returns the height of the whole."""
        sheet, body = self._sheet, self._body_px
        top = self._margin
        style: Style = "italic" if sheet.italic else "normal"
        top = self._text(sheet.title, top, size=1.7 * body, style=style, colour=INK)
        top = self._text(sheet.subtitle, top + 0.2 * body, size=body, colour=FAINT)
        self._map_top = top + 0.6 * body
        top = self._legend(self._map_top + self._map_height + 0.9 * body)
        for note in sheet.notes:
            top = self._text(note, top + 0.45 * body, size=0.88 * body, colour=FAINT)
        return round(top + self._margin)

    def _text(
        self, text: str, top: float, *, size: float, colour: str, style: Style = "normal"
    ) -> float:
        """Place a paragraph across the page; returns where it ends."""
        lines = wrapped(text, size, self._inner, style)
        block = TextBlock(lines, self._margin, size, colour, style)
        self._blocks.append((top, block))
        return top + block.height

    def _legend(self, top: float) -> float:
        """Columns of swatches, beside each other as long as there is room."""
        body = self._body_px
        box, gap = 1.5 * body, 0.5 * body
        left, bottom = self._margin, top
        for column in self._sheet.legend:
            entries = [swatch.label for swatch in column.swatches]
            room = self._inner - box - gap
            heading = wrapped(column.heading, body, self._inner, "normal")
            labels: list[Lines] = [wrapped(entry, body, room, "normal") for entry in entries]
            across = max(heading.width, *(box + gap + label.width for label in labels))
            if left > self._margin and left + across > self._margin + self._inner:
                left, top = self._margin, bottom + gap
            here = top
            block = TextBlock(heading, left, body, INK, "normal")
            self._blocks.append((here, block))
            here += block.height + 0.25 * body
            for swatch, label in zip(column.swatches, labels, strict=True):
                block = TextBlock(label, left + box + gap, body, FAINT, "normal")
                self._boxes.append((left, here, swatch))
                self._blocks.append((here, block))
                here += block.height + 0.1 * body
            bottom = max(bottom, here)
            left += across + 2.2 * body
        return bottom

    def _box(self, left: float, top: float, height: int, swatch: Swatch) -> Rectangle:
        body = self._body_px
        return Rectangle(
            (left / self._width, 1.0 - (top + 1.15 * body) / height),
            1.5 * body / self._width,
            0.95 * body / height,
            facecolor=swatch.colour,
            edgecolor=swatch.edge or "#b5bcc4",
            linewidth=(1.4 if swatch.edge else 0.5) * body / 13.0,
        )

    def _draw_map(self, axes: Axes) -> None:
        view = self._sheet.view
        axes.set_xlim(view.left, view.right)
        axes.set_ylim(view.bottom, view.top)
        axes.set_axis_off()
        line = self._body_px / 13.0
        detail = self._detail(view)
        frame = PathPatch(_compound([view.frame()]), facecolor=SEA, edgecolor="none", zorder=0)
        axes.add_patch(frame)
        ground, lakes = land_at(detail).areas(view.box)
        for shapes, colour, order in ((ground, LAND, 1), (lakes, SEA, 2)):
            pieces = self._large_enough(view.projected(shapes)[0], _LEAST_PX[colour])
            if len(pieces):
                patch = PathPatch(_compound(pieces), facecolor=colour, edgecolor=SHORE)
                patch.set_linewidth(0.0 if colour == LAND else 0.3 * line)
                axes.add_patch(patch).set_zorder(order)
        for order, layer in enumerate(self._sheet.layers):
            self._draw_cells(axes, layer, 3 + order, line)
        shores = land_at(detail).coastline(view.box, lakes=False)
        drawn, _ = view.projected(np.array([shapely.linestrings(shore) for shore in shores]))
        drawn = self._large_enough(drawn, _LEAST_PX[LAND])
        coast = LineCollection(_lines(drawn), colors=SHORE, linewidths=0.55 * line, zorder=50)
        axes.add_collection(coast, autolim=False)
        draw_graticule(axes, view, size_px=0.8 * self._body_px, line=line, colour="#a9b7c4")
        if not view.whole_earth:
            draw_scale_bar(axes, view, size_px=0.85 * self._body_px, line=line, colour=INK)
        for artist in axes.get_children():
            artist.set_clip_path(frame)
        edge = PathPatch(_compound([view.frame()]), facecolor="none", edgecolor=FRAME, zorder=90)
        edge.set_linewidth(0.8 * line)
        edge.set_clip_on(False)
        axes.add_patch(edge)

    def _draw_cells(self, axes: Axes, layer: CellLayer, order: int, line: float) -> None:
        if not len(layer.cells):
            return
        pieces, _ = world_polygons(outlines(layer.cells))
        shown, _ = self._sheet.view.projected(pieces)
        # A line in the colour of the face closes the hair of background between neighbours.
        drawn = PathCollection(
            [Path(shapely.get_coordinates(shape), closed=True) for shape in shown],
            facecolors=layer.colour,
            edgecolors=layer.edge or layer.colour,
            linewidths=(1.1 if layer.edge else 0.35) * line,
            zorder=order,
        )
        axes.add_collection(drawn, autolim=False)

    def _large_enough(self, shapes: Geometries, least_px: float) -> Geometries:
        """Shapes that can be seen: specks make a shore look like dirt."""
        west, south, east, north = shapely.bounds(shapes).reshape(-1, 4).T
        least_m = least_px * self._sheet.view.width_m / self._inner
        kept: Geometries = shapes[np.maximum(east - west, north - south) >= least_m]
        return kept

    def _detail(self, view: View) -> Detail:
        metres = view.width_m / self._inner
        if metres < _FINE_SHORE_M:
            return "i"
        return "l" if metres < _LOW_SHORE_M else "c"


def _compound(shapes: Geometries | Sequence[shapely.Geometry]) -> Path:
    """Polygons with their holes as one path."""
    rings = shapely.get_rings(np.asarray(shapes, dtype=object))
    return Path.make_compound_path(
        *(Path(shapely.get_coordinates(ring), closed=True) for ring in rings)
    )


def _lines(shapes: Geometries) -> list[np.ndarray]:
    return [shapely.get_coordinates(shape) for shape in shapes]
