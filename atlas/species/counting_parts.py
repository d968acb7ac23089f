"""Counts of records that come in parts, added up: what bounds the memory of a build and a question.

Pure functions of arrays, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from atlas.species.cell_digits import Integers, changes, reduced, starts
from atlas.species.counting import (
    NEVER,
    UNKNOWN_DAY,
    CellCounts,
    Records,
    SpeciesInCells,
    Totals,
    count_distinct,
    count_species,
    count_totals,
    diversity,
    joined,
)

_NO_RECORDS = Records(*(np.empty(0, kind) for kind in ("u8", "i4", "i8", "i8", "i4", "i4", "f4")))


def count_parts(parts: Iterable[Records], resolution: int, finest: int) -> CellCounts:
    """Counts of records that come in parts, of which no two share an observer.

    So a visit is in one part only, and everything adds up. Memory follows the parts.
    """
    totals: list[Totals] = []
    distinct: list[tuple[Integers, Integers]] = []
    species: list[SpeciesInCells] = []
    for part in parts:
        found = count_totals(part, (resolution,), finest)
        cells = [found[0].cell]
        dated = part.visit >= 0
        distinct += zip(
            count_distinct(part.cell, part.observer, (resolution,), finest, cells),
            count_distinct(part.cell[dated], part.visit[dated], (resolution,), finest, cells),
            strict=True,
        )
        totals += found
        species += count_species(part, (resolution,), finest)
    whole = sum_totals(totals)
    observers, visits = np.zeros((2, len(whole.cell)), np.int64)
    for found_part, (seen, visited) in zip(totals, distinct, strict=True):
        place = np.searchsorted(whole.cell, found_part.cell)
        observers[place] += seen
        visits[place] += visited
    return joined(whole, observers, visits, diversity(sum_species(species), whole.cell))


def sum_totals(parts: Sequence[Totals]) -> Totals:
    """Totals of one resolution over parts of the rows."""
    if len(parts) == 1:
        return parts[0]
    empty = count_totals(_NO_RECORDS, (0,), 0)[0]
    columns = [np.concatenate(column) for column in zip(empty, *parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    cell, n, coarse, first, last, metres = (column[order] for column in columns)
    start = starts(cell)
    earliest = reduced(np.minimum, np.where(first == UNKNOWN_DAY, NEVER, first), start)
    return Totals(
        cell=cell[start],
        n=reduced(np.add, n, start),
        n_coarse=reduced(np.add, coarse, start),
        first_day=np.where(earliest == NEVER, np.int32(UNKNOWN_DAY), earliest),
        last_day=reduced(np.maximum, last, start),
        min_uncertainty_m=reduced(np.fmin, metres, start),
    )


def sum_species(parts: Sequence[SpeciesInCells]) -> SpeciesInCells:
    """Species of cells over parts without a common visit; by taxon, then cell."""
    if len(parts) == 1:
        return parts[0]
    empty = count_species(_NO_RECORDS, (0,), 0)[0]
    columns = [np.concatenate(column) for column in zip(empty, *parts, strict=True)]
    order = np.lexsort((columns[0], columns[1]))
    cell, taxon_id, n, visits, last = (column[order] for column in columns)
    start = np.flatnonzero(changes(taxon_id, cell))
    return SpeciesInCells(
        cell=cell[start],
        taxon_id=taxon_id[start],
        n=reduced(np.add, n, start),
        visits=reduced(np.add, visits, start),
        last_day=reduced(np.maximum, last, start),
    )
