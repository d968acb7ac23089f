"""Which area holds each place, and how far its border is, kept while the areas stream by.

Memory follows the places and one batch of areas. One thread; the search for borders uses every
processor.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from atlas.geo.distance import TOLERANCE, PieceTree, cut_into_pieces, to_space
from atlas.geo.layers import CERTAIN, OR_OUTSIDE, OUTSIDE, UNKNOWN
from atlas.geo.outlines import Floats, Geometries
from indexer.layers.features import Features, lines_of
from indexer.layers.polygons import holders

Numbers = NDArray[np.int32]
# Borders are looked for this far: a record less certain than that is in no country for certain.
REACH_M = 100_000.0


class RunningCategory:
    """The smallest area seen so far that holds each of n places, and the borders near it."""

    def __init__(self, latitude: Floats, longitude: Floats, reach_m: Floats) -> None:
        """Places in degrees, and how far from each a border matters, metres; (n,) each."""
        self._latitude, self._longitude = latitude, longitude
        self._points = to_space(latitude, longitude)
        self._reach_m = np.minimum(reach_m, REACH_M) * (1 + 2 * TOLERANCE) + 1.0
        self._size = np.full(len(latitude), np.inf)
        self.value: Numbers = np.full(len(latitude), OUTSIDE, np.int32)
        # The two nearest borders, of different values.
        self._border_m = np.full((2, len(latitude)), np.inf)
        self._border_of: Numbers = np.zeros((2, len(latitude)), np.int32)

    def offer(self, features: Features, numbers: Numbers) -> None:
        """Take some areas into account; `numbers` has the value of each."""
        self._hold(features.geometry, numbers)
        if np.any(self._reach_m > 1.0):
            self._approach(features.geometry, numbers)

    def _hold(self, geometry: Geometries, numbers: Numbers) -> None:
        place, area = holders(geometry, self._latitude, self._longitude)
        size = _sizes(geometry)[area]
        # The smallest last, so that it is what stays.
        order = np.argsort(-size, kind="stable")
        place, area, size = place[order], area[order], size[order]
        smaller = size < self._size[place]
        self.value[place[smaller]] = numbers[area[smaller]]
        self._size[place[smaller]] = size[smaller]

    def _approach(self, geometry: Geometries, numbers: Numbers) -> None:
        lines = lines_of(geometry)
        if len(lines.line) == 0:
            return
        owner = numbers[lines.owner].astype(np.int64)
        tree = PieceTree(cut_into_pieces(lines.longitude, lines.latitude, lines.line, owner))
        first = tree.nearest(self._points, self._reach_m)
        self._take(first.distance_m, first.owner)
        near = np.flatnonzero(first.owner >= 0)
        second = tree.nearest(self._points[near], self._reach_m[near], first.owner[near])
        distance_m, of = np.full(len(self._points), np.inf), np.full(len(self._points), -1)
        distance_m[near], of[near] = second.distance_m, second.owner
        self._take(distance_m, of)

    def _take(self, distance_m: Floats, of: NDArray[np.int64]) -> None:
        """Put borders of a value among the two nearest of different values."""
        offered = of.astype(np.int32)
        same = (offered == self._border_of[0]) & np.isfinite(self._border_m[0])
        nearest = np.minimum(distance_m, self._border_m[0])
        self._border_m[0] = np.where(same, nearest, self._border_m[0])
        rest = np.where(same, np.inf, distance_m)
        ahead = rest < self._border_m[0]
        moved_m, moved_of = self._border_m[0].copy(), self._border_of[0].copy()
        self._border_m[0] = np.where(ahead, rest, self._border_m[0])
        self._border_of[0] = np.where(ahead, offered, self._border_of[0])
        rest = np.where(ahead, moved_m, rest)
        offered = np.where(ahead, moved_of, offered)
        behind = rest < self._border_m[1]
        # What was first may have been second before: then the second is dropped, not doubled.
        doubled = ahead & (self._border_of[1] == self._border_of[0])
        replaced = behind | doubled
        self._border_m[1] = np.where(replaced, rest, self._border_m[1])
        self._border_of[1] = np.where(replaced, offered, self._border_of[1])

    def of_rows(
        self, place: NDArray[np.int64], uncertainty_m: NDArray[np.float32]
    ) -> tuple[Numbers, Numbers]:
        """The value of each row, and another that its uncertainty reaches; (rows,) int32 each."""
        known = (place >= 0) & np.isfinite(uncertainty_m)
        if not known.any():
            nothing: Numbers = np.full(len(place), UNKNOWN, np.int32)
            return nothing, nothing
        at = np.where(known, place, 0)
        value = np.where(known, self.value[at], UNKNOWN)
        radius = np.where(known, uncertainty_m.astype(np.float64), 0.0)
        reached = self._border_m[:, at] * (1.0 - TOLERANCE) <= radius
        other = np.full(len(place), CERTAIN, np.int32)
        # A row of no value, too: it may lie in the area whose border it reaches.
        other[reached.any(axis=0)] = OR_OUTSIDE
        for rank in (1, 0):
            differs = reached[rank] & (self._border_of[rank, at] != value)
            other[differs] = self._border_of[rank, at][differs]
        other[~known | (radius > REACH_M)] = UNKNOWN
        return value.astype(np.int32), other


def _sizes(geometry: Geometries) -> Floats:
    """Sizes of areas for comparison: square degrees, less where meridians are near each other."""
    bounds = shapely.bounds(geometry)
    middle = np.radians((bounds[:, 1] + bounds[:, 3]) / 2)
    size: Floats = shapely.area(geometry) * np.cos(middle)
    return size
