"""Where records are: those that may lie near a point, read without the others.

Threads: safe from any; two that ask first may both read the uncertain records.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from atlas.geo.circles import box_of_circle
from atlas.search.place_filters import Around
from atlas.search.place_sources import Places, PlaceSource, Ranges, joined

# Records less certain than one of these stay in memory, so that boxes need not reach so far.
_COARSE_M = (10_000.0, 30_000.0, 100_000.0, 300_000.0, 1_000_000.0)
# That many of them may, or one row in so many; 32 bytes each.
_MOST_COARSE, _COARSE_ONE_IN = 10_000, 100


class _Coarse(NamedTuple):
    """Records less certain than `above_m`; infinite, and no record, where they would be many."""

    above_m: float
    places: Places


class RecordedPlaces:
    """Finds the places of records in one bundle."""

    def __init__(self, source: PlaceSource) -> None:
        """Nothing is read before it is asked for."""
        self._source = source

    def near(self, around: Around, ranges: Ranges | None) -> Places:
        """Records that may lie near a point, and others, each once, by row id.

        None that may is missing. Ranges may share rows: those of a genus and of its species.
        """
        coarse = self._coarse
        box = box_of_circle(around.latitude, around.longitude, around.within_m + coarse.above_m)
        found = self._source.near(around, box, coarse.above_m, ranges)
        whole = joined([found, coarse.places.of(coarse.places.may_lie_near(around))])
        return whole.of(np.unique(whole.row_id, return_index=True)[1])

    @cached_property
    def _coarse(self) -> _Coarse:
        """The records that are so uncertain that boxes would have to reach far for them."""
        rows, above = self._source.numbers(_COARSE_M)
        most = max(_MOST_COARSE, rows // _COARSE_ONE_IN)
        fit = (metres for metres, count in zip(_COARSE_M, above, strict=True) if count <= most)
        above_m = next(fit, math.inf)
        return _Coarse(above_m, self._source.less_certain(above_m))
