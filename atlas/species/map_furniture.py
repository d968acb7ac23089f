"""What helps to read a map: meridians and parallels with their degrees, and a scale bar.

For use by one thread at a time; `map_drawing` has the lock.
"""

from __future__ import annotations

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from atlas.geo.outlines import Floats
from atlas.geo.views import View

_POINTS_A_PIXEL = 72.0 / 100.0
_STEPS_DEG = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_MOST_LINES = 6
_SCALES_KM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_LONGEST_BAR = 0.22  # of the map's width
_HALO = [patheffects.withStroke(linewidth=2.0, foreground="white")]


def draw_graticule(axes: Axes, view: View, *, size_px: float, line: float, colour: str) -> None:
    """Meridians and parallels at round degrees, named where they meet the lower and left edge."""
    step = _step(view)
    meridians = _round_between(view.west, view.east, step)
    parallels = _round_between(view.south, view.north, step)
    latitudes = np.linspace(max(view.south, -89.99), min(view.north, 89.99), 181)
    longitudes = np.linspace(view.west + 1e-6, view.east - 1e-6, 361)
    columns = [view.plane(np.full_like(latitudes, degree), latitudes) for degree in meridians]
    rows = [view.plane(longitudes, np.full_like(longitudes, degree)) for degree in parallels]
    lines = [np.stack(points, axis=1) for points in (*columns, *rows)]
    axes.add_collection(
        LineCollection(lines, colors=colour, linewidths=0.35 * line, zorder=2.5, alpha=0.8),
        autolim=False,
    )
    if view.whole_earth:
        return
    pad = 0.006 * view.width_m
    for degree, (x, y) in zip(meridians, columns, strict=True):
        at = _crossing(y, x, view.bottom)
        if at is not None and view.left + 14 * pad < at < view.right - 6 * pad:
            _label(axes, at, view.bottom + pad, _degrees(degree, "E", "W"), size_px, "center")
    for degree, (x, y) in zip(parallels, rows, strict=True):
        at = _crossing(x, y, view.left)
        if at is not None and view.bottom + 8 * pad < at < view.top - 6 * pad:
            _label(axes, view.left + pad, at, _degrees(degree, "N", "S"), size_px, "left")


def draw_scale_bar(axes: Axes, view: View, *, size_px: float, line: float, colour: str) -> None:
    """A bar of round length in the lower right corner."""
    longest_km = _LONGEST_BAR * view.width_m / 1000.0
    length_km = max((km for km in _SCALES_KM if km <= longest_km), default=_SCALES_KM[0])
    pad = 0.02 * view.width_m
    right, base = view.right - pad, view.bottom + 1.5 * pad
    left, tick = right - 1000.0 * length_km, 0.25 * pad
    axes.plot(
        [left, left, right, right],
        [base + tick, base, base, base + tick],
        color=colour,
        linewidth=1.2 * line,
        solid_capstyle="butt",
        zorder=80,
        path_effects=[patheffects.withStroke(linewidth=3.0 * line, foreground="white")],
    )
    _label(axes, (left + right) / 2.0, base + 0.4 * tick, f"{length_km:,} km", size_px, "center")


def _label(axes: Axes, x: float, y: float, text: str, size_px: float, align: str) -> None:
    axes.text(
        x,
        y,
        text,
        fontsize=size_px * _POINTS_A_PIXEL,
        color="#4c5763",
        horizontalalignment=align,
        verticalalignment="bottom",
        zorder=81,
        path_effects=_HALO,
        parse_math=False,
    )


def _step(view: View) -> float:
    span = max(view.north - view.south, min(view.east - view.west, 180.0) / 2.0)
    return next((step for step in _STEPS_DEG if span / step <= _MOST_LINES), _STEPS_DEG[-1])


def _round_between(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` inside the bounds."""
    first, last = np.ceil(low / step), np.floor(high / step)
    return [float(degree) for degree in np.arange(first, last + 1) * step]


def _crossing(along: Floats, other: Floats, value: float) -> float | None:
    """Where a line whose one coordinate is `along` reaches `value`, in the other coordinate."""
    beside = np.flatnonzero((along[:-1] <= value) != (along[1:] <= value))
    if not len(beside):
        return None
    i = int(beside[0])
    share = (value - along[i]) / (along[i + 1] - along[i])
    return float(other[i] + share * (other[i + 1] - other[i]))


def _degrees(value: float, positive: str, negative: str) -> str:
    turned = (value + 180.0) % 360.0 - 180.0 if positive == "E" else value
    side = positive if turned > 0.0 else negative if turned < 0.0 else ""
    return f"{abs(turned):g}°{side}"
