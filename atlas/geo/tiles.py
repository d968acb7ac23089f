"""Map tiles: the web-Mercator pyramid, and H3 cells written as Mapbox vector tiles.

Knows nothing of what the values mean. Pure functions without state; nothing is cached here, and
any thread may call them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike

from atlas.errors import InvalidQuery
from atlas.geo.outlines import (
    Cells,
    Flags,
    Floats,
    Integers,
    Outlines,
    following,
    outlines,
    polygons,
    segments,
)
from atlas.geo.shapes import BoundingBox
from atlas.geo.vector_tile import Geometries, encode_tile

MAX_ZOOM = 13
EXTENT = 4096  # tile units along a side
BUFFER = 128  # units drawn beyond each side, so that strokes do not end at the tile's edge
# Where a square world map ends; nothing beyond it is drawn.
MERCATOR_LIMIT_DEG = 85.0511287798066
# The projection runs to infinity at the poles. Beyond this latitude is beyond every buffer.
_PROJECTED_LIMIT_DEG = 89.9
# Chosen so that a cell is some 10 to 40 pixels wide on the screen.
_RESOLUTIONS = (0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 9)
_MOVE_TO, _LINE_TO, _CLOSE = 1, 2, 7

_WINDOW = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)


class Tile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tile: zoom `z`, column `x` from the antimeridian east, row `y` from the north down."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        """Raise `InvalidQuery` for a tile that is not in the pyramid."""
        if not 0 <= self.z <= MAX_ZOOM:
            raise InvalidQuery("z", f"zoom {self.z} is not between 0 and {MAX_ZOOM}")
        for name, value in (("x", self.x), ("y", self.y)):
            if not 0 <= value < 1 << self.z:
                last = (1 << self.z) - 1
                raise InvalidQuery(name, f"{value} is not between 0 and {last} at zoom {self.z}")

    def bounds(self) -> BoundingBox:
        """Return the tile's box in degrees, without the buffer."""
        side = 1 << self.z
        south, north = (_latitude(row / side) for row in (self.y + 1, self.y))
        return BoundingBox(
            self.x / side * 360.0 - 180.0, south, (self.x + 1) / side * 360.0 - 180.0, north
        )


class _Rings(NamedTuple):
    """Closed rings in tile units: ring r owns the points `start[r]` to `start[r + 1] - 1`."""

    x: Floats
    y: Floats
    start: Integers
    cell: Integers  # index of the cell, one a ring
    whole: Flags  # the cell's full outline, not a cut


def resolution_for_zoom(z: int) -> int:
    """Return the H3 resolution that is drawn at zoom `z`."""
    if not 0 <= z <= MAX_ZOOM:
        raise InvalidQuery("z", f"zoom {z} is not between 0 and {MAX_ZOOM}")
    return _RESOLUTIONS[z]


def encode_cells(
    tile: Tile, layer: str, cells: ArrayLike, properties: Mapping[str, ArrayLike]
) -> bytes:
    """Return a vector tile with one layer that holds the cells that touch the tile.

    `cells` is uint64[n] of valid cells, `properties` maps names to arrays [n] of numbers, booleans
    or text; NaN, None and what is masked leave the property out. Each feature also has `cell`, its
    hexadecimal text. A cell smaller than a tile unit is drawn as one unit. b"" when no cell touches
    the tile. About 5 microseconds a cell. Raises `ValueError` for arrays of different lengths.
    """
    codes = np.asarray(cells, dtype=np.uint64)
    columns = {name: np.asanyarray(values) for name, values in properties.items()}
    for name, values in columns.items():
        if values.shape != codes.shape:
            raise ValueError(f"property {name} has shape {values.shape}, cells {codes.shape}")
    if not len(codes):
        return b""
    rings = _rings(tile, codes)
    x, y, start, cell = _on_grid(rings)
    if not len(cell):
        return b""
    drawn, first_ring = np.unique(cell, return_index=True)
    columns = {"cell": np.array([f"{code:x}" for code in codes[drawn].tolist()])} | {
        name: values[drawn] for name, values in columns.items()
    }
    commands, first_command = _commands(x, y, start, cell)
    edges = first_command[np.append(first_ring, len(cell))]
    return encode_tile(layer, EXTENT, Geometries(commands, edges), columns)


