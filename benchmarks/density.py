"""How many records lie where: the density that made-up occurrences follow.

From a table of lon, lat and n at a fixed spacing, such as GBIF's, or made up. Pure.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from atlas.geo.cells import cells_of
from atlas.species.cell_digits import digits_of

Floats = npt.NDArray[np.float64]
SPACING_DEG = 45.0 / 128.0
_ORDER_RESOLUTION = 5
_TOWNS = 400


class Density(NamedTuple):
    """Squares of `SPACING_DEG`, arrays (n,), neighbours near each other; `share` sums to 1.

    `before` is (n + 1,): the share of all squares before each.
    """

    latitude: Floats
    longitude: Floats
    share: Floats
    before: Floats


def read_density(path: Path) -> Density:
    """A density from a Parquet table with lon, lat and n."""
    table = pq.read_table(path)
    return _ordered(*(table[name].to_numpy().astype(np.float64) for name in ("lat", "lon", "n")))


def made_up_density(seed: int) -> Density:
    """Squares around towns, few of which have most of the records."""
    rng = np.random.default_rng(seed)
    latitude = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, _TOWNS)))
    longitude = rng.uniform(-180, 180, _TOWNS)
    size = 1.0 / np.arange(1, _TOWNS + 1)
    towns = rng.choice(_TOWNS, 40_000, p=size / size.sum())
    spread = rng.normal(0, 3.0, (2, len(towns)))
    lat = np.clip(latitude[towns] + spread[0], -85, 85)
    lon = (longitude[towns] + spread[1] + 180) % 360 - 180
    squares, n = np.unique(
        np.floor(np.stack([lat, lon]) / SPACING_DEG) + 0.5, axis=1, return_counts=True
    )
    return _ordered(squares[0] * SPACING_DEG, squares[1] * SPACING_DEG, n.astype(np.float64) ** 2)


def _ordered(latitude: Floats, longitude: Floats, n: Floats) -> Density:
    cells = cells_of(latitude, longitude, _ORDER_RESOLUTION)
    order = np.lexsort((longitude, latitude, digits_of(cells, _ORDER_RESOLUTION)))
    share = n[order] / n.sum()
    before = np.concatenate([np.zeros(1), np.cumsum(share)])
    return Density(latitude[order], longitude[order], share, before / before[-1])
