"""Distances to the nearest feature, kept as a running least while the features stream by.

Memory follows the places and one batch of features, never the source. One thread; the search
itself uses every processor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.geo.distance import PieceTree, cut_into_pieces, geodesic_m, to_space
from atlas.geo.outlines import Floats, Integers
from indexer.layers.features import Features, lines_of
from indexer.layers.polygons import holders

# Features of one order class and all greater ones; None stands for all, without an order.
Order = float | None


class RunningNearest:
    """The nearest of the features seen so far, for each of n places."""

    def __init__(self, latitude: Floats, longitude: Floats) -> None:
        """Places in degrees, (n,) each."""
        self._latitude, self._longitude = latitude, longitude
        self._points = to_space(latitude, longitude)
        self._least_m = np.full(len(latitude), np.inf)
        self._foot = self._points.copy()
        self.name: NDArray[np.int32] = np.zeros(len(latitude), np.int32)
        self.order = np.full(len(latitude), np.nan)

    def offer(self, features: Features, names: NDArray[np.int32]) -> None:
        """Take some features into account; `names` has the number of each one's name."""
        lines = lines_of(features.geometry)
        if len(lines.line):
            tree = PieceTree(
                cut_into_pieces(lines.longitude, lines.latitude, lines.line, lines.owner)
            )
            found = tree.nearest(self._points, self._least_m)
            near = np.flatnonzero(found.owner >= 0)
            self._take(
                near, found.distance_m[near], found.foot[near], found.owner[near], features, names
            )
        place, owner = holders(features.geometry, self._latitude, self._longitude)
        zero = np.zeros(len(place))
        self._take(place, zero, self._points[place], owner, features, names)

    def _take(
        self,
        places: Integers,
        distance_m: Floats,
        foot: Floats,
        owner: Integers,
        features: Features,
        names: NDArray[np.int32],
    ) -> None:
        self._least_m[places] = distance_m
        self._foot[places] = foot
        self.name[places] = names[owner]
        self.order[places] = features.order[owner]

    def distance_m(self) -> Floats:
        """Geodesic distance to the nearest feature, (n,); infinite where there is none at all."""
        metres = np.full(len(self._points), np.inf)
        found = np.flatnonzero(np.isfinite(self._least_m))
        metres[found] = geodesic_m(self._latitude[found], self._longitude[found], self._foot[found])
        metres[self._least_m == 0.0] = 0.0
        return metres


def of_order(
    features: Features, names: NDArray[np.int32], order: Order
) -> tuple[Features, NDArray[np.int32]]:
    """Those features that are of this order or a greater one; all for None."""
    if order is None:
        return features, names
    chosen = np.flatnonzero(features.order >= order)
    kept = Features(
        features.geometry[chosen],
        features.order[chosen],
        [features.name[i] for i in chosen],
        [features.code[i] for i in chosen],
        features.first,
    )
    return kept, names[chosen]
