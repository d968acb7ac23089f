"""The cells of an area that is searched for gaps: which they are, their neighbours, their land.

Areas asked for lately are kept, so that a map that is asked again costs nothing. Any thread.
Knows nothing of records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.errors import InvalidQuery
from atlas.geo import cells as geo_cells
from atlas.geo.outlines import Cells
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.species.neighbours import grown, neighbour_table

Shape = BoundingBox | Polygon | None
Shares = npt.NDArray[np.float32]
# Cells kept over all areas: 40 bytes each. The world at resolution 4 has 288,122.
_MOST_KEPT = 1_000_000


class Area(NamedTuple):
    """The cells of an area with those around it, ascending: arrays (n,).

    `inside`: whether a cell touches the area itself. `neighbours` int32 (n, 6), positions, -1 for
    none. `land_share`: share of the cell that is land, 0 outside the area.
    """

    cells: Cells
    inside: npt.NDArray[np.bool_]
    neighbours: npt.NDArray[np.int32]
    land_share: Shares


class Areas:
    """Makes areas, `rings` rings wider than asked, of at most `max_cells` cells."""

    def __init__(
        self, land_share: Callable[[Cells], Shares], *, rings: int, max_cells: int
    ) -> None:
        self._land_share = land_share
        self._rings = rings
        self._max_cells = max_cells
        self._lock = threading.Lock()
        self._kept: LRUCache[tuple[int, bytes], Area] = LRUCache(
            max(_MOST_KEPT, max_cells), getsizeof=lambda area: len(area.cells)
        )

    def of(self, shape: Shape, resolution: int) -> Area:
        """The cells of a resolution that touch a shape, None for the whole earth.

        InvalidQuery naming `resolution` where they are too many.
        """
        key = (resolution, b"" if shape is None else shape.geometry.wkb)
        with self._lock:
            found = self._kept.get(key)
        if found is not None:
            return found
        made = self._make(shape, resolution)
        with self._lock:
            # One larger than all that may be kept is answered all the same.
            if len(made.cells) <= self._kept.maxsize:
                self._kept[key] = made
        return made

    def around(self, cell: int) -> Area:
        """One cell as an area."""
        inside = np.array([cell], dtype=np.uint64)
        return self._area(inside, grown(inside, self._rings))

    def _make(self, shape: Shape, resolution: int) -> Area:
        inside = self._inside(shape, resolution)
        return self._area(inside, inside if shape is None else grown(inside, self._rings))

    def _area(self, inside: Cells, cells: Cells) -> Area:
        within = np.isin(cells, inside, assume_unique=True)
        land_share = np.zeros(len(cells), np.float32)
        land_share[within] = self._land_share(inside)
        return Area(cells, within, neighbour_table(cells), land_share)

    def _inside(self, shape: Shape, resolution: int) -> Cells:
        if shape is None:
            fits = h3.get_num_cells(resolution) <= self._max_cells
        else:
            allowed = geo_cells.cover_resolution(shape, resolution, self._max_cells)
            fits = resolution in {0, allowed}
        if not fits:
            raise InvalidQuery(
                "resolution",
                f"the area has more than {self._max_cells} cells of resolution {resolution}: "
                "ask for a coarser one or for a smaller bbox or polygon",
            )
        if shape is not None:
            return geo_cells.cover(shape, resolution)
        every = h3.uncompact_cells(h3.get_res0_cells(), resolution)
        return np.sort(np.array(every, dtype=np.uint64))
