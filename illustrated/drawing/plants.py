"""Flowers and fungi."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, Points, ellipse, limb, smooth
from illustrated.drawing.colours import Colour, darker, lighter
from illustrated.drawing.parts import ground_shadow, leaf
from illustrated.drawing.patterns import pattern_marks
from illustrated.drawing.tones import Tones
from illustrated.looks import Look

_STEM: Colour = (70, 134, 58)


def draw_flower(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """One large blossom on a leafy stem, often with a bud or a smaller blossom beside it."""
    lean = random.uniform(-0.2, 0.2)
    stem = [(lean, -0.2), (lean * 0.4, 0.5), (0.0, 1.15)]
    canvas.fill(limb(stem, 0.08, 0.11), _STEM)
    for side in (-1.0, 1.0):
        tip = (side * random.uniform(0.5, 0.8), random.uniform(0.4, 0.7))
        leaf(canvas, (0.0, 0.96), tip, 0.2, lighter(_STEM, random.uniform(0.0, 0.15)))
    if random.random() < 0.5:
        side = 1.0 if lean < 0 else -1.0
        canvas.fill(limb([(side * 0.62, 0.3), (side * 0.3, 0.7), (0.0, 1.0)], 0.05, 0.08), _STEM)
        _blossom(canvas, random, look, tones, side * 0.64, 0.26, 0.34)
    _blossom(canvas, random, look, tones, lean, -0.26, random.uniform(0.76, 0.84))


def _blossom(
    canvas: Canvas,
    random: np.random.Generator,
    look: Look,
    tones: Tones,
    x: float,
    y: float,
    radius: float,
) -> None:
    daisy = look.plan == "daisy"
    count = int(random.integers(11, 15)) if daisy else int(random.integers(5, 7))
    start = random.uniform(0, 360)
    width = 0.15 if daisy else 1.9 / count
    for index in range(count):
        degrees = start + 360 * index / count
        way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        middle = way * radius * 0.58 + (x, y)
        petal = ellipse(float(middle[0]), float(middle[1]), radius * 0.46, radius * width, degrees)
        tone = tones.body if index % 2 else lighter(tones.body, 0.07)
        canvas.fill(petal, tone, edge=tones.edge, edge_width=0.02)
        if radius > 0.5:
            _petal_marks(canvas, look, tones, petal, degrees)
    canvas.disc(x, y, radius * 0.36, tones.accent_edge)
    canvas.disc(x, y, radius * 0.325, tones.accent)
    for turn in np.linspace(0, 2 * np.pi, 7)[:-1]:
        canvas.disc(
            x + np.cos(turn) * radius * 0.2,
            y + np.sin(turn) * radius * 0.2,
            radius * 0.04,
            darker(tones.accent, 0.2),
        )


def _petal_marks(
    canvas: Canvas,
    look: Look,
    tones: Tones,
    petal: Points,
    degrees: float,
) -> None:
    """One mark a petal: a streak, a spot, or a band near its tip."""
    x, y = petal.mean(axis=0)
    if look.pattern == "striped":
        canvas.fill(ellipse(x, y, 0.24, 0.03, degrees), tones.mark, 0.9)
    elif look.pattern == "spotted":
        canvas.disc(x, y, 0.07, tones.mark, 0.9)
    elif look.pattern == "banded":
        canvas.fill(ellipse(x, y, 0.06, 0.11, degrees), tones.mark, 0.9)


def draw_fungus(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    """A mushroom; stem ring and cap marks in the accent colour, sometimes a small one beside it."""
    ground_shadow(canvas, 0.0, 0.94, 0.8)
    if random.random() < 0.5:
        side = float(random.choice([-1.0, 1.0]))
        with canvas.figure(side * 0.72, 0.58, 0.38, side * 8):
            _mushroom(canvas, random, look, tones)
    _mushroom(canvas, random, look, tones)


def _mushroom(canvas: Canvas, random: np.random.Generator, look: Look, tones: Tones) -> None:
    tall = look.plan == "tall mushroom"
    half, top, rim = (0.62, -1.0, 0.12) if tall else (0.92, -0.82, -0.02)
    bend = random.uniform(-0.08, 0.08)
    stalk = limb([(0.0, rim - 0.1), (bend, 0.5), (bend * 0.5, 0.96)], 0.28, 0.4)
    canvas.fill(stalk, tones.accent, edge=tones.accent_edge)
    canvas.fill(ellipse(0.0, rim, half * 0.94, 0.15), darker(tones.accent, 0.3))
    shoulder = -0.5 if tall else -0.56
    cap = smooth(
        [
            (-half, rim),
            (-half * 0.76, shoulder),
            (0.0, top),
            (half * 0.76, shoulder),
            (half, rim),
            (half * 0.5, rim + 0.05),
            (0.0, rim + 0.07),
            (-half * 0.5, rim + 0.05),
        ]
    )
    canvas.fill(cap, tones.body, edge=tones.edge, edge_width=0.03)
    marks = pattern_marks(random, look.pattern, cap, 90.0 if look.pattern != "spotted" else 0.0)
    for mark in marks:
        canvas.fill(mark, tones.accent)
    canvas.fill(ellipse(-half * 0.44, shoulder * 0.8, 0.09, 0.24, 34), (255, 255, 255), 0.25)
