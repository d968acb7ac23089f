"""Made-up rivers, as many as there are in the largest real data sets, and true distances to lines.

Pure functions of the generators that are passed in, but for the file that is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from scipy.spatial import cKDTree

from atlas.geo.distance import Pieces, from_space, to_space
from atlas.geo.outlines import Flags, Geometries

Floats = npt.NDArray[np.float64]

_VERTICES = 8
_STEP_DEG = 0.006
_BATCH = 100_000
_GEOD = pyproj.Geod(ellps="WGS84")
# The oracle looks at points this far apart on every piece that may be nearest.
_FINE_M = 20.0


def random_places(count: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Places all over the earth, even by area; a twentieth each at a pole and the antimeridian."""
    latitude = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    longitude = random.uniform(-180, 180, count)
    twentieth = count // 20
    latitude[:twentieth] = np.copysign(random.uniform(88, 90, twentieth), latitude[:twentieth])
    east = random.uniform(179.5, 180.5, twentieth)
    longitude[twentieth : 2 * twentieth] = np.where(east > 180, east - 360, east)
    return latitude, longitude


def places_by(areas: Geometries, count: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Places within 0.05 degrees of the shores of polygons, water and land; (count,) each."""
    shores = shapely.get_coordinates(areas)
    chosen = shores[random.integers(0, len(shores), count)]
    longitude, latitude = (chosen + random.uniform(-0.05, 0.05, (count, 2))).T
    return np.clip(latitude, -90, 90), (longitude + 180) % 360 - 180


def are_inside(areas: Geometries, latitude: Floats, longitude: Floats) -> Flags:
    """Whether a polygon holds each place, by trying every polygon; bool (n,)."""
    found = np.zeros(len(latitude), np.bool_)
    for area in areas:
        west, south, east, north = area.bounds
        near = (south <= latitude) & (latitude <= north) & (west <= longitude) & (longitude <= east)
        tried = np.flatnonzero(near & ~found)
        found[tried] = shapely.intersects_xy(area, longitude[tried], latitude[tried])
    return found


def write_reaches(
    path: Path, count: int, random: np.random.Generator, progress: Callable[[int], None]
) -> None:
    """A GeoParquet file of reaches of about four kilometres, with Strahler orders from 1 to 9."""
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["LineString"]}},
    }
    schema = pa.schema([("geometry", pa.binary()), ("order", pa.int8())], {"geo": json.dumps(geo)})
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, count, _BATCH):
            some = min(_BATCH, count - first)
            latitude = np.degrees(np.arcsin(random.uniform(-0.95, 0.95, some)))
            longitude = random.uniform(-180, 180, some)
            steps = random.normal(0, _STEP_DEG, (2, some, _VERTICES)).cumsum(axis=2)
            across = steps[0] / np.cos(np.radians(latitude))[:, None]
            lon = (longitude[:, None] + across + 180) % 360 - 180
            lines = shapely.linestrings(np.stack([lon, latitude[:, None] + steps[1]], axis=2))
            order = np.minimum(random.geometric(0.5, some), 9).astype(np.int8)
            wkb = pa.array(shapely.to_wkb(lines), pa.binary())
            writer.write_batch(pa.record_batch([wkb, order], schema=schema))
            progress(some)


def true_distances_m(latitude: Floats, longitude: Floats, pieces: Pieces) -> Floats:
    """Geodesic distances to the nearest of the pieces, found by trying: (n,) metres.

    Every piece whose middle is within reach of the nearest one is tried at points 20 m apart, each
    by PROJ's geodesic. Shares nothing with the search but the pieces.
    """
    middle = (pieces.start + pieces.end) / 2
    half_m = np.linalg.norm(pieces.end - pieces.start, axis=1).max() / 2
    share = np.linspace(0, 1, 1 + int(np.ceil(2 * half_m / _FINE_M)))[:, None]
    points = to_space(latitude, longitude)
    tree = cKDTree(middle)
    least = np.empty(len(points))
    for at, point in enumerate(points):
        near_m, _ = tree.query(point)
        # Straight distances and geodesics differ by an order that a hundredth covers.
        reach = (near_m + 2 * half_m) * 1.01
        tried = np.asarray(tree.query_ball_point(point, reach), np.int64)
        tried = tried[np.argsort(np.linalg.norm(middle[tried] - point, axis=1))][:5_000]
        start, along = pieces.start[tried], (pieces.end - pieces.start)[tried]
        dense = (start[:, None] + share * along[:, None]).reshape(-1, 3)
        lat, lon = from_space(dense)
        count = len(lat)
        here = (np.full(count, longitude[at]), np.full(count, latitude[at]))
        _, _, metres = _GEOD.inv(*here, lon, lat)
        least[at] = np.min(metres)
    return least
