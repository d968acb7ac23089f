"""Outlines of H3 cells as drawable geometry: great-circle edges, the antimeridian, the poles.

Knows nothing of tiles, queries or records. Pure functions without state: any thread may call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import h3.api.basic_int as h3
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

try:
    # Twice the speed of the loop (2 against 4 microseconds a cell).
    from h3ronpy.vector import cells_to_wkb_polygons as _fast_outlines
except ImportError:
    _fast_outlines = None

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Geometries = NDArray[Any]  # of shapely geometries

# An edge is a great circle. Drawn straight in degrees, a piece of 5 degrees of longitude is off by
# at most 0.03 degrees, a third of a tile unit at zoom 0; cells from resolution 3 on have no edge
# that long except beside the poles.
LONGEST_PIECE_DEG = 5.0
WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


class Outlines(NamedTuple):
    """Outlines of n cells, flat: cell i owns the vertices `start[i]` to `start[i + 1] - 1`.

    `longitude` is continuous along an outline, so it leaves [-180, 180] where a cell crosses the
    antimeridian. `polar` marks cells that hold a pole: their outline ends 360 degrees from where
    it began. Rings are open and run counter-clockwise, as H3 gives them.
    """

    longitude: Floats  # degrees, one a vertex
    latitude: Floats  # degrees, one a vertex
    start: Integers  # n + 1
    polar: Flags  # n


def segments(lengths: Integers) -> tuple[Integers, Integers]:
    """Return the starts (n + 1) of groups of these lengths, and each member's place in its own."""
    start = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=start[1:])
    return start, np.arange(start[-1], dtype=np.int64) - np.repeat(start[:-1], lengths)


def following(start: Integers) -> Integers:
    """Return for each member of closed groups the index of the next one around."""
    nearby = np.arange(1, start[-1] + 1, dtype=np.int64)
    nearby[start[1:] - 1] = start[:-1]
    return nearby


def short_way(degrees: Floats) -> Floats:
    """Return differences of longitude the short way around, in [-180, 180]."""
    return degrees - 360.0 * np.trunc(degrees / 180.0 - np.trunc(degrees / 360.0))


def outlines(cells: Cells | Sequence[int]) -> Outlines:
    """Return the outlines of n valid cells, long edges cut into great-circle pieces.

    About 3 microseconds a cell, most of it H3's own; meant for some thousands of cells.
    """
    codes = np.ascontiguousarray(cells, dtype=np.uint64)
    corners, start = _corners(codes) if _fast_outlines is None else _corners_at_once(codes)
    latitude, longitude, start = _with_pieces(corners[:, 0], corners[:, 1], start)
    after = following(start)
    raw = longitude[after] - longitude
    crossings = np.where(raw > 180.0, -1, np.where(raw < -180.0, 1, 0))
    # The number of crossings before each vertex; keeping the longitude itself and adding whole
    # turns leaves vertices that two cells share exactly equal, so no seam opens between them.
    before = np.concatenate(([0], np.cumsum(crossings)))
    turns = before[:-1] - np.repeat(before[start[:-1]], np.diff(start))
    polar = before[start[1:]] != before[start[:-1]]
    return Outlines(longitude + 360.0 * turns, latitude, start, polar)


def _corners(cells: Cells) -> tuple[Floats, Integers]:
    """Latitude and longitude of every corner, (m, 2), and where each cell's begin."""
    rings = [h3.cell_to_boundary(cell) for cell in cells.tolist()]
    lengths = np.fromiter(map(len, rings), dtype=np.int64, count=len(rings))
    flat = chain.from_iterable(chain.from_iterable(rings))
    corners = np.fromiter(flat, dtype=np.float64, count=2 * int(lengths.sum())).reshape(-1, 2)
    return corners, segments(lengths)[0]


