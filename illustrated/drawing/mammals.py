"""Foxes, deer, bears and seals, their faces turned to the viewer."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, Points, ellipse, limb, smooth
from illustrated.drawing.colours import Colour
from illustrated.drawing.parts import eye, ground_shadow
from illustrated.drawing.patterns import paint_pattern
from illustrated.drawing.tones import Tones
from illustrated.looks import Look

_NOSE: Colour = (28, 24, 28)
_HORN: Colour = (150, 118, 84)


def draw_mammal(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """A mammal about two units tall, the body in profile and the head facing the viewer."""
    ground_shadow(canvas, 0.0, 0.92, 1.0)
    figures = {"fox": _fox, "deer": _deer, "bear": _bear, "seal": _seal}
    figures[look.plan](canvas, random, look, tones)


def _coat(
    canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones, outline: Points
) -> None:
    canvas.fill(outline, tones.body, edge=tones.edge)
    paint_pattern(canvas, random, look.pattern, outline, tones.mark)


def _face(canvas: Canvas, tones: Tones, x: float, y: float, apart: float, radius: float) -> None:
    for side in (-1.0, 1.0):
        eye(canvas, tones, x + side * apart, y, radius)


def _fox(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    sway = random.uniform(-0.2, 0.2)
    tail = limb([(-0.5, 0.5), (-0.98, 0.3 + sway), (-1.04, -0.2 + sway)], 0.3, 0.4)
    canvas.fill(tail, tones.body, edge=tones.edge)
    canvas.disc(-1.04, -0.22 + sway, 0.2, tones.belly)
    for x in (-0.5, -0.24, 0.24, 0.46):
        canvas.fill(limb([(x, 0.4), (x, 0.92)], 0.2, 0.13), tones.shade, edge=tones.edge)
    _coat(
        canvas,
        random,
        look,
        tones,
        smooth([(-0.74, 0.3), (-0.3, 0.1), (0.5, 0.06), (0.62, 0.5), (0.0, 0.68), (-0.66, 0.62)]),
    )
    for side in (-1.0, 1.0):
        ear = [(0.34 + side * 0.14, -0.58), (0.34 + side * 0.5, -1.06), (0.34 + side * 0.56, -0.4)]
        canvas.fill(ear, tones.shade, edge=tones.edge)
    head = smooth(
        [
            (-0.24, -0.4),
            (0.06, -0.68),
            (0.62, -0.68),
            (0.92, -0.4),
            (0.64, 0.02),
            (0.34, 0.22),
            (0.04, 0.02),
        ]
    )
    canvas.fill(head, tones.body, edge=tones.edge)
    canvas.fill(smooth([(0.34, -0.34), (0.6, -0.06), (0.34, 0.18), (0.08, -0.06)]), tones.belly)
    canvas.fill(ellipse(0.34, 0.1, 0.1, 0.075), _NOSE)
    _face(canvas, tones, 0.34, -0.38, 0.28, 0.17)


def _deer(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    for x in (-0.6, -0.42, 0.16, 0.34):
        canvas.fill(limb([(x, 0.2), (x + 0.02, 0.94)], 0.15, 0.09), tones.shade, edge=tones.edge)
    _coat(
        canvas,
        random,
        look,
        tones,
        smooth(
            [(-0.82, 0.02), (-0.4, -0.14), (0.36, -0.12), (0.5, 0.16), (0.1, 0.42), (-0.66, 0.4)]
        ),
    )
    canvas.fill(limb([(0.3, 0.12), (0.4, -0.4)], 0.42, 0.28), tones.body, edge=tones.edge)
    tall = random.uniform(0.3, 0.42)
    for side in (-1.0, 1.0):
        stem = [
            (0.42 + side * 0.12, -0.7),
            (0.42 + side * 0.34, -0.86),
            (0.42 + side * 0.34, -0.8 - tall),
        ]
        canvas.line(smooth(stem, closed=False), _HORN, 0.07)
        canvas.line([stem[1], (0.42 + side * 0.56, -0.78 - tall * 0.7)], _HORN, 0.06)
        canvas.fill(
            ellipse(0.42 + side * 0.46, -0.54, 0.2, 0.1, side * -14), tones.shade, edge=tones.edge
        )
    head = smooth(
        [(0.1, -0.58), (0.42, -0.78), (0.74, -0.58), (0.62, -0.22), (0.42, 0.02), (0.22, -0.22)]
    )
    canvas.fill(head, tones.body, edge=tones.edge)
    canvas.fill(ellipse(0.42, -0.1, 0.15, 0.13), tones.belly)
    canvas.fill(ellipse(0.42, -0.08, 0.08, 0.055), _NOSE)
    _face(canvas, tones, 0.42, -0.48, 0.2, 0.15)


def _bear(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    lean = random.uniform(-0.08, 0.08)
    for side in (-1.0, 1.0):
        canvas.fill(ellipse(side * 0.5, 0.78, 0.34, 0.2), tones.shade, edge=tones.edge)
        canvas.disc(lean + side * 0.46, -0.74, 0.19, tones.edge)
        canvas.disc(lean + side * 0.46, -0.74, 0.16, tones.shade)
    _coat(
        canvas,
        random,
        look,
        tones,
        smooth([(-0.62, 0.0), (0.0, -0.3), (0.62, 0.0), (0.72, 0.6), (0.0, 0.9), (-0.72, 0.6)]),
    )
    for side in (-1.0, 1.0):
        arm = limb([(side * 0.5, 0.06), (side * 0.6, 0.4), (side * 0.4, 0.62)], 0.28, 0.24)
        canvas.fill(arm, tones.shade, edge=tones.edge)
    canvas.fill(ellipse(lean, -0.38, 0.58, 0.5), tones.body, edge=tones.edge)
    canvas.fill(ellipse(lean, -0.16, 0.27, 0.22), tones.belly)
    canvas.fill(ellipse(lean, -0.25, 0.11, 0.08), _NOSE)
    _face(canvas, tones, lean, -0.46, 0.28, 0.165)


def _seal(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    curl = random.uniform(-0.1, 0.16)
    tail = smooth([(-0.66, 0.72), (-1.1, 0.5 - curl), (-1.16, 0.84), (-0.86, 0.9)])
    canvas.fill(tail, tones.shade, edge=tones.edge)
    _coat(
        canvas,
        random,
        look,
        tones,
        smooth(
            [
                (-0.86, 0.7),
                (-0.3, 0.36),
                (0.12, -0.2),
                (0.7, -0.2),
                (0.78, 0.5),
                (0.4, 0.88),
                (-0.5, 0.9),
            ]
        ),
    )
    canvas.fill(
        smooth([(0.2, 0.5), (0.3, 0.92), (-0.1, 1.0), (-0.02, 0.74)]), tones.shade, edge=tones.edge
    )
    canvas.fill(ellipse(0.42, -0.38, 0.52, 0.46), tones.body, edge=tones.edge)
    canvas.fill(ellipse(0.42, -0.14, 0.3, 0.2), tones.belly)
    canvas.fill(ellipse(0.42, -0.24, 0.1, 0.07), _NOSE)
    for side in (-1.0, 1.0):
        for y in (-0.14, -0.06):
            canvas.line([(0.42 + side * 0.12, y), (0.42 + side * 0.5, y + 0.04)], tones.edge, 0.018)
    _face(canvas, tones, 0.42, -0.44, 0.26, 0.165)
