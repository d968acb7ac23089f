"""Parts that several bodies share: eyes, soft shadows, leaves."""

from __future__ import annotations

from illustrated.drawing.canvas import Canvas, ellipse, smooth
from illustrated.drawing.colours import Colour
from illustrated.drawing.tones import Tones

_PUPIL: Colour = (16, 14, 18)
_GLINT: Colour = (255, 255, 255)


def eye(canvas: Canvas, tones: Tones, x: float, y: float, radius: float, slit: float = 0.0) -> None:
    """An eye in the accent colour: pale rim, iris, pupil (`slit` -1 lying, 0 round, 1 upright).

    The pupil is kept small, since the iris is what tells one species from another.
    """
    canvas.disc(x, y, radius * 1.2, (26, 22, 26))
    canvas.disc(x, y, radius * 1.08, tones.accent)
    canvas.disc(x, y + radius * 0.3, radius * 0.7, tones.accent)
    wide = radius * (0.36 - 0.17 * max(slit, 0.0) + 0.22 * max(-slit, 0.0))
    high = radius * (0.36 + 0.3 * max(slit, 0.0) - 0.17 * max(-slit, 0.0))
    canvas.fill(ellipse(x, y, wide, high), _PUPIL)
    canvas.disc(x - radius * 0.34, y - radius * 0.4, radius * 0.17, _GLINT, 0.9)


def ground_shadow(canvas: Canvas, x: float, y: float, width: float) -> None:
    """A soft dark ellipse below a standing figure."""
    for growth in (1.0, 0.8, 0.6):
        canvas.fill(ellipse(x, y, width * growth, 0.13 * growth), (12, 14, 24), 0.14)


def leaf(
    canvas: Canvas, start: tuple[float, float], tip: tuple[float, float], width: float, tone: Colour
) -> None:
    """A pointed leaf from `start` to `tip`."""
    (x0, y0), (x1, y1) = start, tip
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    across_x, across_y = (y1 - y0) * width, (x0 - x1) * width
    outline = smooth(
        [
            start,
            (middle_x + across_x, middle_y + across_y),
            tip,
            (middle_x - across_x, middle_y - across_y),
        ]
    )
    canvas.fill(outline, tone)