def _corners_at_once(cells: Cells) -> tuple[Floats, Integers]:
    """The same from well-known binary: a head of 13 bytes, then closed rings of x and y."""
    wkb = pa.array(_fast_outlines(cells)).cast(pa.large_binary())
    _, offsets, data = wkb.buffers()
    edges = np.frombuffer(offsets, np.int64, len(wkb) + 1, 8 * wkb.offset)
    start, within = segments((np.diff(edges) - 13) // 16 - 1)
    at = np.repeat(edges[:-1] + 13, np.diff(start)) + 16 * within
    raw = np.frombuffer(data, np.uint8) if len(wkb) else np.zeros(0, np.uint8)
    corners = raw[at[:, None] + np.arange(16)].view("<f8")
    return corners[:, ::-1], start


def _with_pieces(
    latitude: Floats, longitude: Floats, start: Integers
) -> tuple[Floats, Floats, Integers]:
    """Put vertices along edges that are long in longitude, on their great circles."""
    after = following(start)
    span = np.abs(short_way(longitude[after] - longitude))
    pieces = np.maximum(1, np.ceil(span / LONGEST_PIECE_DEG)).astype(np.int64)
    if pieces.max(initial=1) == 1:
        return latitude, longitude, start
    edge = np.repeat(np.arange(len(pieces)), pieces)
    new_start, place = segments(pieces)
    new_latitude, new_longitude = latitude[edge], longitude[edge]
    inner = np.flatnonzero(place)
    first, last = edge[inner], after[edge[inner]]
    a = _unit_vectors(latitude[first], longitude[first])
    b = _unit_vectors(latitude[last], longitude[last])
    share = (place[inner] / pieces[first])[:, None]
    angle = np.arccos(np.clip((a * b).sum(axis=1), -1.0, 1.0))[:, None]
    between = a * np.sin((1.0 - share) * angle) + b * np.sin(share * angle)
    new_latitude[inner] = np.degrees(
        np.arctan2(between[:, 2], np.hypot(between[:, 0], between[:, 1]))
    )
    new_longitude[inner] = np.degrees(np.arctan2(between[:, 1], between[:, 0]))
    return new_latitude, new_longitude, new_start[start]


def _unit_vectors(latitude: Floats, longitude: Floats) -> Floats:
    phi, theta = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)


def polygons(outline: Outlines) -> Geometries:
    """Return n shapely polygons in degrees, continuous across the antimeridian.

    The polygon of a polar cell covers the three turns from -540 to 540 degrees, so that any window
    of the world cuts a piece without a seam from it.
    """
    owner = np.repeat(np.arange(len(outline.polar)), np.diff(outline.start))
    coordinates = np.stack([outline.longitude, outline.latitude], axis=1)
    shapes: Geometries = np.asarray(
        shapely.polygons(shapely.linearrings(coordinates, indices=owner)), dtype=object
    )
    for index in np.flatnonzero(outline.polar):
        ring = coordinates[outline.start[index] : outline.start[index + 1]]
        shapes[index] = _polar_polygon(ring)
    return shapes


def _polar_polygon(ring: Floats) -> shapely.Geometry:
    """Return the region between an outline repeated around the world and the pole it encloses."""
    if ring[-1, 0] < ring[0, 0]:
        ring = ring[::-1]  # eastward
    start = ring[0, 0]
    turns = [np.add(ring, [360.0 * turn, 0.0]) for turn in range(-4, 4)]
    pole = 90.0 if ring[:, 1].mean() > 0.0 else -90.0
    line = np.concatenate([*turns, [[start + 1440.0, ring[0, 1]]]])
    closed = np.concatenate([line, [[start + 1440.0, pole], [start - 1440.0, pole]]])
    return shapely.intersection(shapely.Polygon(closed), shapely.box(-540.0, -90.0, 540.0, 90.0))


def world_polygons(outline: Outlines) -> tuple[Geometries, Integers]:
    """Return polygons inside [-180, 180], cut at the antimeridian, and the cell index of each."""
    shapes = polygons(outline)
    west, _, east, _ = shapely.bounds(shapes).T
    pieces, owners = [], []
    for turn in (-360.0, 0.0, 360.0):
        reaches = (west + turn < 180.0) & (east + turn > -180.0) & ~(outline.polar & (turn != 0.0))
        index = np.flatnonzero(reaches)
        moved = shapes[index]
        if turn:
            moved = shapely.transform(moved, lambda xy, turn=turn: np.add(xy, [turn, 0.0]))
        sticks_out = (west[index] + turn < -180.0) | (east[index] + turn > 180.0)
        moved[sticks_out] = shapely.intersection(moved[sticks_out], WORLD)
        pieces.append(moved)
        owners.append(index)
    parts, position = shapely.get_parts(np.concatenate(pieces), return_index=True)
    areal = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return parts[areal], np.concatenate(owners)[position[areal]].astype(np.int64)
