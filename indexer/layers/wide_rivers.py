"""Whose water an area of rivers is: it is divided among the named rivers that flow in it.

The Amazon, the Rio Negro and the Tapajós are one area on the map; each part carries the name and
size class of the river that is nearest in it. Knows no package. Pure functions; one thread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyproj
import shapely

from atlas.geo.outlines import Floats, Geometries, Integers
from indexer.layers.named_rivers import Drawn

_GEOD = pyproj.Geod(ellps="WGS84")
# A tributary has a part from twice the area's mean width on: its mouth is the other river's.
_LEAST_WIDTHS = 2.0
# The lines' points for nearness, about a kilometre apart: an eighth of the Amazon's width.
_STEP_DEG = 0.01
_DECIMALS = 6


class Parts(NamedTuple):
    """Parts of areas, n of them, and what is known of the river in each; NaN and "" for nothing."""

    geometry: Geometries
    order: Floats
    name: list[str]
    code: list[str]


class _Inside(NamedTuple):
    """Pieces of rivers inside one area: their rivers' first lines, and their lengths in metres."""

    geometry: Geometries
    river: Integers
    length_m: Floats


def divided(areas: Geometries, drawn: Drawn) -> Parts:
    """Areas of rivers, polygons in degrees, by the rivers that are drawn inside them.

    The parts of an area together are the whole of it. An area without any line stays as it is.
    """
    areas = shapely.make_valid(areas)
    line, area = shapely.STRtree(areas).query(drawn.geometry, predicate="intersects")
    pieces = shapely.intersection(drawn.geometry[line], areas[area])
    length_m = np.array([_GEOD.geometry_length(piece) for piece in pieces], np.float64)
    river = _rivers_of(drawn)[line]
    geometry: list[shapely.Geometry] = []
    of: list[int] = []
    for at, whole in enumerate(areas):
        here = (area == at) & (length_m > 0)
        for part, one in _parts(whole, _Inside(pieces[here], river[here], length_m[here])):
            geometry.append(part)
            of.append(one)
    known = [one >= 0 for one in of]
    return Parts(
        np.array(geometry, dtype=object),
        np.where(known, np.append(drawn.order, np.nan)[of], np.nan),
        [drawn.name[one] if one >= 0 else "" for one in of],
        [drawn.code[one] if one >= 0 else "" for one in of],
    )


def _rivers_of(drawn: Drawn) -> Integers:
    """For each line the first line of the same river, which is one of its names and size; (n,)."""
    first: dict[tuple[str, str, str], int] = {}
    known = zip(drawn.name, drawn.code, drawn.order.astype(str).tolist(), strict=True)
    return np.array([first.setdefault(key, at) for at, key in enumerate(known)], np.int64)


def _parts(area: shapely.Geometry, inside: _Inside) -> list[tuple[shapely.Geometry, int]]:
    """Parts of an area, each with its river's first line; -1 where no river is inside."""
    rivers, of = np.unique(inside.river, return_inverse=True)
    if len(rivers) == 0:
        return [(area, -1)]
    length_m = np.bincount(of, inside.length_m)
    width_m = abs(_GEOD.geometry_area_perimeter(area)[0]) / length_m.sum()
    counts = length_m >= _LEAST_WIDTHS * width_m
    counts[np.argmax(length_m)] = True
    if np.count_nonzero(counts) == 1:
        return [(area, int(rivers[counts][0]))]
    kept = counts[of]
    found = []
    for one, near in _nearest(area, inside.geometry[kept], of[kept]):
        part = _areal(shapely.intersection(area, near))
        if not shapely.is_empty(part):
            found.append((part, int(rivers[one])))
    return found


def _nearest(
    area: shapely.Geometry, pieces: Geometries, owner: Integers
) -> list[tuple[int, shapely.Geometry]]:
    """Owners, and where each one's pieces are nearest; together they cover the area.

    Voronoi cells of points along the pieces, on a map where a degree of longitude is as long as it
    is in the area's middle latitude.
    """
    shrink = np.array([np.cos(np.radians(area.centroid.y)), 1.0])
    on_map = shapely.transform(pieces, lambda degrees: degrees * shrink)
    points, of = shapely.get_coordinates(shapely.segmentize(on_map, _STEP_DEG), return_index=True)
    # Where rivers meet the point is one of them's.
    points, first = np.unique(np.round(points, _DECIMALS), axis=0, return_index=True)
    around = shapely.transform(area, lambda degrees: degrees * shrink)
    cells = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=around, ordered=True)
    cells = shapely.transform(shapely.get_parts(cells), lambda flat: flat / shrink)
    owners = owner[of[first]]
    return [
        (one, shapely.coverage_union_all(cells[owners == one]))
        for one in np.unique(owners).tolist()
    ]


def _areal(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape without the points and lines that a cut leaves beside areas."""
    parts = shapely.get_parts(shape)
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])
