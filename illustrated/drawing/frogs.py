"""Tree frogs and toads, sitting and looking at the viewer."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, ellipse, limb, smooth
from illustrated.drawing.colours import darker
from illustrated.drawing.parts import eye, ground_shadow
from illustrated.drawing.patterns import paint_pattern
from illustrated.drawing.tones import Tones
from illustrated.looks import Look


def draw_frog(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """A frog about two units tall; a toad is broader, with warts and shorter legs."""
    toad = look.plan == "toad"
    breadth = 1.14 if toad else random.uniform(0.94, 1.04)
    turn = random.uniform(-0.1, 0.1)
    ground_shadow(canvas, 0.0, 0.82, 0.95)
    _legs(canvas, random, look, tones, breadth)
    body = smooth(
        [
            (-0.48 * breadth, -0.05),
            (0.0, -0.4),
            (0.48 * breadth, -0.05),
            (0.5 * breadth, 0.42),
            (0.0, 0.78),
            (-0.5 * breadth, 0.42),
        ]
    )
    canvas.fill(body, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, body, tones.mark, 90.0)
    canvas.fill(ellipse(turn, 0.45, 0.3 * breadth, 0.31), tones.belly)
    _arms(canvas, tones, breadth)
    head = smooth(
        [
            (-0.62 * breadth + turn, -0.3),
            (-0.36 * breadth + turn, -0.58),
            (0.36 * breadth + turn, -0.58),
            (0.62 * breadth + turn, -0.3),
            (0.4 * breadth + turn, -0.02),
            (turn, 0.05),
            (-0.4 * breadth + turn, -0.02),
        ]
    )
    canvas.fill(head, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, head, tones.mark, 90.0)
    if toad:
        for _ in range(9):
            x, y = random.uniform(-0.42, 0.42), random.uniform(-0.42, -0.2)
            canvas.disc(x + turn, y, 0.045, tones.shade)
    _face(canvas, random, tones, breadth, turn, toad)


def _legs(
    canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones, breadth: float
) -> None:
    toad = look.plan == "toad"
    for side in (-1.0, 1.0):
        thigh = ellipse(side * 0.6 * breadth, 0.48, 0.36, 0.3, side * -28)
        canvas.fill(thigh, tones.shade, edge=tones.edge)
        paint_pattern(canvas, random, look.pattern, thigh, tones.mark, side * 30.0)
        for toe in (-0.16, 0.0, 0.16):
            tip = (side * (0.84 + abs(toe) * 0.3) + toe, 0.84)
            canvas.line([(side * 0.72, 0.68), tip], tones.shade, 0.09)
            canvas.disc(*tip, 0.06 if toad else 0.085, tones.light)


def _arms(canvas: Canvas, tones: Tones, breadth: float) -> None:
    for side in (-1.0, 1.0):
        arm = limb(
            [(side * 0.38 * breadth, 0.12), (side * 0.47, 0.46), (side * 0.34, 0.8)], 0.21, 0.13
        )
        canvas.fill(arm, tones.body, edge=tones.edge)
        for toe in (-0.13, 0.0, 0.13):
            canvas.disc(side * 0.34 + toe, 0.86, 0.07, tones.light)


def _face(
    canvas: Canvas,
    random: np.random.Generator,
    tones: Tones,
    breadth: float,
    turn: float,
    toad: bool,
) -> None:
    slit = -0.8 if toad else random.choice([-0.6, 0.0, 1.0])
    gape = random.uniform(0.02, 0.1)
    mouth = smooth(
        [(-0.46 * breadth + turn, -0.2), (turn, -0.08 + gape), (0.46 * breadth + turn, -0.2)],
        closed=False,
    )
    canvas.line(mouth, darker(tones.edge, 0.2), 0.04)
    for side in (-1.0, 1.0):
        canvas.disc(0.06 * side + turn, -0.3, 0.022, tones.edge)
        x = side * 0.4 * breadth + turn
        canvas.fill(ellipse(x, -0.56, 0.31, 0.3), tones.body, edge=tones.edge)
        eye(canvas, tones, x * 1.02, -0.58, 0.21 * random.uniform(0.95, 1.08), float(slit))
