"""Distances on the WGS84 ellipsoid from points to lines: edges cut into pieces, the nearest found.

Knows nothing of files, cells or records. Pure functions and immutable trees: any thread may ask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from atlas.geo.outlines import Floats, Integers, short_way

# WGS84: equatorial radius and first eccentricity squared.
EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_2 = _FLATTENING * (2 - _FLATTENING)
_GEOD = pyproj.Geod(ellps="WGS84")
# The chord of a piece this long lies 8 cm below the ground.
PIECE_M = 2_000.0
# A neighbour that may be this much nearer than the one found is not looked for: far from every
# line many pieces are as near as each other, and nobody can tell.
TOLERANCE = 0.001
_FIRST_NEIGHBOURS, _MORE = 4, 4
_PAIRS = 1_000_000
_CHUNK = 65_536


class Pieces(NamedTuple):
    """Short straight pieces of lines, n of them, in metres from the earth's centre.

    A point is a piece that begins where it ends. `owner` is what the piece is a part of.
    """

    start: Floats  # (n, 3)
    end: Floats  # (n, 3)
    owner: Integers  # (n,)


class Nearest(NamedTuple):
    """For n points the nearest piece: its straight distance, its owner, and the place on it.

    Distance is infinite and owner -1 where no piece was near enough. Metres.
    """

    distance_m: Floats  # (n,)
    owner: Integers  # (n,)
    foot: Floats  # (n, 3)


def to_space(latitude: ArrayLike, longitude: ArrayLike) -> Floats:
    """Points on the WGS84 ellipsoid in metres from the earth's centre, (n, 3)."""
    lat, lon = np.radians(np.asarray(latitude, np.float64)), np.radians(longitude)
    normal = EQUATOR_M / np.sqrt(1.0 - _ECCENTRICITY_2 * np.sin(lat) ** 2)
    across = normal * np.cos(lat)
    up = normal * (1.0 - _ECCENTRICITY_2) * np.sin(lat)
    return np.stack([across * np.cos(lon), across * np.sin(lon), up], axis=-1)


def from_space(points: Floats) -> tuple[Floats, Floats]:
    """Latitude and longitude of points on the ellipsoid or within metres of it, degrees."""
    x, y, z = points.T
    latitude = np.degrees(np.arctan2(z, (1.0 - _ECCENTRICITY_2) * np.hypot(x, y)))
    return latitude, np.degrees(np.arctan2(y, x))


def geodesic_m(latitude: Floats, longitude: Floats, foot: Floats) -> Floats:
    """Length of the geodesic from each point to its foot, (n,); Karney's method, as in PROJ."""
    foot_latitude, foot_longitude = from_space(foot)
    _, _, metres = _GEOD.inv(longitude, latitude, foot_longitude, foot_latitude)
    return np.asarray(metres, np.float64)


def most_m(straight_m: Floats) -> Floats:
    """The longest that a geodesic between points so far apart in a straight line can be, metres.

    Nowhere does the ellipsoid bend more than a circle of radius a (1 - e^2), the meridian at the
    equator; a curve that bends no more than a circle has no shorter chord than the circle's arc of
    its length (Schur's theorem).
    """
    narrowest_m = EQUATOR_M * (1.0 - _ECCENTRICITY_2)
    most: Floats = 2.0 * narrowest_m * np.arcsin(np.minimum(straight_m / (2.0 * narrowest_m), 1.0))
    # Chords longer than that circle's are of points nearly opposite: half an equator at most.
    return np.where(straight_m < 2.0 * narrowest_m, most, np.pi * EQUATOR_M)


def cut_into_pieces(
    longitude: ArrayLike, latitude: ArrayLike, line: ArrayLike, owner: ArrayLike
) -> Pieces:
    """Cut lines into pieces of at most about `PIECE_M`.

    Vertices in degrees (n,), `line` the number of each vertex' line, ascending, `owner` one a line.
    An edge is straight in longitude and latitude, as it is drawn on a map, and goes the short way
    across the antimeridian. A line of one vertex is a point.
    """
    lon, lat = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
    lines = np.asarray(line, np.int64)
    owners = np.asarray(owner, np.int64)
    first = np.flatnonzero(np.diff(lines, prepend=-1) != 0)
    lengths = np.diff(np.append(first, len(lines)))
    begins = np.flatnonzero(lines[1:] == lines[:-1])
    across, up = short_way(lon[begins + 1] - lon[begins]), lat[begins + 1] - lat[begins]
    widest = np.cos(np.radians(np.minimum(np.abs(lat[begins]), np.abs(lat[begins + 1]))))
    long_m = np.radians(np.hypot(across * widest, up)) * EQUATOR_M
    count = np.maximum(1, np.ceil(long_m / PIECE_M)).astype(np.int64)
    of = np.repeat(np.arange(len(begins)), count)
    step = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    begin = begins[of]
    start, end = (
        to_space(lat[begin] + share * up[of], lon[begin] + share * across[of])
        for share in (step / count[of], (step + 1) / count[of])
    )
    alone = first[lengths == 1]
    points = to_space(lat[alone], lon[alone])
    return Pieces(
        np.concatenate([start, points]),
        np.concatenate([end, points]),
        owners[np.concatenate([lines[begin], lines[alone]])],
    )


