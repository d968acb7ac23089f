"""Which cell numbers a tile or a shape needs read: a few inclusive ranges, then an exact test.

All descendants of a cell lie in one range of numbers, so a table sorted by cell is read in runs.
Knows nothing of records. Pure; what a tile needs is kept, and any thread may ask.
"""

from __future__ import annotations

import math
from functools import lru_cache

import h3.api.basic_int as h3
import numpy as np
import shapely
from numpy.typing import ArrayLike

from atlas.geo.cells import FINEST, cover, cover_resolution, descendant_range, parent, resolution_of
from atlas.geo.outlines import Cells, Flags, outlines, world_polygons
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.geo.tiles import BUFFER, EXTENT, Tile

Range = tuple[int, int]
Ranges = tuple[Range, ...]

# What is drawn beyond each side of a tile, as a share of the side.
_MARGIN = BUFFER / EXTENT
# Cells of the coarse cover that a shape is sieved through before outlines are compared.
_MOST_SIEVE_CELLS = 2_000
# Cells are this much narrower at the next resolution: the root of seven.
_APERTURE = math.sqrt(7.0)


@lru_cache(maxsize=16_384)
def tile_ranges(tile: Tile, resolution: int) -> Ranges:
    """Inclusive ranges of cell numbers that hold every cell touching the tile and its margin.

    The cells are covered at the resolution itself and then named by their parents, because a cell
    may reach out of its parent: covering by parents would lose such cells at the tile's edge.
    """
    return ranges_within(parent(tile_cells(tile, resolution), max(0, resolution - 1)), resolution)


@lru_cache(maxsize=2_048)
def tile_cells(tile: Tile, resolution: int) -> Cells:
    """Every cell of `resolution` that touches the tile and its margin, ascending; read only."""
    found = cover(_with_margin(tile), resolution)
    found.setflags(write=False)
    return found


def shape_ranges(shape: BoundingBox | Polygon, resolution: int, *, rings: int = 0) -> Ranges:
    """Inclusive ranges that hold every cell of `resolution` within `rings` steps of the shape.

    A prefilter: cells some way outside are among them; `overlaps` is exact. About two thousand
    coarse cells at most are asked for, however large the shape.
    """
    coarse = cover_resolution(shape, resolution, _MOST_SIEVE_CELLS)
    steps = math.ceil(rings / _APERTURE ** (resolution - coarse))
    return ranges_within(_sieve(shape, coarse, 1 + steps), resolution)


def ranges_within(holders: ArrayLike, resolution: int) -> Ranges:
    """Ascending ranges of the descendants at `resolution` of some cells, joined where they meet."""
    ranges: list[Range] = []
    for holder in np.unique(np.asarray(holders, np.uint64)).tolist():
        low, high = descendant_range(holder, resolution)
        if ranges and _follows(ranges[-1][1], low, resolution):
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return tuple(ranges)


def overlaps(cells: Cells, shape: BoundingBox | Polygon) -> Flags:
    """Which cells' outlines touch the shape; bool[n]. Cells of several resolutions may be mixed.

    A sieve at a coarse resolution first, whose size is bounded, then outlines.
    """
    keep = np.zeros(len(cells), np.bool_)
    resolutions = resolution_of(cells)
    for resolution in np.unique(resolutions).tolist():
        coarse = cover_resolution(shape, resolution, _MOST_SIEVE_CELLS)
        # A cell may reach out of its ancestor, so the sieve is one ring wider than the shape.
        inside = np.isin(parent(cells, coarse), _sieve(shape, coarse, 1))
        positions = np.flatnonzero(inside & (resolutions == resolution))
        if len(positions):
            pieces, owner = world_polygons(outlines(cells[positions]))
            keep[positions[owner[shapely.intersects(pieces, shape.geometry)]]] = True
    return keep


def _sieve(shape: BoundingBox | Polygon, resolution: int, rings: int) -> Cells:
    found = {
        neighbour
        for cell in cover(shape, resolution).tolist()
        for neighbour in h3.grid_disk(cell, rings)
    }
    return np.fromiter(found, np.uint64, len(found))


def _follows(high: int, low: int, resolution: int) -> bool:
    """Whether no cell of this resolution lies between the two numbers."""
    # The digits below the resolution are all set in a cell's number, so neighbours in number
    # differ by one unit of the resolution's own digit, or by the step over the unused digit 7.
    unit = 1 << (3 * (FINEST - resolution))
    return low - high <= 2 * unit


def _with_margin(tile: Tile) -> BoundingBox:
    """The tile's bounds, widened by what is drawn beyond them; may cross the antimeridian."""
    bounds = tile.bounds()
    west = -180 + 360 * tile.x / (1 << tile.z)
    wide = 360 / (1 << tile.z)
    # Rows of a tile grow towards the equator, never by more than double beside it.
    high = 2 * (bounds.north - bounds.south) * _MARGIN
    return BoundingBox(
        west=west - wide * _MARGIN,
        south=max(-90.0, bounds.south - high),
        east=west + wide * (1 + _MARGIN),
        north=min(90.0, bounds.north + high),
    )
