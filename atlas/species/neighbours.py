"""Which H3 cells lie beside which: tables of positions, cells around cells, runs of numbers.

Knows nothing of records. Twelve cells of each resolution are pentagons with five neighbours, so
nothing here assumes six. Pure functions without state: any thread may call them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.geo.outlines import Cells
from atlas.species.kernel import disks

MOST_NEIGHBOURS = 6
NOT_THERE = -1


def grown(cells: Cells, rings: int) -> Cells:
    """Return uint64, ascending and distinct: the cells and all within `rings` steps of them."""
    _, found, _ = disks(np.unique(cells), rings)
    return np.unique(found)


def neighbour_table(cells: Cells) -> NDArray[np.int32]:
    """Return int32[n, 6]: for each of n ascending cells the positions of its neighbours in `cells`.

    -1 where a neighbour is not among them, and for the sixth of a pentagon.
    """
    table = np.full((len(cells), MOST_NEIGHBOURS), NOT_THERE, np.int32)
    if len(cells) == 0:
        return table
    owner, found, steps = disks(cells, 1)
    owner, found = owner[steps == 1], found[steps == 1]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    position = np.minimum(np.searchsorted(cells, found), len(cells) - 1)
    table[owner, place] = np.where(cells[position] == found, position, NOT_THERE)
    return table


def around(cell: int, rings: int) -> tuple[Cells, NDArray[np.int64]]:
    """Return the cells within `rings` steps of one cell, nearest first, and each one's steps.

    Cells as many steps away stand in the order of their numbers; the cell itself is the first.
    """
    _, found, steps = disks(np.array([cell], dtype=np.uint64), rings)
    order = np.lexsort((found, steps))
    return found[order], steps[order]


def runs(cells: Cells, most: int) -> list[tuple[int, int]]:
    """Return ranges of cell numbers, inclusive and ascending, that hold all of n ascending cells.

    At most `most` of them: the widest spaces between cells part the ranges, so cells beyond those
    asked for may lie in one.
    """
    if len(cells) == 0:
        return []
    widest = np.argsort(np.diff(cells), kind="stable")[::-1][: most - 1]
    cuts = np.sort(widest)
    first = np.concatenate(([0], cuts + 1))
    last = np.concatenate((cuts, [len(cells) - 1]))
    return list(zip(cells[first].tolist(), cells[last].tolist(), strict=True))
