"""Stripes, spots and bands on any body outline. Pure functions of a seeded generator."""

from __future__ import annotations

import numpy as np

from illustrated.drawing.canvas import Canvas, Points, ellipse, inside, limb, rotation
from illustrated.drawing.colours import Colour


def pattern_marks(
    random: np.random.Generator, pattern: str, outline: Points, degrees: float = 0.0
) -> list[Points]:
    """Mark outlines inside `outline`; stripes run along `degrees`, bands across it."""
    if pattern == "plain":
        return []
    turn = rotation(degrees)
    local = outline @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    if pattern == "striped":
        marks = _stripes(random, low, high, along_x=True)
    elif pattern == "banded":
        marks = _stripes(random, low, high, along_x=False)
    else:
        marks = _spots(random, low, high)
    return inside(outline, [mark @ turn.T for mark in marks])


def paint_pattern(
    canvas: Canvas,
    random: np.random.Generator,
    pattern: str,
    outline: Points,
    colour: Colour,
    degrees: float = 0.0,
) -> None:
    """Draw the pattern's marks in `colour`."""
    for mark in pattern_marks(random, pattern, outline, degrees):
        canvas.fill(mark, colour, 0.92)


def _stripes(random: np.random.Generator, low: Points, high: Points, along_x: bool) -> list[Points]:
    """Three or four wavy strokes along one axis of the box."""
    axis, across = (0, 1) if along_x else (1, 0)
    count = 3 if along_x else int(random.integers(3, 5))
    size = high - low
    width = size[across] / (count * 2 + 1)
    wave = random.uniform(-0.25, 0.25) * width
    marks = []
    for index in range(count):
        middle = low[across] + width * (1.5 + 2 * index)
        points = np.zeros((4, 2))
        points[:, axis] = np.linspace(low[axis] - 0.1, high[axis] + 0.1, 4)
        points[:, across] = middle + wave * np.array([1, -1, 1, -1])
        marks.append(limb(points, width * 0.95, width * 0.95))
    return marks


def _spots(random: np.random.Generator, low: Points, high: Points) -> list[Points]:
    """Round spots on a shaken grid of the box."""
    size = high - low
    radius = 0.105 * float(np.sqrt(size[0] * size[1]))
    columns = max(2, round(size[0] / (radius * 3.1)))
    rows = max(2, round(size[1] / (radius * 3.1)))
    marks = []
    for row in range(rows):
        for column in range(columns):
            shift = (0.5 if row % 2 else 0.0) + random.uniform(-0.12, 0.12)
            x = low[0] + size[0] * (column + 0.28 + shift) / columns
            y = low[1] + size[1] * (row + 0.5 + random.uniform(-0.12, 0.12)) / rows
            marks.append(ellipse(x, y, radius, radius * random.uniform(0.85, 1.1)))
    return marks
