"""Colours of maps, chosen so that colour-blind people and grey printers can tell them apart.

Ramps go from light to dark (ColorBrewer 2.0, by Cynthia Brewer: YlOrBr, YlGn, Blues, BuPu); the
four states are from the palette of Okabe and Ito (2008). Pure data.
"""

from __future__ import annotations

from typing import NamedTuple

from atlas.species.gaps import SamplingState
from atlas.species.layers import LayerName

Palette = tuple[str, ...]

PALETTES: dict[LayerName, Palette] = {
    "occurrence": (
        "#fee391", "#fec44f", "#fe9929", "#ec7014", "#cc4c02", "#993404", "#662506",
    ),
    "richness": (
        "#d9f0a3", "#addd8e", "#78c679", "#41ab5d", "#238443", "#006837", "#004529",
    ),
    "effort": (
        "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#084594",
    ),
    "completeness": (
        "#e0ecf4", "#bfd3e6", "#9ebcda", "#8c96c6", "#8c6bb1", "#88419d",
    ),
}  # fmt: skip
STATE_COLOURS: dict[SamplingState, str] = {
    "no_data": "#d55e00",
    "insufficient": "#f0e442",
    "under_sampled": "#56b4e9",
    "well_sampled": "#004c7f",
}


class Outlined(NamedTuple):
    """A face with an outline in another colour."""

    face: str
    edge: str


# For pictures: effort below the coloured records, and records less certain than the cells drawn.
EFFORT_GREYS: Palette = ("#d3d4d4", "#b7b9bb", "#97999c", "#74777b")
# Half transparent: what lies below an uncertain record must not be hidden by it.
COARSE = Outlined("#fec44f55", "#b5651d")
