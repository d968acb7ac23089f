"""Vector tiles of where a taxon was recorded, with the effort of its target group.

Reads only the cells that touch the tile: descendants of a cell are one contiguous range of
numbers, and counts are sorted by cell. Any thread.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atlas.geo import cells as geo_cells
from atlas.geo.shapes import BoundingBox
from atlas.geo.tiles import BUFFER, EXTENT, Tile, encode_cells, resolution_for_zoom
from atlas.species.distribution import Distributions
from atlas.species.occupancy import CellCounts, Occupancy

OCCURRENCE_LAYER = "occurrence"
# What is drawn beyond each side of a tile, as a share of the side.
_MARGIN = BUFFER / EXTENT

Range = tuple[int, int]


class OccurrenceTiles:
    """Encodes the layer `occurrence`."""

    def __init__(self, occupancy: Occupancy, distributions: Distributions) -> None:
        self._occupancy = occupancy
        self._distributions = distributions

    def encode(self, tile: Tile, taxon_id: int) -> bytes:
        """The tile as MVT, features with `cell, n, observers, effort`; empty when it has none.

        `effort` is the number of the target group's records in the same cell. Raises NotFound for
        an unknown taxon.
        """
        group = self._distributions.target_group(taxon_id)
        resolution = min(resolution_for_zoom(tile.z), self._occupancy.finest)
        ranges = cell_ranges(tile, resolution)
        own = self._occupancy.cells(taxon_id, resolution, ranges=ranges)
        if len(own.cell) == 0:
            return b""
        effort = own
        if group.taxon_id != taxon_id:
            effort = self._occupancy.cells(group.taxon_id, resolution, ranges=ranges)
        return encode_cells(
            tile,
            OCCURRENCE_LAYER,
            own.cell,
            {
                "n": own.n,
                "observers": own.observers,
                "effort": _matched(own.cell, effort),
            },
        )


def cell_ranges(tile: Tile, resolution: int) -> list[Range]:
    """Inclusive ranges of cell numbers that hold every cell touching the tile and its margin.

    The cells are covered at the resolution itself and then named by their parents, because a cell
    may reach out of its parent: covering by parents would lose such cells at the tile's edge.
    """
    cells = geo_cells.cover(_with_margin(tile), resolution)
    holders = geo_cells.parent(cells, max(0, resolution - 1))
    ranges: list[Range] = []
    for holder in np.unique(holders):
        low, high = geo_cells.descendant_range(int(holder), resolution)
        if ranges and _follows(ranges[-1][1], int(low), resolution):
            ranges[-1] = (ranges[-1][0], int(high))
        else:
            ranges.append((int(low), int(high)))
    return ranges


def _follows(high: int, low: int, resolution: int) -> bool:
    """Whether no cell of this resolution lies between the two numbers."""
    # The digits below the resolution are all set in a cell's number, so neighbours in number
    # differ by one unit of the resolution's own digit, or by the step over the unused digit 7.
    unit = 1 << (3 * (15 - resolution))
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


def _matched(cells: npt.NDArray[np.uint64], effort: CellCounts) -> npt.NDArray[np.int64]:
    """The group's record count of each cell; both sides are sorted by cell."""
    others, counts = effort.cell, effort.n
    if len(others) == 0:
        return np.zeros(len(cells), np.int64)
    positions = np.minimum(np.searchsorted(others, cells), len(others) - 1)
    return np.where(others[positions] == cells, counts[positions], 0)
