"""H3 cells as arrays: points to cells, ancestors, areas, and the cells that cover a shape.

A cell is a uint64; 0 is no cell. Knows nothing of records or catalogs. Pure functions without
state: any thread may call them, and the indexing of points releases the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import ArrayLike, NDArray

from atlas.errors import InvalidQuery
from atlas.geo.outlines import Cells, Flags, Floats, outlines, short_way, world_polygons
from atlas.geo.shapes import BoundingBox, Polygon

try:
    # Five times the speed of the loop (2.4 against 0.5 million points a second on one core).
    from h3ronpy.vector import cells_to_coordinates as _fast_centres
    from h3ronpy.vector import coordinates_to_cells as _fast_index
except ImportError:
    _fast_centres = _fast_index = None

NO_CELL = np.uint64(0)
FINEST = 15
EARTH_RADIUS_KM = 6371.007180918475  # the sphere of H3's own areas
# Average edge of a hexagon, from H3's table; the distance from centre to corner is 1-3 % more.
# Cells beside the twelve pentagons, all of which lie at sea, are up to 30 % smaller.
RADIUS_M: Floats = np.array([h3.average_hexagon_edge_length(r, "m") for r in range(FINEST + 1)])
_RESOLUTION_SHIFT = np.uint64(52)
_RESOLUTION_BITS = np.uint64(15)
# H3's polygon fill takes a shape wider than 180 degrees for its narrow complement.
_STRIP_DEG = 60.0
# Up to here a shape is compared with all cells of the world.
_OUTLINED = 2


def cells_of(latitude: ArrayLike, longitude: ArrayLike, resolution: int) -> Cells:
    """Return uint64[n]: the cell of each point, 0 where a coordinate is NaN.

    Raises `ValueError` for a coordinate out of range (both H3 libraries wrap latitude 91 and
    longitude 540 silently) and for arrays of different lengths.
    """
    _check_resolution(resolution)
    lat = np.ascontiguousarray(latitude, dtype=np.float64)
    lon = np.ascontiguousarray(longitude, dtype=np.float64)
    if lat.ndim != 1 or lat.shape != lon.shape:
        raise ValueError(f"latitude has shape {lat.shape}, longitude {lon.shape}; both must be [n]")
    for name, values, limit in (("latitude", lat, 90.0), ("longitude", lon, 180.0)):
        wrong = np.flatnonzero(np.abs(values) > limit)
        if len(wrong):
            first = int(wrong[0])
            raise ValueError(
                f"{len(wrong)} {name}s are outside ±{limit:.0f}, first at {first}: {values[first]}"
            )
    known = ~(np.isnan(lat) | np.isnan(lon))
    if known.all():
        return _index(lat, lon, resolution)
    cells = np.zeros(len(lat), dtype=np.uint64)
    cells[known] = _index(lat[known], lon[known], resolution)
    return cells


def _index(latitude: Floats, longitude: Floats, resolution: int) -> Cells:
    if _fast_index is not None:
        return np.array(_fast_index(latitude, longitude, resolution), dtype=np.uint64)
    pairs = zip(latitude.tolist(), longitude.tolist(), strict=True)
    cells = (h3.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs)
    return np.fromiter(cells, dtype=np.uint64, count=len(latitude))


def resolution_for_uncertainty(uncertainty_m: ArrayLike, finest: int) -> NDArray[np.int8]:
    """Return int8[n]: the finest resolution, up to `finest`, whose cells hold the uncertainty.

    A cell holds it when its average radius is at least `uncertainty_m`. NaN (unknown) gives
    `finest`; more than the radius of resolution 0 gives 0. Raises `ValueError` below zero.
    """
    _check_resolution(finest)
    metres = np.asarray(uncertainty_m, dtype=np.float64)
    if (metres < 0.0).any():
        raise ValueError("an uncertainty is less than zero")
    # Radii fall with the resolution: count how many of them are large enough.
    enough = np.searchsorted(-RADIUS_M[: finest + 1], -metres, side="right")
    found = np.where(np.isnan(metres), finest, np.maximum(enough - 1, 0))
    return found.astype(np.int8)


def place(
    latitude: ArrayLike, longitude: ArrayLike, uncertainty_m: ArrayLike, finest: int
) -> Cells:
    """Return uint64[n]: the cell each record is stored at, never finer than its uncertainty.

    Coarser cells are reached through the parent, because 6 % of points lie in another cell of
    resolution 5 than the parent of their cell of resolution 7. Errors as `cells_of`.
    """
    cells = cells_of(latitude, longitude, finest)
    resolution = resolution_for_uncertainty(uncertainty_m, finest)
    if resolution.shape != cells.shape:
        raise ValueError(f"{len(cells)} points have {resolution.shape} uncertainties")
    for coarser in np.unique(resolution[resolution < finest]).tolist():
        chosen = resolution == coarser
        cells[chosen] = parent(cells[chosen], coarser)
    return cells


def resolution_of(cells: ArrayLike) -> NDArray[np.int8]:
    """Return int8[n]: the resolution of each cell, -1 for no cell."""
    codes = np.asarray(cells, dtype=np.uint64)
    found = ((codes >> _RESOLUTION_SHIFT) & _RESOLUTION_BITS).astype(np.int8)
    return np.where(codes == NO_CELL, np.int8(-1), found)


def parent(cells: ArrayLike, resolution: int) -> Cells:
    """Return uint64[n]: each cell's ancestor at `resolution`, itself where it is that already.

    0 for no cell, and for a cell that is coarser than `resolution`.
    """
    _check_resolution(resolution)
    codes = np.asarray(cells, dtype=np.uint64)
    below = np.uint64((1 << (3 * (FINEST - resolution))) - 1)
    cleared = codes & ~(_RESOLUTION_BITS << _RESOLUTION_SHIFT)
    found = cleared | (np.uint64(resolution) << _RESOLUTION_SHIFT) | below
    return np.where(resolution_of(codes) >= resolution, found, NO_CELL)


def parent_sql(column: str, resolution: int) -> str:
    """Return DuckDB SQL for `parent` of a UBIGINT column; NULL where `parent` gives 0."""
    _check_resolution(resolution)
    below = (1 << (3 * (FINEST - resolution))) - 1
    return (
        f"CASE WHEN {column} > 0 AND (({column} >> 52) & 15) >= {resolution} THEN "
        f"({column} & ~(15::UBIGINT << 52)) | ({resolution}::UBIGINT << 52) | {below}::UBIGINT END"
    )


def descendant_range(cell: int, resolution: int) -> tuple[int, int]:
    """Return the least and greatest number of `cell`'s descendants at `resolution`, inclusive.

    Every cell of that resolution with a number between them is a descendant. Raises `ValueError`
    when `resolution` is coarser than the cell.
    """
    _check_resolution(resolution)
    own = (cell >> 52) & 15
    if resolution < own:
        raise ValueError(f"a cell of resolution {own} has no descendants at {resolution}")
    digits = ((1 << (3 * (resolution - own))) - 1) << (3 * (FINEST - resolution))
    base = (cell & ~(15 << 52) & ~digits) | (resolution << 52)
    # A digit is one of 0-6: the greatest run is 666…, in every digit one less than 777….
    ones = sum(1 << (3 * (FINEST - r)) for r in range(own + 1, resolution + 1))
    return base, base | (digits - ones)


def parse_cell(text: str, field: str = "cell") -> int:
    """Return the cell that a person wrote in hexadecimal; `InvalidQuery` naming `field` if none."""
    digits = text.strip().lower()
    if len(digits) == 15 and set(digits) <= set("0123456789abcdef"):
        cell = int(digits, 16)
        if h3.is_valid_cell(cell):
            return cell
    raise InvalidQuery(field, f"{text[:32]!r} is not an H3 cell (fifteen hexadecimal digits)")


def format_cell(cell: int) -> str:
    """Return the usual hexadecimal text of a cell."""
    return f"{int(cell):x}"


def area_km2(cells: ArrayLike) -> Floats:
    """Return float64[n]: the area of each cell; NaN for no cell.

    Cells of one resolution differ by a factor of two, so densities must divide by this. Distinct
    cells are computed once (2 microseconds each).
    """
    distinct, index = np.unique(np.asarray(cells, dtype=np.uint64), return_inverse=True)
    areas = np.array([h3.cell_area(cell, "km^2") if cell else np.nan for cell in distinct.tolist()])
    found: Floats = areas.astype(np.float64)[index]
    return found


def centres(cells: ArrayLike) -> tuple[Floats, Floats]:
    """Return latitude and longitude, float64[n] each, of the centre of each valid cell."""
    codes = np.ascontiguousarray(cells, dtype=np.uint64)
    if _fast_centres is not None:
        found = pa.record_batch(_fast_centres(codes))
        # Not by `to_numpy`, which imports pandas where there is one.
        latitude, longitude = (np.from_dlpack(found[name]) for name in ("lat", "lng"))
        return np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
    points = np.array([h3.cell_to_latlng(cell) for cell in codes.tolist()]).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def boundary(cell: int) -> list[list[tuple[float, float]]]:
    """Return the cell's outline as closed rings of (longitude, latitude), counter-clockwise.

    One ring, or two where the cell crosses the antimeridian. The ring of a polar cell runs along
    the antimeridian to the pole and back, as GeoJSON needs it.
    """
    if not h3.is_valid_cell(int(cell)):
        raise ValueError(f"{cell} is not an H3 cell")
    pieces, _ = world_polygons(outlines([int(cell)]))
    rings = [np.asarray(piece.exterior.coords) for piece in shapely.orient_polygons(pieces)]
    return [[(lon, lat) for lon, lat in ring.tolist()] for ring in rings]


def cover(shape: BoundingBox | Polygon, resolution: int) -> Cells:
    """Return uint64[n], ascending: every cell of `resolution` that overlaps the shape.

    A cell that comes within a sixteenth of its edge may be among them. Each point of the shape has
    its cell there, so the answer is a prefilter that loses nothing. `cover_resolution` says what a
    shape costs.
    """
    _check_resolution(resolution)
    geometry = shape.geometry
    if resolution <= _OUTLINED:
        return np.sort(_touching(_world(resolution), geometry))
    edge_deg = float(np.degrees(RADIUS_M[resolution] / 1000.0 / EARTH_RADIUS_KM))
    # An edge is a great circle, H3 fills along straight lines in degrees: at colatitude t the two
    # are edge² / 8t apart, which two edges from the pole is edge / 16. Nearer, cells are tested.
    found = [_filled(geometry.buffer(edge_deg / 16.0, quad_segs=2), resolution)]
    reach = 4.0 * edge_deg
    _, south, _, north = geometry.bounds
    for pole, near in ((90.0, north > 90.0 - reach), (-90.0, south < -90.0 + reach)):
        if near:
            around = h3.grid_disk(h3.latlng_to_cell(pole, 0.0, resolution), 6)
            found.append(_overlapping(np.array(around, dtype=np.uint64), geometry))
    return np.unique(np.concatenate(found))


def cover_resolution(shape: BoundingBox | Polygon, finest: int, max_cells: int) -> int:
    """Return the finest resolution, up to `finest`, whose cover has about `max_cells` at most.

    From the area and the perimeter of the shape; 0 when even that is more.
    """
    _check_resolution(finest)
    geometry = shape.geometry
    # Longitude and the sine of the latitude keep areas (Lambert's cylindrical projection).
    flat = shapely.transform(
        geometry, lambda xy: np.stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))], axis=1)
    )
    area = flat.area * EARTH_RADIUS_KM**2
    length = np.radians(geometry.length) * EARTH_RADIUS_KM
    for resolution in range(finest, 0, -1):
        edge = RADIUS_M[resolution] / 1000.0
        if area / h3.average_hexagon_area(resolution, "km^2") + length / edge + 7.0 <= max_cells:
            return resolution
    return 0


class _Outlined(NamedTuple):
    """Cells with their outlines as polygons, and what straight sides may miss of each, degrees."""

    cells: Cells
    pieces: NDArray[np.object_]
    owner: NDArray[np.int64]
    margin: Floats


@cache
def _world(resolution: int) -> _Outlined:
    """Every cell of a coarse resolution: 6,000 outlines take 50 ms, comparing them 2."""
    every = h3.uncompact_cells(h3.get_res0_cells(), resolution)
    return _outlined(np.array(every, dtype=np.uint64))


def _outlined(cells: Cells) -> _Outlined:
    outline = outlines(cells)
    pieces, owner = world_polygons(outline)
    # What straight pieces of the outline may miss of the great circle, from their longest step.
    step = np.abs(np.diff(outline.longitude, append=outline.longitude[-1:]))
    longest = np.maximum.reduceat(np.minimum(step, np.abs(short_way(step))), outline.start[:-1])
    margin = np.degrees(np.radians(longest) ** 2 / 16.0) + 1e-9
    return _Outlined(cells, pieces, owner, margin[owner])


def _overlapping(cells: Cells, geometry: shapely.Geometry) -> Cells:
    """Return those cells whose great-circle outline touches the geometry."""
    return _touching(_outlined(cells), geometry)


def _touching(given: _Outlined, geometry: shapely.Geometry) -> Cells:
    shapely.prepare(geometry)
    touches: Flags = shapely.dwithin(geometry, given.pieces, given.margin)
    return given.cells[np.unique(given.owner[touches])]


def _filled(geometry: shapely.Geometry, resolution: int) -> Cells:
    """Return the cells that H3's fill gives for a geometry in degrees, strip by strip."""
    found: list[int] = []
    for polygon in _strips(geometry):
        rings = [ring.coords[:-1] for ring in (polygon.exterior, *polygon.interiors)]
        swapped = [[(lat, lon) for lon, lat in ring] for ring in rings]
        shape = h3.LatLngPoly(swapped[0], *swapped[1:])
        found.extend(h3.h3shape_to_cells_experimental(shape, resolution, "overlap"))
    return np.array(found, dtype=np.uint64)


def _strips(geometry: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """Yield the polygons of a geometry, each inside the world and at most `_STRIP_DEG` wide."""
    for west in np.arange(-180.0, 180.0, _STRIP_DEG):
        window = shapely.box(west, -90.0, west + _STRIP_DEG, 90.0)
        for part in shapely.get_parts(shapely.intersection(geometry, window)):
            if part.geom_type == "Polygon":
                yield part


def _check_resolution(resolution: int) -> None:
    if not 0 <= resolution <= FINEST:
        raise ValueError(f"{resolution} is not an H3 resolution (0 to {FINEST})")
