"""Counts records, observers, visits and species by H3 cell, at several resolutions at once.

The one place where maps are counted, for a build and for a question alike. In the order of H3's
digits each cell is one run of rows at every resolution, so one sort serves them all. Knows nothing
of tables or filters. Pure functions of arrays, safe from any thread; sorting releases the
interpreter lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.species.cell_digits import (
    KEY_BITS,
    Cells,
    Flags,
    Integers,
    bits_of,
    cells_from,
    changes,
    digits_of,
    numbered,
    positions,
    reduced,
    shift_between,
    sorted_order,
    sorted_pairs,
    starts,
    within,
)

Days = npt.NDArray[np.int32]

UNKNOWN_DAY = -(2**31)
NO_SPECIES = -1
NO_VISIT = -1
_PIECE_ROWS = 4_000_000  # what is looked up at once
# Stands for an unknown day while the first is sought.
NEVER = np.int32(2**31 - 1)


class Records(NamedTuple):
    """Placed records, arrays (n,) in any order.

    `cell` is uint64, as stored. `species` is the taxon id of the species, NO_SPECIES where a record
    is not known to one. `observer` and `visit` are numbers from 0, equal for the same thing;
    `visit` is NO_VISIT without one exact day. Days are int32 since 1970, UNKNOWN_DAY where
    unknown; `uncertainty_m` is float32, NaN where unknown.
    """

    cell: Cells
    species: npt.NDArray[np.int32]
    observer: npt.NDArray[Any]
    visit: npt.NDArray[Any]
    first_day: Days
    last_day: Days
    uncertainty_m: npt.NDArray[np.float32]


class Totals(NamedTuple):
    """What sums over rows, arrays (n,) by cell, ascending; `n_coarse` of `n` are stored there."""

    cell: Cells
    n: Integers
    n_coarse: Integers
    first_day: Days
    last_day: Days
    min_uncertainty_m: npt.NDArray[np.float32]


class Diversity(NamedTuple):
    """Of each cell: species, those met in one and in two visits, and the sum of their visits."""

    species: Integers
    q1: Integers
    q2: Integers
    incidences: Integers


class CellCounts(NamedTuple):
    """Counts of one resolution, arrays (n,) sorted by cell.

    `n` is of records, `visits` of distinct (day, observer), `incidences` of distinct (species, day,
    observer), `q1` and `q2` of species met in exactly one and two visits of the cell. Days are
    since 1970, UNKNOWN_DAY where no record has one; `min_uncertainty_m` is NaN where none has.
    """

    cell: Cells
    n: Integers
    observers: Integers
    visits: Integers
    incidences: Integers
    species: Integers
    q1: Integers
    q2: Integers
    first_day: Days
    last_day: Days
    min_uncertainty_m: npt.NDArray[np.float32]


class SpeciesInCells(NamedTuple):
    """Species of cells, arrays (n,) sorted by cell, then taxon; `visits` are of that species."""

    cell: Cells
    taxon_id: npt.NDArray[np.int32]
    n: Integers
    visits: Integers
    last_day: Days


def count_cells(records: Records, resolution: int, finest: int) -> CellCounts:
    """Counts at one resolution of records whose cells are no finer than `finest`.

    Records stored coarser than `resolution` are in no cell of it and are not counted.
    """
    return count_resolutions(records, (resolution,), finest)[0]


def count_resolutions(
    records: Records, resolutions: Sequence[int], finest: int
) -> list[CellCounts]:
    """Counts at each of several resolutions, in the order asked."""
    totals = count_totals(records, resolutions, finest)
    cells = [found.cell for found in totals]
    observers = count_distinct(records.cell, records.observer, resolutions, finest, cells)
    dated = records.visit >= 0
    visits = count_distinct(records.cell[dated], records.visit[dated], resolutions, finest, cells)
    species = count_species(records, resolutions, finest)
    return [
        joined(total, seen, visited, diversity(of_species, total.cell))
        for total, seen, visited, of_species in zip(totals, observers, visits, species, strict=True)
    ]


def joined(totals: Totals, observers: Integers, visits: Integers, kinds: Diversity) -> CellCounts:
    """Counts of the same cells put together."""
    return CellCounts(
        cell=totals.cell,
        n=totals.n,
        observers=observers,
        visits=visits,
        incidences=kinds.incidences,
        species=kinds.species,
        q1=kinds.q1,
        q2=kinds.q2,
        first_day=totals.first_day,
        last_day=totals.last_day,
        min_uncertainty_m=totals.min_uncertainty_m,
    )


def count_totals(records: Records, resolutions: Sequence[int], finest: int) -> list[Totals]:
    """What sums over rows, at each resolution."""
    digits = digits_of(records.cell, finest)
    order = np.argsort(digits, kind="stable")
    digits = digits[order]
    start = starts(digits)
    # Where a day or an uncertainty is unknown, the least or the greatest must not be that.
    first = records.first_day[order]
    first = np.where(first == UNKNOWN_DAY, NEVER, first)
    uncertainty_m = records.uncertainty_m[order]
    stored = (
        digits[start],
        np.diff(start, append=len(digits)).astype(np.int64),
        reduced(np.minimum, first, start),
        reduced(np.maximum, records.last_day[order], start),
        reduced(np.fmin, uncertainty_m, start),
    )
    return [_totals_at(*stored, resolution, finest) for resolution in resolutions]


def _totals_at(
    digits: Cells,
    n: Integers,
    first: Days,
    last: Days,
    uncertainty_m: npt.NDArray[np.float32],
    resolution: int,
    finest: int,
) -> Totals:
    inside = within(digits, resolution, finest)
    here = digits[inside] >> shift_between(resolution, finest)
    start = starts(here)
    coarse = np.zeros(len(here), np.bool_)
    if resolution < finest:
        coarse = ~within(digits[inside], resolution + 1, finest)
    earliest = reduced(np.minimum, first[inside], start)
    return Totals(
        cell=cells_from(here[start], resolution),
        n=reduced(np.add, n[inside], start),
        n_coarse=reduced(np.add, np.where(coarse, n[inside], 0), start),
        first_day=np.where(earliest == NEVER, np.int32(UNKNOWN_DAY), earliest),
        last_day=reduced(np.maximum, last[inside], start),
        min_uncertainty_m=reduced(np.fmin, uncertainty_m[inside], start),
    )


def count_distinct(
    cell: Cells,
    value: npt.NDArray[Any],
    resolutions: Sequence[int],
    finest: int,
    cells: Sequence[Cells],
) -> list[Integers]:
    """Distinct values in each of `cells[i]`, all cells of resolution `resolutions[i]`, ascending.

    `value` are numbers from 0. Rows with equal values lie by their digits side by side, so a row
    is the first of its cell where the digits up to its resolution differ from the row's before.
    """
    bits = 7 + 3 * finest
    if bits_of(value) + bits > KEY_BITS:
        _, value = np.unique(value, return_inverse=True)
    value, digits = sorted_pairs(value, digits_of(cell, finest), bits)
    found = []
    for resolution, listed in zip(resolutions, cells, strict=True):
        here = digits >> shift_between(resolution, finest)
        here = here[changes(value, here) & within(digits, resolution, finest)]
        here = np.sort(here)
        start = starts(here)
        counts = np.zeros(len(listed), np.int64)
        places = np.searchsorted(listed, cells_from(here[start], resolution))
        counts[places] = np.diff(start, append=len(here))
        found.append(counts)
    return found


def count_species(
    records: Records, resolutions: Sequence[int], finest: int
) -> list[SpeciesInCells]:
    """Species by cell at each resolution, sorted by taxon, then cell (`by_cell` turns that)."""
    known = records.species >= 0
    species, visit = records.species[known].astype(np.int64), records.visit[known]
    digits, last = digits_of(records.cell[known], finest), records.last_day[known]
    bits = 7 + 3 * finest
    order = sorted_order(species, digits, bits)
    kept, kept_digits = species[order], digits[order]
    start = np.flatnonzero(changes(kept, kept_digits))
    kept, kept_digits = kept[start], kept_digits[start]
    n = np.diff(start, append=len(order)).astype(np.int64)
    last = reduced(np.maximum, last[order], start)
    dated = visit >= 0
    pair, species_of_pair = numbered(species[dated], visit[dated].astype(np.int64))
    pair, visit_digits = sorted_pairs(pair, digits[dated], bits)
    return [
        _species_at(
            (kept, kept_digits, n, last), (pair, species_of_pair, visit_digits), resolution, finest
        )
        for resolution in resolutions
    ]


def _species_at(
    stored: tuple[Integers, Cells, Integers, Days],
    visited: tuple[Integers, Integers, Cells],
    resolution: int,
    finest: int,
) -> SpeciesInCells:
    species, digits, n, last = stored
    shift = shift_between(resolution, finest)
    inside = within(digits, resolution, finest)
    species, here, n, last = species[inside], digits[inside] >> shift, n[inside], last[inside]
    start = np.flatnonzero(changes(species, here))
    species, here = species[start], here[start]
    pair, species_of_pair, digits = visited
    there = digits >> shift
    fresh = changes(pair, there) & within(digits, resolution, finest)
    met, there = sorted_pairs(species_of_pair[pair[fresh]], there[fresh], 7 + 3 * resolution)
    begin = np.flatnonzero(changes(met, there))
    visits = np.zeros(len(species), np.int64)
    places = positions(species, here, met[begin], there[begin])
    visits[places] = np.diff(begin, append=len(met))
    return SpeciesInCells(
        cell=cells_from(here, resolution),
        taxon_id=species.astype(np.int32),
        n=reduced(np.add, n, start),
        visits=visits,
        last_day=reduced(np.maximum, last, start),
    )


def by_cell(found: SpeciesInCells) -> SpeciesInCells:
    """The same sorted by cell, then taxon."""
    order = np.lexsort((found.taxon_id, found.cell))
    return SpeciesInCells._make(column[order] for column in found)


def diversity(found: SpeciesInCells, cells: Cells) -> Diversity:
    """Species counts of `cells`, which are ascending and hold every cell of `found`."""
    counts = np.zeros((4, len(cells)), np.int64)
    for start in range(0, len(found.cell), _PIECE_ROWS):
        piece = slice(start, start + _PIECE_ROWS)
        place, visits = np.searchsorted(cells, found.cell[piece]), found.visits[piece]
        for row, chosen in enumerate((slice(None), visits == 1, visits == 2)):
            counts[row] += np.bincount(place[chosen], minlength=len(cells))
        counts[3] += np.bincount(place, visits, minlength=len(cells)).astype(np.int64)
    return Diversity(*counts)


def visit_numbers(first_day: Days, last_day: Days, observer: npt.NDArray[Any]) -> Integers:
    """A number for each pair of day and observer, NO_VISIT without one exact day; int64[n]."""
    dated = (first_day == last_day) & (first_day != UNKNOWN_DAY)
    day = first_day.astype(np.int64) - int(first_day[dated].min(initial=2**31 - 1))
    visits = day * (int(observer.max(initial=0)) + 1) + observer
    return np.where(dated, visits, NO_VISIT)


def species_of_taxa(is_species: Flags, last_descendant: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The species that each taxon is or lies in, NO_SPECIES where none; taxa in preorder."""
    taxa = np.arange(len(is_species))
    nearest = np.maximum.accumulate(np.where(is_species, taxa, NO_SPECIES))
    inside = (nearest >= 0) & (np.asarray(last_descendant)[nearest] >= taxa)
    return np.where(inside, nearest, NO_SPECIES).astype(np.int32)
