"""Butterflies, moths and beetles, seen from above."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, Points, ellipse, smooth
from illustrated.drawing.colours import Colour, darker
from illustrated.drawing.patterns import paint_pattern, pattern_marks
from illustrated.drawing.tones import Tones
from illustrated.looks import Look

_CHITIN: Colour = (34, 30, 34)


def draw_butterfly(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """Four spread wings, each with a spot in the accent colour."""
    moth = look.plan == "moth"
    spread = random.uniform(0.9, 1.06)
    for side in (-1.0, 1.0):
        _wing_pair(canvas, random, look, tones, side * spread, moth)
    trunk = 0.15 if moth else 0.09
    canvas.fill(ellipse(0.0, 0.1, trunk, 0.46), _CHITIN)
    canvas.disc(0.0, -0.4, trunk * 1.15, _CHITIN)
    for side in (-1.0, 1.0):
        antenna = smooth([(0.0, -0.44), (side * 0.16, -0.72), (side * 0.36, -0.9)], closed=False)
        canvas.line(antenna, _CHITIN, 0.1 if moth else 0.035)
        if not moth:
            canvas.disc(side * 0.36, -0.9, 0.05, _CHITIN)


def _wing_pair(
    canvas: Canvas,
    random: np.random.Generator,
    look: Look,
    tones: Tones,
    side: float,
    moth: bool,
) -> None:
    """The fore and hind wing of one side; `side` is the signed breadth."""
    fore_corners = [(0.04, -0.3), (0.5, -0.86), (1.02, -0.8), (0.92, -0.22), (0.4, 0.04)]
    hind_corners = [(0.04, -0.05), (0.6, -0.02), (0.86, 0.36), (0.56, 0.82), (0.14, 0.5)]
    if moth:
        fore_corners = [(0.04, -0.36), (0.62, -0.5), (1.06, 0.02), (0.8, 0.4), (0.26, 0.14)]
        hind_corners = [(0.04, 0.0), (0.5, 0.1), (0.66, 0.52), (0.36, 0.82), (0.08, 0.56)]
    fore, hind = (smooth(np.array(c) * (side, 1.0)) for c in (fore_corners, hind_corners))
    for wing, tone in ((hind, tones.shade), (fore, tones.body)):
        canvas.fill(wing, tone, edge=tones.edge, edge_width=0.05)
        paint_pattern(canvas, random, look.pattern, wing, tones.mark, side * 40.0)
    _wing_spot(canvas, tones, fore, 0.24)
    _wing_spot(canvas, tones, hind, 0.2)


def _wing_spot(canvas: Canvas, tones: Tones, wing: Points, radius: float) -> None:
    x, y = wing.mean(axis=0) * (1.06, 1.0)
    canvas.disc(x, y, radius * 1.2, tones.edge)
    canvas.disc(x, y, radius, tones.accent)


def draw_beetle(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """Wing cases in the body colour; shield and markings in the accent colour."""
    longhorn = look.plan == "longhorn beetle"
    breadth = 0.46 if longhorn else random.uniform(0.56, 0.66)
    _beetle_legs(canvas, random, breadth)
    reach = 1.15 if longhorn else 0.34
    for side in (-1.0, 1.0):
        horn = [
            (side * 0.12, -0.78),
            (side * 0.42, -0.98),
            (side * (0.4 + reach * 0.5), -1.1 + reach),
        ]
        canvas.line(smooth(horn, closed=False), _CHITIN, 0.055)
    canvas.fill(ellipse(0.0, -0.76, 0.25, 0.2), _CHITIN)
    cases = ellipse(0.0, 0.24, breadth, 0.72)
    canvas.fill(cases, tones.body, edge=tones.edge, edge_width=0.045)
    marks = pattern_marks(random, look.pattern, cases, 90.0)
    if look.pattern == "plain":
        marks = [ellipse(side * breadth * 0.45, 0.26, 0.15, 0.2) for side in (-1, 1)]
    for mark in marks:
        canvas.fill(mark, tones.accent)
    shield = smooth([(-0.4, -0.36), (-0.3, -0.66), (0.3, -0.66), (0.4, -0.36), (0.0, -0.32)])
    canvas.fill(shield, tones.accent, edge=tones.accent_edge, edge_width=0.04)
    canvas.line([(0.0, -0.4), (0.0, 0.94)], darker(tones.edge, 0.3), 0.03)
    canvas.fill(ellipse(-breadth * 0.5, 0.0, 0.05, 0.28, 8), (255, 255, 255), 0.3)


def _beetle_legs(canvas: Canvas, random: np.random.Generator, breadth: float) -> None:
    for side in (-1.0, 1.0):
        for y, lean in ((-0.42, -0.3), (0.06, 0.04), (0.5, 0.36)):
            knee = (side * (breadth + 0.28), y + lean * 0.6)
            foot = (side * (breadth + 0.42), y + lean + random.uniform(0.05, 0.2))
            canvas.line([(side * breadth * 0.5, y), knee, foot], _CHITIN, 0.075)
