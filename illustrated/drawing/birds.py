"""Songbirds, parrots, owls and ducks."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, Points, ellipse, limb, smooth
from illustrated.drawing.colours import Colour, darker, lighter
from illustrated.drawing.parts import eye, ground_shadow
from illustrated.drawing.patterns import paint_pattern
from illustrated.drawing.tones import Tones
from illustrated.looks import Look

_BEAK: Colour = (226, 168, 66)
_BARK: Colour = (92, 66, 46)


def draw_bird(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """A bird about two units long; owls face the viewer, the others stand in profile."""
    figures = {"songbird": _songbird, "owl": _owl, "duck": _duck, "parrot": _parrot}
    figures[look.plan](canvas, random, look, tones)


def _branch(canvas: Canvas, random: np.random.Generator, y: float) -> None:
    slope = random.uniform(-0.06, 0.06)
    canvas.fill(limb([(-1.2, y - slope), (0.0, y), (1.2, y + slope)], 0.16, 0.11), _BARK)
    for x in random.uniform(-1.0, 1.0, size=3):
        canvas.fill(ellipse(x, y - 0.1, 0.05, 0.13, float(random.uniform(-50, 50))), (86, 138, 62))


def _wing(
    canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones, outline: Points
) -> None:
    canvas.fill(outline, tones.shade, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, outline, tones.mark, 20.0)


def _songbird(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    _branch(canvas, random, 0.74)
    for x in (-0.05, 0.14):
        canvas.line([(x, 0.5), (x + 0.02, 0.72)], (86, 70, 58), 0.05)
    tail = random.uniform(0.1, 0.3)
    canvas.fill(
        [(-0.42, 0.2), (-1.1, 0.3 + tail), (-1.04, 0.5 + tail), (-0.35, 0.46)],
        tones.shade,
        edge=tones.edge,
    )
    body = smooth(
        [(-0.62, 0.24), (-0.2, -0.22), (0.36, -0.2), (0.5, 0.2), (0.16, 0.58), (-0.34, 0.52)]
    )
    canvas.fill(body, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, body, tones.mark, 20.0)
    canvas.fill(ellipse(0.22, 0.34, 0.26, 0.2, -35), tones.belly, 0.75)
    lift = random.uniform(-8, 12)
    wing = smooth([(0.18, -0.06), (-0.3, -0.02), (-0.84, 0.34 + lift / 100), (-0.2, 0.36)])
    _wing(canvas, random, look, tones, wing)
    canvas.fill([(0.82, -0.42), (1.14, -0.3), (0.8, -0.2)], _BEAK, edge=darker(_BEAK, 0.4))
    canvas.fill(ellipse(0.5, -0.36, 0.42, 0.4), tones.body, edge=tones.edge)
    eye(canvas, tones, 0.6, -0.42, 0.19)


def _owl(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    _branch(canvas, random, 0.84)
    for side in (-1.0, 1.0):
        canvas.fill(
            [(side * 0.22, -0.72), (side * 0.62, -1.02), (side * 0.64, -0.52)],
            tones.shade,
            edge=tones.edge,
        )
    body = smooth(
        [(0.0, -0.86), (0.58, -0.6), (0.62, 0.3), (0.0, 0.86), (-0.62, 0.3), (-0.58, -0.6)]
    )
    canvas.fill(body, tones.body, edge=tones.edge)
    chest = ellipse(0.0, 0.34, 0.4, 0.44)
    canvas.fill(chest, tones.light)
    paint_pattern(canvas, random, look.pattern, chest, tones.mark)
    for side in (-1.0, 1.0):
        wing = ellipse(side * 0.55, 0.25, 0.17, 0.5, side * 10)
        canvas.fill(wing, tones.shade, edge=tones.edge)
        canvas.fill(ellipse(side * 0.28, -0.4, 0.32, 0.34), tones.belly)
        eye(canvas, tones, side * 0.28, -0.4, 0.21)
        canvas.fill(ellipse(side * 0.16, 0.84, 0.11, 0.07), _BEAK)
    canvas.fill([(-0.09, -0.26), (0.09, -0.26), (0.0, 0.0)], _BEAK, edge=darker(_BEAK, 0.4))


def _duck(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    ground_shadow(canvas, 0.0, 0.62, 1.0)
    body = smooth([(-1.0, -0.02), (-0.55, 0.1), (0.1, -0.02), (0.6, 0.1), (0.5, 0.5), (-0.5, 0.56)])
    canvas.fill(body, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, body, tones.mark)
    neck = limb([(0.44, 0.28), (0.5, -0.1), (0.5, -0.38)], 0.4, 0.3)
    canvas.fill(neck, tones.body, edge=tones.edge)
    canvas.fill(ellipse(0.46, 0.06, 0.2, 0.045), tones.belly)
    wing = smooth([(0.22, 0.14), (-0.3, 0.06), (-0.86, 0.22), (-0.2, 0.44)])
    _wing(canvas, random, look, tones, wing)
    bill = smooth([(0.8, -0.52), (1.24, -0.42), (1.22, -0.3), (0.8, -0.28)])
    canvas.fill(bill, _BEAK, edge=darker(_BEAK, 0.4))
    canvas.fill(ellipse(0.58, -0.48, 0.4, 0.37), tones.body, edge=tones.edge)
    eye(canvas, tones, 0.66, -0.54, 0.18)
    for x in (-0.7, 0.0, 0.66):
        ripple = [(x - 0.34, 0.62), (x, 0.66), (x + 0.34, 0.62)]
        canvas.line(smooth(ripple, closed=False), (226, 240, 250), 0.035, 0.7)


def _parrot(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    _branch(canvas, random, 0.52)
    for spread in (-0.1, 0.06):
        tail = limb([(-0.2, 0.3), (-0.36 + spread, 0.8), (-0.44 + spread, 1.14)], 0.24, 0.06)
        canvas.fill(tail, tones.shade, edge=tones.edge)
    body = smooth(
        [(-0.1, -0.7), (0.4, -0.4), (0.42, 0.16), (0.06, 0.56), (-0.36, 0.4), (-0.36, -0.2)]
    )
    canvas.fill(body, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, body, tones.mark, 80.0)
    wing = smooth([(0.0, -0.22), (0.12, 0.16), (-0.3, 0.78), (-0.46, 0.1)])
    _wing(canvas, random, look, tones, wing)
    canvas.fill(ellipse(0.16, -0.62, 0.42, 0.4), tones.body, edge=tones.edge)
    beak = smooth([(0.46, -0.78), (0.76, -0.62), (0.66, -0.3), (0.5, -0.46)])
    canvas.fill(beak, lighter((64, 58, 56), random.uniform(0, 0.6)), edge=(40, 34, 34))
    canvas.fill(ellipse(0.27, -0.66, 0.26, 0.24), tones.belly)
    eye(canvas, tones, 0.26, -0.66, 0.18)
