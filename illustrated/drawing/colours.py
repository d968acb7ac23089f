"""The colours that the words stand for, and how light changes them. Pure functions."""

from __future__ import annotations

import numpy as np

Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "red": (206, 34, 38),
    "orange": (240, 128, 24),
    "yellow": (247, 215, 50),
    "green": (76, 164, 62),
    "blue": (44, 104, 210),
    "purple": (132, 58, 178),
    "pink": (248, 148, 192),
    "brown": (120, 76, 42),
    "black": (40, 38, 42),
    "white": (246, 245, 240),
    "grey": (140, 145, 152),
}


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with `share` (0-1) of `second` stirred in."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` in shade."""
    return mixed(colour, (18, 16, 24), share)


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` in light."""
    return mixed(colour, (255, 252, 244), share)


def marking(colour: Colour) -> Colour:
    """The tone of stripes and spots on a body of this colour: dark, or light on a dark body."""
    brightness = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    return lighter(colour, 0.45) if brightness < 70 else darker(colour, 0.55)


def varied(random: np.random.Generator, colour: Colour, spread: int = 11) -> Colour:
    """`colour` as one individual shows it: a little off in hue and brightness."""
    shift = random.integers(-spread, spread + 1, size=3) // 2 + random.integers(-spread, spread + 1)
    red, green, blue = (int(min(255, max(0, c + s))) for c, s in zip(colour, shift, strict=True))
    return red, green, blue