def _latitude(share: float) -> float:
    """Return the latitude at a share of the way down the square map."""
    return float(np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * share)))))


def _projected(tile: Tile, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Return tile units of points; longitudes may lie beyond 180 degrees."""
    side = (1 << tile.z) * EXTENT
    clipped = np.clip(latitude, -_PROJECTED_LIMIT_DEG, _PROJECTED_LIMIT_DEG)
    x = (longitude + 180.0) / 360.0 * side - tile.x * EXTENT
    share = 0.5 - np.arcsinh(np.tan(np.radians(clipped))) / (2.0 * np.pi)
    return x, share * side - tile.y * EXTENT


def _rings(tile: Tile, codes: Cells) -> _Rings:
    """Return the outlines inside the tile's window, each at every turn of the world it shows."""
    outline = outlines(codes)
    x, y = _projected(tile, outline.longitude, outline.latitude)
    begin = outline.start[:-1]
    west, east = np.minimum.reduceat(x, begin), np.maximum.reduceat(x, begin)
    top, bottom = np.minimum.reduceat(y, begin), np.maximum.reduceat(y, begin)
    low, high = float(-BUFFER), float(EXTENT + BUFFER)
    rows = (bottom > low) & (top < high) & ~outline.polar
    found = []
    # At the sides of the world the buffer shows cells from the other side of the antimeridian.
    for turn in (-1, 0, 1):
        shift = float(turn * (1 << tile.z) * EXTENT)
        shown = rows & (east + shift > low) & (west + shift < high)
        inside = shown & (west + shift >= low) & (east + shift <= high)
        inside &= (top >= low) & (bottom <= high)
        found.append(_whole_rings(x + shift, y, outline.start, np.flatnonzero(inside)))
        cut = np.flatnonzero(shown & ~inside)
        found.append(_cut_rings(_ring_polygons(x + shift, y, outline.start, cut), cut))
    polar = np.flatnonzero(outline.polar)
    found.append(_cut_rings(_polar_polygons(tile, outline, polar), polar))
    return _joined(found)


def _take(start: Integers, index: Integers) -> tuple[Integers, Integers]:
    """Return the members of the chosen groups, and the groups' new starts."""
    new_start, within = segments(start[index + 1] - start[index])
    return np.repeat(start[index], np.diff(new_start)) + within, new_start


def _whole_rings(x: Floats, y: Floats, start: Integers, index: Integers) -> _Rings:
    member, new_start = _take(start, index)
    return _Rings(x[member], y[member], new_start, index, np.ones(len(index), dtype=np.bool_))


def _ring_polygons(x: Floats, y: Floats, start: Integers, index: Integers) -> Any:  # noqa: ANN401
    member, new_start = _take(start, index)
    owner = np.repeat(np.arange(len(index)), np.diff(new_start))
    coordinates = np.stack([x[member], y[member]], axis=1)
    return shapely.polygons(shapely.linearrings(coordinates, indices=owner))


def _polar_polygons(tile: Tile, outline: Outlines, index: Integers) -> Any:  # noqa: ANN401
    """Return polar cells in tile units; they span all turns, so the window needs no shifts."""
    lengths = np.diff(outline.start)[index]
    member, _ = _take(outline.start, index)
    new_start, _ = segments(lengths)
    few = Outlines(
        outline.longitude[member], outline.latitude[member], new_start, outline.polar[index]
    )
    return shapely.transform(
        polygons(few), lambda xy: np.stack(_projected(tile, xy[:, 0], xy[:, 1]), axis=1)
    )


def _cut_rings(shapes: Any, index: Integers) -> _Rings:  # noqa: ANN401  # array of geometries
    """Return what the tile's window leaves of polygons; a cell may be left in several rings."""
    parts, position = shapely.get_parts(shapely.intersection(shapes, _WINDOW), return_index=True)
    areal = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    parts, position = parts[areal], position[areal]
    exterior = shapely.get_exterior_ring(parts)
    coordinates, owner = shapely.get_coordinates(exterior, return_index=True)
    lengths = np.bincount(owner, minlength=len(parts)).astype(np.int64)
    start, within = segments(lengths)
    kept = within < np.repeat(lengths, lengths) - 1  # the last position repeats the first
    start -= np.arange(len(start))
    x, y = coordinates[kept].T
    return _Rings(x, y, start, index[position], np.zeros(len(parts), dtype=np.bool_))


def _joined(found: Sequence[_Rings]) -> _Rings:
    """Return all rings in one, in the order of the cells."""
    lengths = np.concatenate([np.diff(rings.start) for rings in found])
    cell = np.concatenate([rings.cell for rings in found])
    start, _ = segments(lengths)
    order = np.argsort(cell, kind="stable")
    member, new_start = _take(start, order)
    x = np.concatenate([rings.x for rings in found])[member]
    y = np.concatenate([rings.y for rings in found])[member]
    whole = np.concatenate([rings.whole for rings in found])
    return _Rings(x, y, new_start, cell[order], whole[order])


def _on_grid(rings: _Rings) -> tuple[Integers, Integers, Integers, Integers]:
    """Round rings to whole units, clockwise on the screen, no point twice in a row.

    Returns x, y, the rings' starts and their cells. A whole outline that rounds to nothing becomes
    a square of one unit; a cut that does is a sliver at the far side of the buffer and goes.
    """
    x, y = np.rint(rings.x).astype(np.int64), np.rint(rings.y).astype(np.int64)
    cell, whole, start = rings.cell, rings.whole, rings.start
    if not len(cell):
        return x, y, start, cell
    after = following(start)
    twice_area = np.add.reduceat(x * y[after] - x[after] * y, start[:-1])
    flat = twice_area == 0
    length = np.diff(start)
    owner = np.repeat(np.arange(len(cell)), length)
    within = np.arange(len(x)) - start[owner]
    # The exterior ring of a vector tile has a positive area with y pointing down.
    turned = (twice_area < 0)[owner]
    source = np.where(turned, start[owner] + length[owner] - 1 - within, start[owner] + within)
    x, y = x[source], y[source]
    corner = start[:-1][owner]
    square = flat[owner]
    # Corners (0,0), (1,0), (1,1), (0,1) of the unit that holds the outline's first point.
    step_x = np.isin(within, (1, 2)).astype(np.int64)
    step_y = np.isin(within, (2, 3)).astype(np.int64)
    x, y = np.where(square, x[corner] + step_x, x), np.where(square, y[corner] + step_y, y)
    repeated = (x == x[after]) & (y == y[after])
    keep = np.where(square, (within < 4) & whole[owner], ~repeated)
    count = np.add.reduceat(keep.astype(np.int64), start[:-1])
    new_start, _ = segments(count[count > 0])
    return x[keep], y[keep], new_start, cell[count > 0]


def _commands(
    x: Integers, y: Integers, start: Integers, cell: Integers
) -> tuple[Integers, Integers]:
    """Return the drawing commands of all rings in one array, and where each ring's begin.

    Mapbox Vector Tile 2.1, section 4.3: moves are relative to the point before, zigzag-coded. The
    pen stays at a ring's last point for the next ring of the same feature and starts at (0, 0).
    """
    length = np.diff(start)
    begin, _ = segments(2 * length + 3)
    out = np.zeros(begin[-1], dtype=np.int64)
    out[begin[:-1]] = 1 << 3 | _MOVE_TO
    out[begin[:-1] + 3] = (length - 1) << 3 | _LINE_TO
    out[begin[1:] - 1] = 1 << 3 | _CLOSE
    new_feature = np.concatenate(([True], cell[1:] != cell[:-1]))
    within = np.arange(start[-1]) - np.repeat(start[:-1], length)
    target = np.repeat(begin[:-1], length) + np.where(within == 0, 1, 2 * within + 2)
    for offset, values in enumerate((x, y)):
        delta = np.diff(values, prepend=0)
        heads = start[:-1][new_feature]
        delta[heads] = values[heads]
        out[target + offset] = (delta << 1) ^ (delta >> 63)
    return out, begin
