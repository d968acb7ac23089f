"""Counts of a target group, and of taxa within it, laid out over the cells of an area.

The sampling units are the visits of the whole group: where it was looked for and the taxa asked
for were not met, that is known too. Reads `Occupancy`; any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.geo.outlines import Cells
from atlas.species.occupancy import UNKNOWN_DAY, CellCounts, Occupancy

Floats = npt.NDArray[np.float64]
Ranges = Sequence[tuple[int, int]]
_UNKNOWN = {"first_day": UNKNOWN_DAY, "last_day": UNKNOWN_DAY, "min_uncertainty_m": np.nan}


class GroupCounts(NamedTuple):
    """Counts by cell, (n,): effort of the group, species of the taxa.

    In `counts` records, observers, visits and days are the group's; species, `q1`, `q2` and
    incidences are the taxa's, whose records are `own_n`. `incidences` and `singles` (Q1) are sums
    weighted by taxon.
    """

    counts: CellCounts
    own_n: npt.NDArray[np.int64]
    incidences: Floats
    singles: Floats


def count_group(
    occupancy: Occupancy,
    group_id: int,
    weights: Mapping[int, float],
    resolution: int,
    *,
    cells: Cells | None = None,
    ranges: Ranges | None = None,
) -> GroupCounts:
    """Counts at a resolution for taxa by id, none of which holds another, all within the group.

    On the ascending `cells` where given, else on those where the group was recorded; `ranges` are
    the numbers to read.
    """
    group = occupancy.cells(group_id, resolution, ranges=ranges)
    effort = on_cells(group, group.cell if cells is None else cells)
    n = len(effort.cell)
    own_n, species, q1, q2, incidences = np.zeros((5, n), np.int64)
    weighted, singles = np.zeros((2, n))
    for taxon_id, weight in weights.items():
        found = (
            group if taxon_id == group_id else occupancy.cells(taxon_id, resolution, ranges=ranges)
        )
        part = on_cells(found, effort.cell)
        own_n += part.n
        species += part.species
        q1 += part.q1
        q2 += part.q2
        incidences += part.incidences
        weighted += weight * part.incidences
        singles += weight * part.q1
    counts = effort._replace(species=species, q1=q1, q2=q2, incidences=incidences)
    return GroupCounts(counts, own_n, weighted, singles)


def on_cells(counts: CellCounts, cells: Cells) -> CellCounts:
    """The same counts on other ascending cells: 0 or unknown where there are none."""
    if counts.cell is cells:
        return counts
    position = np.searchsorted(cells, counts.cell)
    there = position < len(cells)
    there[there] = cells[position[there]] == counts.cell[there]
    position = position[there]
    laid: dict[str, npt.NDArray[Any]] = {"cell": cells}
    for name, values in counts._asdict().items():
        if name != "cell":
            laid[name] = np.full(len(cells), _UNKNOWN.get(name, 0), values.dtype)
            laid[name][position] = values[there]
    return CellCounts(**laid)