class PieceTree:
    """Pieces that can be asked for the nearest of a point."""

    def __init__(self, pieces: Pieces) -> None:
        """Build the tree, about a microsecond a piece."""
        self._pieces = pieces
        middle = (pieces.start + pieces.end) / 2
        self._tree = cKDTree(middle, balanced_tree=False, compact_nodes=False)
        lengths = np.linalg.norm(pieces.end - pieces.start, axis=1)
        self._half_m = float(lengths.max(initial=0.0)) / 2
        self._least: Floats = middle.min(axis=0, initial=np.inf)
        self._most: Floats = middle.max(axis=0, initial=-np.inf)

    def nearest(
        self, points: Floats, within_m: ArrayLike = np.inf, other_than: Integers | None = None
    ) -> Nearest:
        """The nearest piece of each point (n, 3) among those nearer than `within_m` (n,).

        With `other_than` (n,), among those of another owner. The distance is that to a piece, never
        less than the least, and at most `TOLERANCE` more.
        """
        found = Nearest(
            np.full(len(points), np.inf),
            np.full(len(points), -1, np.int64),
            np.zeros((len(points), 3)),
        )
        bound = np.broadcast_to(np.asarray(within_m, np.float64), len(points))
        beyond = np.maximum(self._least - points, points - self._most).clip(min=0.0)
        near = np.flatnonzero(np.linalg.norm(beyond, axis=1) - self._half_m < bound)
        # The tree takes one bound for all points of a call: points of like bounds go together.
        near = near[np.argsort(_magnitude(bound[near]), kind="stable")]
        search = _Search(self, points, bound, other_than, found)
        for begin in range(0, len(near), _CHUNK):
            search.run(near[begin : begin + _CHUNK])
        return found

    def candidates(
        self, points: Floats, neighbours: int, within_m: float
    ) -> tuple[Floats, Integers, NDArray[np.bool_]]:
        """So many pieces whose middles are nearest, nearest first, within a bound.

        Distances to middles, numbers of pieces, and whether there is one at all; (n, neighbours).
        """
        middle_m, index = self._tree.query(
            points,
            k=[*range(1, neighbours + 1)],
            distance_upper_bound=within_m + self._half_m,
            workers=-1,
        )
        known = index < self.count
        return middle_m, np.where(known, index, 0), known

    @property
    def count(self) -> int:
        """Number of pieces."""
        return int(self._tree.n)

    @property
    def half_m(self) -> float:
        """Half the length of the longest piece."""
        return self._half_m

    @property
    def pieces(self) -> Pieces:
        """What the tree is made of."""
        return self._pieces


class _Search(NamedTuple):
    """Searches of many points, which ask for more neighbours where they may matter."""

    tree: PieceTree
    points: Floats
    bound: Floats
    other_than: Integers | None
    found: Nearest

    def run(self, chosen: Integers) -> None:
        """Fill `found` for the chosen points."""
        neighbours = min(_FIRST_NEIGHBOURS, self.tree.count)
        while len(chosen):
            size = max(1, _PAIRS // neighbours)
            parts = [chosen[begin : begin + size] for begin in range(0, len(chosen), size)]
            chosen = np.concatenate([part[self._ask(part, neighbours)] for part in parts])
            neighbours = min(neighbours * _MORE, self.tree.count)

    def _ask(self, part: Integers, neighbours: int) -> NDArray[np.bool_]:
        """Look at so many neighbours of each point; tells which may have a nearer one."""
        points, bound, pieces = self.points[part], self.bound[part], self.tree.pieces
        middle_m, index, known = self.tree.candidates(points, neighbours, float(bound.max()))
        feet = _feet(points[:, None], pieces.start[index], pieces.end[index])
        distance = np.linalg.norm(feet - points[:, None], axis=2)
        fits = known
        if self.other_than is not None:
            fits = known & (pieces.owner[index] != self.other_than[part][:, None])
        distance[~fits] = np.inf
        best = distance.argmin(axis=1)
        rows = np.arange(len(part))
        least = distance[rows, best]
        better = least < bound
        self.found.distance_m[part[better]] = least[better]
        self.found.owner[part[better]] = pieces.owner[index[rows, best]][better]
        self.found.foot[part[better]] = feet[rows, best][better]
        if neighbours == self.tree.count:
            return np.zeros(len(part), np.bool_)
        # No piece that was not looked at is nearer than this.
        unseen = middle_m[:, -1] - self.tree.half_m
        unsure: NDArray[np.bool_] = known[:, -1] & (
            unseen < np.minimum(least * (1.0 - TOLERANCE), bound)
        )
        return unsure


def _magnitude(metres: Floats) -> Floats:
    """Distances in steps of a factor of two, for sorting."""
    return np.ceil(np.log2(np.maximum(metres, 1.0)))


def _feet(points: Floats, start: Floats, end: Floats) -> Floats:
    """The place nearest to each point on each piece; arrays that broadcast to (n, k, 3)."""
    along = end - start
    length_2 = np.einsum("...i,...i", along, along)
    share = np.einsum("...i,...i", points - start, along) / np.where(length_2 > 0, length_2, 1.0)
    feet: Floats = start + np.clip(share, 0.0, 1.0)[..., None] * along
    return feet
