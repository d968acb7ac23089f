"""Where taxa live, on land or at sea, and what a visit for them meets, region by region.

Measured over the whole atlas and kept. Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.geo.cells import parent
from atlas.geo.outlines import Cells
from atlas.species.gap_answers import Habitat, Lives
from atlas.species.gap_area import Shares
from atlas.species.gap_counts import GroupCounts, count_group
from atlas.species.gaps import GapSettings
from atlas.species.occupancy import Occupancy

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int8]
# At this resolution a cell is small beside a coast, and the whole earth is one quick read.
_RESOLUTION = 4
# A region is a cell of one of these resolutions, 600,000 and 4,300,000 km² on average.
_REGIONS = (1, 0)
_LEAST_VISITS = 10
_KEPT = 1_000
WHOLE_ATLAS = -1


class Means(NamedTuple):
    """Species (weighted) in a visit, of regions by resolution and of the whole atlas."""

    regions: Mapping[int, tuple[Cells, Floats]]
    whole: float

    def at(self, cells: Cells, resolution: int) -> tuple[Floats, Levels]:
        """The mean of the smallest region with visits enough around each of n cells, (n,).

        And that region's resolution, `WHOLE_ATLAS` where there is none.
        """
        mean = np.full(len(cells), self.whole)
        level = np.full(len(cells), WHOLE_ATLAS, np.int8)
        for coarse, (regions, means) in sorted(self.regions.items()):
            if coarse <= resolution and len(regions):
                holders = parent(cells, coarse)
                place = np.minimum(np.searchsorted(regions, holders), len(regions) - 1)
                there = regions[place] == holders
                mean[there] = means[place[there]]
                level[there] = coarse
        return mean, level


class Home(NamedTuple):
    """Where taxa live, what a visit for them meets, and whether any visit is known."""

    lives: Lives
    means: Means
    visited: bool


class Habitats:
    """Measures homes of taxa and keeps them."""

    def __init__(
        self,
        occupancy: Occupancy,
        land_share: Callable[[Cells], Shares],
        settings: GapSettings,
    ) -> None:
        self._occupancy = occupancy
        self._land_share = land_share
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: LRUCache[tuple[int, tuple[tuple[int, float], ...]], Home] = LRUCache(_KEPT)

    def of(self, group_id: int, weights: Mapping[int, float]) -> Home:
        """The home of weighted taxa whose target group is this one."""
        key = (group_id, tuple(sorted(weights.items())))
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            resolution = min(_RESOLUTION, self._occupancy.finest)
            counted = count_group(self._occupancy, group_id, weights, resolution)
            visited = bool(counted.counts.visits.any())
            found = Home(self._lives(counted), means_of(counted, resolution), visited)
            with self._lock:
                self._kept[key] = found
        return found

    def habitable(self, land_share: Shares, on: Habitat) -> npt.NDArray[np.bool_]:
        """Which cells, of such land shares, may hold taxa that live there; bool (n,)."""
        least = self._settings.least_habitat
        if on == "land":
            return land_share >= least
        if on == "sea":
            return land_share <= 1.0 - least
        return np.ones(len(land_share), np.bool_)

    def _lives(self, counted: GroupCounts) -> Lives:
        recorded = counted.own_n > 0
        if not recorded.any():
            return Lives(on="land and sea", land_share=None)
        shares = self._land_share(counted.counts.cell[recorded]).astype(np.float64)
        share = float(np.average(shares, weights=counted.own_n[recorded]))
        on: Habitat = "land and sea"
        if share >= self._settings.habitat_share:
            on = "land"
        elif share <= 1.0 - self._settings.habitat_share:
            on = "sea"
        return Lives(on=on, land_share=round(share, 4))


def means_of(counted: GroupCounts, resolution: int) -> Means:
    """Species in a visit, of every region with visits enough and of the whole."""
    visits = counted.counts.visits.astype(np.float64)
    regions = {}
    for coarse in _REGIONS:
        if coarse <= resolution:
            holders, place = np.unique(parent(counted.counts.cell, coarse), return_inverse=True)
            effort = np.bincount(place, visits, len(holders))
            total = np.bincount(place, counted.incidences, len(holders))
            enough = effort >= _LEAST_VISITS
            regions[coarse] = (holders[enough], total[enough] / effort[enough])
    whole = float(counted.incidences.sum() / visits.sum()) if visits.any() else 0.0
    return Means(regions, whole)
