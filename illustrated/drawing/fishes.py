"""Fish in profile, deep-bodied or slender."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, ellipse, smooth
from illustrated.drawing.parts import eye
from illustrated.drawing.patterns import paint_pattern
from illustrated.drawing.tones import Tones
from illustrated.looks import Look


def draw_fish(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """A fish about two units long, its head to the right."""
    high = random.uniform(0.34, 0.4) if look.plan == "slender fish" else random.uniform(0.56, 0.68)
    swing = random.uniform(-0.12, 0.12)
    tail = smooth([(-0.56, 0.0), (-1.08, -0.46 + swing), (-0.92, swing), (-1.08, 0.46 + swing)])
    canvas.fill(tail, tones.shade, edge=tones.edge)
    for side in (-1.0, 1.0):
        fin = smooth(
            [
                (0.36, side * high * 0.8),
                (-0.1, side * (high + 0.3)),
                (-0.52, side * (high * 0.66 + 0.2)),
                (-0.5, side * high * 0.4),
            ]
        )
        canvas.fill(fin, tones.shade, edge=tones.edge)
    body = smooth(
        [
            (0.98, 0.04),
            (0.62, -high * 0.8),
            (0.1, -high),
            (-0.68, -0.12),
            (-0.68, 0.12),
            (0.1, high),
            (0.62, high * 0.8),
        ]
    )
    canvas.fill(body, tones.body, edge=tones.edge)
    canvas.fill(ellipse(0.15, high * 0.6, 0.5, high * 0.26), tones.belly, 0.8)
    paint_pattern(canvas, random, look.pattern, body, tones.mark)
    gill = smooth([(0.34, -high * 0.62), (0.22, 0.0), (0.34, high * 0.62)], closed=False)
    canvas.line(gill, tones.edge, 0.04)
    flap = smooth([(0.2, 0.06), (-0.2, 0.0), (-0.26, 0.28), (0.06, 0.26)])
    canvas.fill(flap, tones.light, edge=tones.edge)
    canvas.line([(0.96, 0.14), (0.78, 0.17)], tones.edge, 0.04)
    eye(canvas, tones, 0.62, -0.1 * high / 0.5, 0.2)
