"""Distances to the nearest feature, kept as a running least while the features stream by.

Memory follows the places and one batch of features, never the source. One thread; the search
itself uses every processor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from atlas.geo.distance import PieceTree, cut_into_pieces, geodesic_m, to_space
from atlas.geo.outlines import Floats, Integers
from indexer.layers.features import Features, lines_of
from indexer.layers.polygons import holders

# Features of one order class and all greater ones; None stands for all, without an order.
Order = float | None
_PART = 1_000_000


class Spots:
    """Places that several searches share: in degrees and in space, (n,) and (n, 3)."""

    def __init__(self, latitude: Floats, longitude: Floats) -> None:
        """Places in degrees, (n,) each."""
        self.latitude, self.longitude = latitude, longitude
        self.points = to_space(latitude, longitude)

    def parts(self) -> Iterator[slice]:
        """Slices of places that are looked at together."""
        for first in range(0, len(self.latitude), _PART):
            yield slice(first, first + _PART)


class RunningNearest:
    """The nearest of the features seen so far, for each of n places: 28 bytes a place."""

    def __init__(self, spots: Spots) -> None:
        """Nothing is near yet."""
        self._spots = spots
        count = len(spots.latitude)
        self._straight_m = np.full(count, np.inf)
        self._metres = np.full(count, np.inf)
        self.name: NDArray[np.int32] = np.zeros(count, np.int32)
        self.order = np.full(count, np.nan)

    def offer(self, features: Features, names: NDArray[np.int32]) -> None:
        """Take some features into account; `names` has the number of each one's name."""
        spots, lines = self._spots, lines_of(features.geometry)
        if len(lines.line):
            tree = PieceTree(
                cut_into_pieces(lines.longitude, lines.latitude, lines.line, lines.owner)
            )
            for part in spots.parts():
                found = tree.nearest(spots.points[part], self._straight_m[part])
                near = np.flatnonzero(found.owner >= 0)
                places = near + part.start
                self._metres[places] = geodesic_m(
                    spots.latitude[places], spots.longitude[places], found.foot[near]
                )
                self._straight_m[places] = found.distance_m[near]
                self._name(places, found.owner[near], features, names)
        places, owner = holders(features.geometry, spots.latitude, spots.longitude)
        self._metres[places] = self._straight_m[places] = 0.0
        self._name(places, owner, features, names)

    def _name(
        self, places: Integers, owner: Integers, features: Features, names: NDArray[np.int32]
    ) -> None:
        self.name[places] = names[owner]
        self.order[places] = features.order[owner]

    def distance_m(self) -> Floats:
        """Geodesic distance to the nearest feature, (n,); infinite where there is none at all."""
        return self._metres


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
