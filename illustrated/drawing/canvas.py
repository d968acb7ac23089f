"""A drawing surface in unit coordinates over aggdraw's antialiased polygons.

It knows shapes and where a figure stands, nothing of organisms. One canvas belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aggdraw
import numpy as np
import numpy.typing as npt
from PIL import Image
from shapely import Polygon

from illustrated.drawing.colours import Colour

Points = npt.NDArray[np.float64]

_CIRCLE = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
_UNIT_CIRCLE = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Points:
    """Outline (40 x 2) of an ellipse turned by `degrees`."""
    turned = (_UNIT_CIRCLE * (rx, ry)) @ rotation(degrees).T
    outline: Points = turned + np.array([x, y])
    return outline


def rotation(degrees: float) -> Points:
    """The 2 x 2 matrix that turns points by `degrees` (clockwise, as y points down)."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def smooth(corners: list[tuple[float, float]] | Points, closed: bool = True) -> Points:
    """A Catmull-Rom curve through the corners, eight points to a side."""
    corner = np.asarray(corners, dtype=float)
    if closed:
        before, start, end, after = (np.roll(corner, shift, axis=0) for shift in (1, 0, -1, -2))
    else:
        padded = np.concatenate([corner[:1], corner, corner[-1:]])
        before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    step = np.linspace(0.0, 1.0, 8, endpoint=False)[None, :, None]
    before, start, end, after = (part[:, None, :] for part in (before, start, end, after))
    curve = 0.5 * (
        2 * start
        + (end - before) * step
        + (2 * before - 5 * start + 4 * end - after) * step**2
        + (3 * start - before - 3 * end + after) * step**3
    )
    points: Points = curve.reshape(-1, 2)
    return points if closed else np.concatenate([points, corner[-1:]])


def limb(corners: list[tuple[float, float]] | Points, first: float, last: float) -> Points:
    """Outline of a stroke along the curve, `first` wide at its start and `last` at its end."""
    spine = smooth(corners, closed=False)
    along = np.gradient(spine, axis=0)
    length = np.hypot(along[:, 0], along[:, 1]) + 1e-9
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / length[:, None]
    half = np.linspace(first, last, len(spine))[:, None] / 2
    return np.concatenate([spine + normal * half, (spine - normal * half)[::-1]])


class Canvas:
    """Draws on a picture whose sides run from 0 to 1; inside `figure`, from about -1 to 1."""

    def __init__(self, picture: Image.Image) -> None:
        """Draw on `picture` (RGB, square) in place once `finish` is called."""
        self.side_px = picture.width
        self._draw: Any = aggdraw.Draw(picture)
        self._matrix = np.eye(2) * self.side_px
        self._origin = np.zeros(2)

    @contextmanager
    def figure(
        self, x: float, y: float, scale: float, degrees: float = 0.0, flip: bool = False
    ) -> Iterator[None]:
        """Draw in a figure's own coordinates, placed at (x, y) of the picture."""
        saved = self._matrix, self._origin
        mirror = np.diag([-1.0 if flip else 1.0, 1.0])
        self._origin = saved[1] + saved[0] @ np.array([x, y])
        self._matrix = saved[0] @ rotation(degrees) @ mirror * scale
        try:
            yield
        finally:
            self._matrix, self._origin = saved

    @property
    def unit_px(self) -> float:
        """How many pixels one unit of the current coordinates is."""
        return float(np.sqrt(abs(np.linalg.det(self._matrix))))

    def fill(
        self,
        outline: Points | list[tuple[float, float]],
        colour: Colour,
        opacity: float = 1.0,
        edge: Colour | None = None,
        edge_width: float = 0.025,
    ) -> None:
        """Fill a closed outline, with an edge line where one is asked for."""
        pixels = np.asarray(outline, dtype=float) @ self._matrix.T + self._origin
        brush = aggdraw.Brush(colour, round(255 * opacity))
        flat = pixels.ravel().tolist()
        if edge is None:
            self._draw.polygon(flat, brush)
        else:
            width = max(edge_width * self.unit_px, 0.6)
            self._draw.polygon(flat, aggdraw.Pen(edge, width, round(255 * opacity)), brush)

    def line(
        self,
        points: Points | list[tuple[float, float]],
        colour: Colour,
        width: float,
        opacity: float = 1.0,
    ) -> None:
        """Stroke an open line, `width` in the current units."""
        pixels = np.asarray(points, dtype=float) @ self._matrix.T + self._origin
        pen = aggdraw.Pen(colour, max(width * self.unit_px, 0.6), round(255 * opacity))
        self._draw.line(pixels.ravel().tolist(), pen)

    def disc(self, x: float, y: float, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        """Fill a circle."""
        self.fill(ellipse(x, y, radius, radius), colour, opacity)

    def finish(self) -> None:
        """Write the drawing into the picture."""
        self._draw.flush()


def inside(outline: Points, marks: list[Points], margin: float = 0.02) -> list[Points]:
    """The parts of each mark that lie inside the outline, `margin` away from its edge."""
    body = Polygon(outline).buffer(0).buffer(-margin)
    kept: list[Points] = []
    for mark in marks:
        shared = Polygon(mark).buffer(0).intersection(body)
        parts = getattr(shared, "geoms", [shared])
        kept += [
            np.asarray(part.exterior.coords)
            for part in parts
            if part.geom_type == "Polygon" and part.area > 1e-4
        ]
    return kept
