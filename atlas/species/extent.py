"""Extent of occurrence and area of occupancy of a set of points (IUCN 2012, criterion B).

Preliminary figures, not an IUCN assessment: nobody checked the records, and cultivated, vagrant
or historical ones count. Pure functions of coordinates; any thread. Knows nothing of taxa, cells
or the catalog.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod, Transformer

Floats = NDArray[np.float64]

_GEOD = Geod(ellps="WGS84")
_EARTH_KM2 = 510_065_621.724  # area of the WGS84 ellipsoid
# A geodesic turns over the other side of the Earth when its ends are half a turn apart, so the
# edges of a belt that wide are cut into steps.
_STEP_DEG = 1.0
# A range lies over a pole when all of it is on that side of this latitude and surrounds the pole,
# or comes so near that longitudes say nothing.
_POLAR_DEG, _AT_THE_POLE_DEG = 45.0, 85.0

# Grid of EPSG:6933, equal-area on WGS84: 34,734 km around. Columns are 2 km wide but for two parts
# in a million, so that a whole number goes around the Earth and no cell is cut at 180 degrees.
_CELL_M = 2_000.0
_CELL_KM2 = 4.0
_COLUMNS = 17_367
# Grid origins tried along each axis: every half kilometre.
_ORIGINS = 4


def extent_of_occurrence_km2(lat: ArrayLike, lon: ArrayLike) -> float | None:
    """Area in km² of the convex hull of the points; None below three different points.

    `lat`, `lon` (n,): degrees on WGS84. The hull is drawn in longitude and latitude, unwrapped
    where the widest gap in longitude is, so that the antimeridian cuts nothing; over a pole it is
    drawn in the azimuthal equidistant projection. The area is geodesic. As the guidelines ask, it
    is never below the area of occupancy, not even where the points lie in a line.

    IUCN Red List guidelines 15 (2022), 4.9; published values from the ConR package (Dauby et al.
    2017, Ecol. Evol. 7:11292). The hull holds sea and unsuitable land; a range wider than half a
    turn is a belt whose hull follows its parallels. `ValueError` for coordinates out of range.
    """
    latitude, longitude = _distinct(lat, lon)
    if len(latitude) < 3:
        return None
    east = _unwrapped(longitude)
    width = float(np.ptp(east))
    if _over_a_pole(latitude, width):
        hull_lon, hull_lat = _polar_hull(latitude, longitude)
    else:
        hull_lon, hull_lat = _hull(east, latitude)
        if width >= 180.0 and len(hull_lon):
            line = shapely.segmentize(shapely.linearrings(hull_lon, hull_lat), _STEP_DEG)
            hull_lon, hull_lat = shapely.get_coordinates(line).T
    area_km2 = 0.0
    if len(hull_lon):
        area_km2 = _GEOD.polygon_area_perimeter(hull_lon, hull_lat)[0] / 1e6
        if area_km2 < 0.0:  # a belt of more than half the Earth comes as what it leaves
            area_km2 += _EARTH_KM2
    return max(area_km2, area_of_occupancy_km2(latitude, longitude))


def area_of_occupancy_km2(lat: ArrayLike, lon: ArrayLike) -> float:
    """Number of occupied 2 x 2 km cells times 4 km²; 0 without points.

    `lat`, `lon` (n,): degrees on WGS84. Cells of the global equal-area grid EPSG:6933 (cylindrical:
    at 60° they are 1.2 km wide and 3.5 km high on the ground, and beyond 86° mere slivers); the
    least number over sixteen grid origins, half a kilometre apart. Another record never makes it
    smaller. H3 cells are no such cells: their areas differ.

    IUCN Red List guidelines 15 (2022), 4.10. Says what was recorded, not what is occupied: it
    grows with effort. `ValueError` for coordinates out of range.
    """
    latitude, longitude = _distinct(lat, lon)
    if not len(latitude):
        return 0.0
    x, y = _equal_area().transform(longitude, latitude)
    across, _ = _equal_area().transform(180.0, 0.0)
    columns = np.floor((x / (2.0 * across) + 0.5) * _COLUMNS * _ORIGINS).astype(np.int64)
    rows = np.floor(y / _CELL_M * _ORIGINS).astype(np.int64)
    fewest = min(
        _occupied(columns + across_shift, rows + up_shift)
        for across_shift in range(_ORIGINS)
        for up_shift in range(_ORIGINS)
    )
    return fewest * _CELL_KM2


def _occupied(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> int:
    """Distinct cells of quarter cells; the last column lies beside the first."""
    around = (columns // _ORIGINS) % _COLUMNS
    # Sorting is a hundred times faster here than numpy's `unique`, which hashes.
    ordered = np.sort(rows // _ORIGINS * _COLUMNS + around)
    return 1 + int(np.count_nonzero(np.diff(ordered)))


@cache
def _equal_area() -> Transformer:
    return Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)


def _distinct(lat: ArrayLike, lon: ArrayLike) -> tuple[Floats, Floats]:
    """The different points, longitudes from -180 to below 180, and 0 at a pole."""
    latitude = np.asarray(lat, np.float64)
    longitude = np.asarray(lon, np.float64)
    if latitude.ndim != 1 or latitude.shape != longitude.shape:
        raise ValueError(f"latitude has shape {latitude.shape}, longitude {longitude.shape}")
    if not ((np.abs(latitude) <= 90.0) & (np.abs(longitude) <= 180.0)).all():
        raise ValueError("a coordinate is unknown or out of range")
    longitude = np.where(longitude == 180.0, -180.0, longitude)
    longitude = np.where(np.abs(latitude) == 90.0, 0.0, longitude)
    # As complex numbers, which sort ten times faster than rows of two.
    found = np.unique(latitude + 1j * longitude)
    return np.ascontiguousarray(found.real), np.ascontiguousarray(found.imag)


def _unwrapped(longitude: Floats) -> Floats:
    """Longitudes shifted by whole turns so that the widest gap between two lies outside them."""
    ordered = np.unique(longitude)
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    west = ordered[(int(np.argmax(gaps)) + 1) % len(ordered)]
    return np.where(longitude < west, longitude + 360.0, longitude)


def _over_a_pole(latitude: Floats, width: float) -> bool:
    nearest = float(np.abs(latitude).max())
    farthest = float(np.abs(latitude).min())
    one_side = bool((latitude > 0.0).all() or (latitude < 0.0).all())
    around = width >= 180.0 or nearest >= _AT_THE_POLE_DEG
    return one_side and farthest > _POLAR_DEG and around


def _hull(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Corners of the convex hull, counter-clockwise; none where all points lie in a line."""
    hull = shapely.convex_hull(shapely.multipoints(np.stack([x, y], axis=1)))
    if hull.geom_type != "Polygon":
        return np.zeros(0), np.zeros(0)
    corners = shapely.get_coordinates(shapely.orient_polygons(hull))
    return corners[:, 0], corners[:, 1]


def _polar_hull(latitude: Floats, longitude: Floats) -> tuple[Floats, Floats]:
    """Corners (longitude, latitude) of the hull in the azimuthal projection around the pole."""
    side = 1.0 if latitude[0] > 0.0 else -1.0
    distance = 90.0 - side * latitude
    angle = np.radians(longitude)
    x, y = _hull(distance * np.cos(angle), side * distance * np.sin(angle))
    # Mirrored in the south, where longitudes run the other way around when seen from outside.
    return np.degrees(np.arctan2(side * y, x)), side * (90.0 - np.hypot(x, y))
