"""The tones that one individual is painted in, mixed once from the words of its look."""

from __future__ import annotations

import msgspec
import numpy as np

from illustrated.drawing.colours import PALETTE, Colour, darker, lighter, marking, mixed, varied
from illustrated.looks import Look


class Tones(msgspec.Struct, frozen=True, kw_only=True):
    """Every paint a figure needs, as RGB."""

    body: Colour
    shade: Colour
    light: Colour
    belly: Colour
    edge: Colour
    mark: Colour
    accent: Colour
    accent_edge: Colour


def mix_tones(random: np.random.Generator, look: Look) -> Tones:
    """Paints of one individual: the palette's colours, a little off, with shade and light."""
    body = varied(random, PALETTE[look.body])
    accent = varied(random, PALETTE[look.accent], 7)
    return Tones(
        body=body,
        shade=darker(body, 0.22),
        light=lighter(body, 0.18),
        belly=mixed(lighter(body, 0.5), (250, 240, 214), 0.25),
        edge=darker(body, 0.55),
        mark=marking(body),
        accent=accent,
        accent_edge=darker(accent, 0.5),
    )
