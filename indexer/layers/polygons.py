"""Which areas hold which places; areas may cross the antimeridian and go around a pole.

Pure functions of geometries in degrees; any thread.
"""

from __future__ import annotations

import numpy as np
import shapely

from atlas.geo.outlines import Floats, Geometries, Integers, short_way
from indexer.layers.features import is_area

_CHUNK = 262_144


def holders(geometry: Geometries, latitude: Floats, longitude: Floats) -> tuple[Integers, Integers]:
    """Pairs of a place and an area that holds it: numbers of places and of geometries.

    A place on an edge belongs to the area. A place may have several areas, or none.
    """
    areas = np.flatnonzero(is_area(geometry))
    if len(areas) == 0 or len(latitude) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    parts, owner = shapely.get_parts(geometry[areas], return_index=True)
    shapes = np.array([continuous(part) for part in parts], dtype=object)
    # The places are the tree and the areas are asked for: an area that is asked is prepared, and
    # tells of a place without a look at each of its vertices, of which a country has 100,000.
    shapely.prepare(shapes)
    west, south, east, north = shapely.total_bounds(shapes)
    found: list[tuple[Integers, Integers]] = []
    for turn in (-360.0, 0.0, 360.0):
        shifted = longitude + turn
        near = np.flatnonzero(
            (shifted >= west) & (shifted <= east) & (latitude >= south) & (latitude <= north)
        )
        for begin in range(0, len(near), _CHUNK):
            chosen = near[begin : begin + _CHUNK]
            places = shapely.STRtree(shapely.points(shifted[chosen], latitude[chosen]))
            shape, which = places.query(shapes, predicate="intersects")
            found.append((chosen[which], areas[owner[shape]]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # A place on a seam may be found on both sides of it.
    pairs = np.unique(np.concatenate([np.stack(pair) for pair in found], axis=1), axis=1)
    return pairs[0], pairs[1]


def continuous(area: shapely.Polygon) -> shapely.Polygon:
    """The same polygon with longitudes that do not jump; one around a pole is closed over it."""
    points = shapely.get_coordinates(area)
    jumps = np.abs(np.diff(points[:, 0])) > 180.0
    if not jumps.any():
        return area
    shell, *holes = (_continuous(shapely.get_coordinates(ring)) for ring in shapely.get_rings(area))
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    placed = []
    for hole in holes:
        turns = round((middle - hole[:, 0].mean()) / 360.0)
        placed.append(np.add(hole, [360.0 * turns, 0.0]))
    polygon = shapely.Polygon(shell, placed)
    return polygon if polygon.is_valid else shapely.make_valid(polygon)


def _continuous(ring: Floats) -> Floats:
    longitude = np.concatenate([[0.0], np.cumsum(short_way(np.diff(ring[:, 0])))]) + ring[0, 0]
    latitude = ring[:, 1]
    turned = longitude[-1] - longitude[0]
    if abs(turned) > 180.0:
        pole = 90.0 if latitude.mean() > 0 else -90.0
        longitude = np.concatenate([longitude, [longitude[-1], longitude[0], longitude[0]]])
        latitude = np.concatenate([latitude, [pole, pole, latitude[0]]])
    return np.stack([longitude, latitude], axis=1)
