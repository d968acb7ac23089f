"""The eight habitats that figures are drawn in.

Each painter knows its landscape only: first a vertical gradient, then shapes over it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from illustrated.drawing.canvas import Canvas, Points, ellipse, limb, smooth
from illustrated.drawing.colours import Colour, darker, lighter, mixed, varied

Random = np.random.Generator

_SKIES: dict[str, tuple[Colour, Colour]] = {
    "river": ((150, 205, 236), (214, 234, 214)),
    "lake": ((128, 186, 232), (236, 226, 206)),
    "forest": ((58, 104, 62), (128, 166, 92)),
    "desert": ((250, 190, 112), (253, 226, 166)),
    "snow": ((176, 204, 230), (236, 243, 250)),
    "reef": ((44, 158, 204), (8, 62, 122)),
    "night": ((10, 12, 44), (44, 48, 104)),
    "meadow": ((120, 192, 244), (214, 240, 246)),
}


def sky(random: Random, habitat: str, side_px: int) -> Image.Image:
    """The gradient behind everything, side_px square."""
    top, bottom = (np.array(varied(random, colour, 14)) for colour in _SKIES[habitat])
    share = np.linspace(0.0, 1.0, side_px)[:, None, None]
    rows = top * (1 - share) + bottom * share
    return Image.fromarray(np.repeat(rows, side_px, axis=1).astype(np.uint8))


def paint_habitat(canvas: Canvas, random: Random, habitat: str) -> None:
    """Draw the landscape of a habitat over its sky."""
    _PAINTERS[habitat](canvas, random)


def _ridge(canvas: Canvas, random: Random, y: float, height: float, colour: Colour) -> None:
    """A line of hills whose foot runs off the picture."""
    heights = y - height * random.random(6)
    corners = [(x, float(h)) for x, h in zip(np.linspace(-0.1, 1.1, 6), heights, strict=True)]
    crest = smooth(corners, closed=False)
    canvas.fill(np.concatenate([crest, [(1.2, 1.1), (-0.2, 1.1)]]), colour)


def _tufts(canvas: Canvas, random: Random, count: int, low: float, colour: Colour) -> None:
    """Blades of grass or reeds between y = `low` and the bottom."""
    for _ in range(count):
        x, y = random.random(), random.uniform(low, 1.0)
        height = random.uniform(0.05, 0.1)
        tone = mixed(colour, (220, 230, 120), random.uniform(0, 0.25))
        for lean in (-0.02, 0.0, 0.022):
            canvas.line([(x, y), (x + lean * 1.5, y - height)], tone, 0.008)


def _stones(canvas: Canvas, random: Random, count: int, low: float) -> None:
    for _ in range(count):
        x, y, size = random.random(), random.uniform(low, 0.98), random.uniform(0.02, 0.05)
        tone = varied(random, (136, 132, 126))
        canvas.fill(ellipse(x, y, size * 1.3, size * 0.8), darker(tone, 0.2))
        canvas.fill(ellipse(x - 0.005, y - 0.008, size * 1.1, size * 0.6), lighter(tone, 0.15))


def _river(canvas: Canvas, random: Random) -> None:
    """Green banks and a bright stream that winds down to the viewer."""
    _ridge(canvas, random, 0.42, 0.16, varied(random, (122, 170, 120)))
    bank = varied(random, (104, 160, 72))
    canvas.fill([(-0.1, 0.4), (1.1, 0.4), (1.1, 1.1), (-0.1, 1.1)], bank)
    bend = float(random.choice([-1.0, 1.0])) * random.uniform(0.16, 0.26)
    middle = 0.5 + random.uniform(-0.14, 0.14)
    y_along = np.linspace(0.4, 1.1, 24)
    depth = (y_along - 0.4) / 0.7
    x_along = middle + bend * np.sin(7.5 * np.sqrt(depth)) * (0.5 + 0.9 * depth)
    water = varied(random, (58, 142, 206))
    canvas.fill(_ribbon(x_along, y_along, 0.06 + 0.42 * depth), darker(bank, 0.35))
    canvas.fill(_ribbon(x_along, y_along, 0.04 + 0.38 * depth), water)
    canvas.fill(_ribbon(x_along, y_along, 0.01 + 0.15 * depth), lighter(water, 0.25), 0.7)
    for _ in range(14):
        y = random.uniform(0.5, 1.0)
        x = float(np.interp(y, y_along, x_along)) + random.uniform(-0.3, 0.3) * (y - 0.4)
        length = 0.03 + 0.09 * (y - 0.4)
        wave = smooth([(x - length, y), (x, y - 0.012), (x + length, y)], closed=False)
        canvas.line(wave, (228, 244, 252), 0.009, 0.85)
    _stones(canvas, random, 6, 0.6)
    for x in random.choice([0.04, 0.1, 0.9, 0.96], size=3, replace=False):
        _cattail(canvas, random, float(x))


def _ribbon(x_along: Points, y_along: Points, half_width: Points) -> Points:
    """A stretch of water around its middle line, `half_width` to the left and to the right."""
    left = np.stack([x_along - half_width, y_along], axis=1)
    right = np.stack([x_along + half_width, y_along], axis=1)
    return np.concatenate([left, right[::-1]])


def _cattail(canvas: Canvas, random: Random, x: float) -> None:
    top = random.uniform(0.5, 0.66)
    lean = random.uniform(-0.03, 0.03)
    canvas.line([(x, 1.0), (x + lean, top)], (70, 120, 50), 0.012)
    canvas.fill(ellipse(x + lean, top, 0.014, 0.05), (110, 70, 38))


def _lake(canvas: Canvas, random: Random) -> None:
    """Still water from shore to shore, with a mirrored far bank and lily pads."""
    shore = random.uniform(0.36, 0.44)
    hills = varied(random, (92, 128, 150))
    _ridge(canvas, random, shore, 0.22, hills)
    _ridge(canvas, random, shore, 0.08, varied(random, (62, 112, 84)))
    water = varied(random, (86, 152, 190))
    canvas.fill([(-0.1, shore), (1.1, shore), (1.1, 1.1), (-0.1, 1.1)], water)
    for step in range(5):
        y = shore + 0.02 + 0.035 * step
        canvas.fill(ellipse(0.5, y, 0.75, 0.012), mixed(water, hills, 0.7 - 0.12 * step), 0.8)
    for _ in range(9):
        y, x = random.uniform(shore + 0.1, 1.0), random.random()
        canvas.line([(x - 0.12, y), (x + 0.12, y)], lighter(water, 0.4), 0.006, 0.8)
    for _ in range(7):
        x, y = random.random(), random.uniform(0.66, 0.97)
        size = 0.035 + 0.05 * (y - 0.6)
        pad = ellipse(x, y, size * 1.5, size * 0.55)
        canvas.fill(pad, varied(random, (74, 146, 78)), edge=(44, 100, 56), edge_width=0.004)
        if random.random() < 0.35:
            canvas.disc(x, y - 0.015, 0.018, (250, 222, 236))


def _forest(canvas: Canvas, random: Random) -> None:
    """Trunks in three depths over a mossy floor."""
    for depth in range(3):
        share = depth / 2
        tone = mixed((96, 118, 78), (66, 46, 34), share)
        for _ in range(5 - depth):
            x, width = random.random(), 0.025 + 0.03 * depth * random.uniform(0.7, 1.3)
            foot = 0.7 + 0.1 * depth
            canvas.fill(
                limb([(x, -0.1), (x + random.uniform(-0.03, 0.03), foot)], width, width * 1.5), tone
            )
    floor = varied(random, (62, 88, 44))
    canvas.fill(
        np.concatenate(
            [
                smooth([(-0.1, 0.72), (0.3, 0.68), (0.7, 0.73), (1.1, 0.69)], closed=False),
                [(1.1, 1.1), (-0.1, 1.1)],
            ]
        ),
        floor,
    )
    for _ in range(10):
        x, y = random.random(), random.uniform(-0.02, 0.16)
        canvas.disc(x, y, random.uniform(0.07, 0.13), varied(random, (46, 104, 48)), 0.85)
    for _ in range(9):
        x, y = random.random(), random.uniform(0.76, 1.0)
        for lean in (-60, -30, 0, 30, 60):
            canvas.fill(
                ellipse(x + lean / 1400, y - 0.03, 0.009, 0.05, lean), varied(random, (84, 142, 62))
            )
    for _ in range(6):
        canvas.disc(random.random(), random.uniform(0.74, 1.0), 0.012, (168, 110, 52))


def _desert(canvas: Canvas, random: Random) -> None:
    """Dunes, a low sun and cacti."""
    canvas.disc(random.uniform(0.1, 0.9), random.uniform(0.1, 0.26), 0.1, (255, 244, 206), 0.9)
    for y, height, tone in (
        (0.56, 0.1, (232, 176, 108)),
        (0.68, 0.1, (224, 160, 88)),
        (0.84, 0.1, (238, 190, 120)),
    ):
        _ridge(canvas, random, y, height, varied(random, tone))
    for _ in range(int(random.integers(2, 4))):
        x, y, size = (
            float(random.choice([0.08, 0.2, 0.8, 0.92])),
            random.uniform(0.6, 0.8),
            random.uniform(0.16, 0.26),
        )
        green = varied(random, (84, 134, 76))
        canvas.fill(limb([(x, y), (x, y - size)], 0.05, 0.045), green)
        for side in (-1.0, 1.0):
            lift = random.uniform(0.35, 0.6) * size
            canvas.line(
                [(x, y - lift), (x + side * 0.05, y - lift), (x + side * 0.05, y - lift - 0.07)],
                green,
                0.028,
            )
    for _ in range(8):
        x, y = random.random(), random.uniform(0.78, 1.0)
        wave = smooth([(x - 0.09, y), (x, y - 0.012), (x + 0.09, y)], closed=False)
        canvas.line(wave, (206, 146, 78), 0.006, 0.7)


def _snow(canvas: Canvas, random: Random) -> None:
    """White slopes, firs under snow and falling flakes."""
    _ridge(canvas, random, 0.5, 0.24, (190, 206, 226))
    for _ in range(5):
        x, y = random.random(), random.uniform(0.5, 0.64)
        size = random.uniform(0.12, 0.22)
        for tier in range(3):
            top, half = y - size * (1.15 - 0.3 * tier), size * (0.2 + 0.12 * tier)
            low = top + size * 0.5
            canvas.fill([(x, top), (x + half, low), (x - half, low)], (58, 92, 88))
            canvas.fill(
                [
                    (x, top),
                    (x + half * 0.5, top + size * 0.22),
                    (x - half * 0.5, top + size * 0.22),
                ],
                (240, 246, 252),
            )
    _ridge(canvas, random, 0.68, 0.06, (226, 234, 244))
    _ridge(canvas, random, 0.84, 0.06, (246, 249, 253))
    for x, y, size in zip(
        random.random(36), random.random(36), random.uniform(0.005, 0.014, 36), strict=True
    ):
        canvas.disc(float(x), float(y), float(size), (255, 255, 255), 0.95)


def _reef(canvas: Canvas, random: Random) -> None:
    """Light from above, corals on the floor and rising bubbles."""
    for x in random.uniform(0.0, 1.0, size=3):
        canvas.fill(
            [(x, -0.1), (x + 0.08, -0.1), (x + 0.26, 0.8), (x - 0.06, 0.8)], (190, 236, 246), 0.16
        )
    _ridge(canvas, random, 0.86, 0.14, varied(random, (24, 92, 130)))
    _ridge(canvas, random, 0.96, 0.06, varied(random, (206, 186, 138)))
    for x in np.linspace(0.04, 0.96, 7) + random.uniform(-0.05, 0.05, 7):
        tone = varied(
            random,
            ((234, 96, 110), (246, 150, 90), (186, 90, 170), (240, 190, 90))[
                int(random.integers(4))
            ],
        )
        height = random.uniform(0.12, 0.28) * (0.6 + abs(x - 0.5))
        if random.random() < 0.6:
            for lean in (-0.07, -0.03, 0.0, 0.04, 0.08):
                tip = (x + lean, 0.96 - height * random.uniform(0.6, 1.0))
                canvas.line([(x, 0.98), (x + lean * 0.7, 0.92), tip], tone, 0.024)
                canvas.disc(*tip, 0.015, lighter(tone, 0.2))
        else:
            canvas.fill(ellipse(float(x), 0.97, 0.075, height * 0.5), tone)
            for dot in random.uniform(-0.05, 0.05, size=(5, 2)):
                canvas.disc(float(x + dot[0]), float(0.93 + dot[1]), 0.008, darker(tone, 0.3))
    for _ in range(12):
        x, y, size = random.random(), random.random(), random.uniform(0.006, 0.02)
        canvas.disc(x, y, size, (206, 240, 250), 0.6)
        canvas.disc(x, y, size * 0.65, (70, 170, 210), 0.6)


def _night(canvas: Canvas, random: Random) -> None:
    """Moon, stars and dark hills."""
    for x, y, size in zip(
        random.random(40), random.uniform(0, 0.7, 40), random.uniform(0.003, 0.008, 40), strict=True
    ):
        canvas.disc(float(x), float(y), float(size), (252, 246, 214), 0.95)
    x, y = float(random.choice([0.12, 0.24, 0.76, 0.88])), random.uniform(0.1, 0.24)
    canvas.disc(x, y, 0.12, (200, 206, 240), 0.25)
    canvas.disc(x, y, 0.08, (250, 244, 212))
    if random.random() < 0.5:
        canvas.disc(x + 0.035, y - 0.012, 0.066, _SKIES["night"][0])
    _ridge(canvas, random, 0.72, 0.14, varied(random, (26, 30, 70)))
    _ridge(canvas, random, 0.86, 0.1, varied(random, (14, 20, 46)))
    _tufts(canvas, random, 8, 0.88, (34, 56, 66))


def _meadow(canvas: Canvas, random: Random) -> None:
    """Blue sky with clouds over grass full of small flowers."""
    for _ in range(3):
        x, y = random.random(), random.uniform(0.05, 0.28)
        for shift in (-0.07, 0.0, 0.07):
            canvas.fill(
                ellipse(x + shift, y, 0.08, 0.035 + 0.02 * (shift == 0.0)), (255, 255, 255), 0.85
            )
    _ridge(canvas, random, 0.52, 0.1, varied(random, (136, 190, 98)))
    _ridge(canvas, random, 0.64, 0.06, varied(random, (124, 194, 74)))
    _tufts(canvas, random, 16, 0.62, (74, 150, 52))
    for _ in range(22):
        x, y = random.random(), random.uniform(0.6, 1.0)
        tone = ((255, 255, 250), (252, 222, 84), (238, 120, 150), (174, 140, 230))[
            int(random.integers(4))
        ]
        canvas.line([(x, y), (x, y + 0.03)], (84, 150, 60), 0.006)
        canvas.disc(x, y, 0.006 + 0.012 * (y - 0.5), tone)


_PAINTERS: dict[str, Callable[[Canvas, Random], None]] = {
    "river": _river,
    "lake": _lake,
    "forest": _forest,
    "desert": _desert,
    "snow": _snow,
    "reef": _reef,
    "night": _night,
    "meadow": _meadow,
}
