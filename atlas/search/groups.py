"""Which rows belong together when a page shows one of each: those of a species, those of a place.

Threads: safe from any; what is read once is kept under a lock and never changes, because a bundle
never does. Knows the catalog and the segments' row ranges, nothing of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.geo.cells import descendant_range, parent, resolution_of
from atlas.search.selection import Selection
from atlas.search.taxon_runs import read_runs

RowIds = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64]

# Rows without a cell are one group: a page shows one photo of unknown place at most.
NO_PLACE = 0
# Rows are read as the stretch of the table that holds them unless they are one in so many of it.
_DENSE = 32


class Groups(Protocol):
    """A partition of all rows."""

    def keys(self, row_ids: RowIds) -> Keys:
        """The group of each row, (n,) int64; rows in any order."""

    def without(self, selections: Sequence[Selection], keys: Keys) -> tuple[Selection, ...]:
        """The selections, one a segment, less all rows of the groups `keys`."""


class SpeciesGroups:
    """Rows by species: all below a species are one group, a taxon above species is its own.

    Rows are sorted by taxon within a segment and taxa in preorder, so a group is one run of rows
    a segment. Keys are taxon ids.
    """

    def __init__(self, catalog: Catalog, segments: Sequence[Segment]) -> None:
        """Nothing is read before the first question that needs it."""
        self._catalog = catalog
        self._segments = tuple(segments)
        self._lock = Lock()
        self._runs: tuple[RowIds, RowIds, Keys, RowIds] | None = None

    def keys(self, row_ids: RowIds) -> Keys:
        """The species of each row, else the row's own taxon."""
        starts, _, keys, _ = self._read()
        found: Keys = keys[np.searchsorted(starts, row_ids, side="right") - 1]
        return found

    def without(self, selections: Sequence[Selection], keys: Keys) -> tuple[Selection, ...]:
        """The selections less these taxa's runs of rows."""
        starts, stops, listed, by_key = self._read()
        first = np.searchsorted(listed, keys, side="left", sorter=by_key)
        last = np.searchsorted(listed, keys, side="right", sorter=by_key)
        runs = np.sort(np.concatenate([by_key[a:b] for a, b in zip(first, last, strict=True)]))
        left = []
        for segment, selection in zip(self._segments, selections, strict=True):
            a, b = np.searchsorted(
                starts[runs], [segment.first_row, segment.first_row + segment.rows]
            )
            inside = runs[a:b]
            left.append(
                selection.without_runs(
                    starts[inside] - segment.first_row, stops[inside] - segment.first_row
                )
            )
        return tuple(left)

    def _read(self) -> tuple[RowIds, RowIds, Keys, RowIds]:
        """First row, end and key of every run, in order of rows; and the runs' order by key."""
        with self._lock:
            if self._runs is None:
                self._runs = self._read_runs()
            return self._runs

    def _read_runs(self) -> tuple[RowIds, RowIds, Keys, RowIds]:
        species = self._catalog.table(
            "SELECT taxon_id, last_descendant FROM taxon WHERE rank = 'species' ORDER BY taxon_id"
        )
        starts, stops, keys = [], [], []
        runs_of_all = read_runs(self._catalog, self._segments)
        for segment, runs in zip(self._segments, runs_of_all, strict=True):
            starts.append(runs.first + segment.first_row)
            stops.append(runs.stop + segment.first_row)
            keys.append(_species_of(runs.taxa, species))
        joined = np.concatenate(keys)
        return (
            np.concatenate(starts),
            np.concatenate(stops),
            joined,
            np.argsort(joined, kind="stable"),
        )


def _species_of(taxa: Keys, species: dict[str, npt.NDArray[np.int32]]) -> Keys:
    """The species that each taxon is or lies below, else the taxon itself."""
    first = np.asarray(species["taxon_id"], np.int64)
    last = np.asarray(species["last_descendant"], np.int64)
    if len(first) == 0:
        return taxa
    before = np.maximum(np.searchsorted(first, taxa, side="right") - 1, 0)
    inside = (taxa >= first[before]) & (taxa <= last[before])
    return np.where(inside, first[before], taxa)


class PlaceGroups:
    """Rows by H3 cell of `resolution`; a record stored coarser than that is a place of its own.

    Keys are cell numbers, `NO_PLACE` for rows without one.
    """

    def __init__(
        self, catalog: Catalog, segments: Sequence[Segment], *, resolution: int, finest: int
    ) -> None:
        """`finest` is the resolution cells are stored at; no place is finer."""
        self._catalog = catalog
        self._segments = tuple(segments)
        self._resolution = min(resolution, finest)
        self._finest = finest

    def keys(self, row_ids: RowIds) -> Keys:
        """The place of each row."""
        cells = self._cells(row_ids)
        places = parent(cells, self._resolution)
        return np.where(places == NO_PLACE, cells, places).astype(np.int64)

    def without(self, selections: Sequence[Selection], keys: Keys) -> tuple[Selection, ...]:
        """The selections less all rows in these places."""
        rows = np.sort(np.concatenate([self._rows(int(key)) for key in keys]))
        left = []
        for segment, selection in zip(self._segments, selections, strict=True):
            first, last = np.searchsorted(
                rows, [segment.first_row, segment.first_row + segment.rows]
            )
            left.append(selection.without(rows[first:last] - segment.first_row))
        return tuple(left)

    def _cells(self, row_ids: RowIds) -> npt.NDArray[np.uint64]:
        if len(row_ids) == 0:
            return np.empty(0, np.uint64)
        first, last = int(row_ids.min()), int(row_ids.max())
        parameters: list[object]
        if last - first < _DENSE * len(row_ids):
            chosen, parameters = "row_id BETWEEN ? AND ?", [first, last]
        else:
            # Five million rows, 200 of them: 18 ms so, 45 ms with the numbers written out.
            chosen, parameters = "row_id IN (SELECT unnest(?::BIGINT[]))", [row_ids]
        found = self._catalog.table(
            f"SELECT row_id, coalesce(cell, 0::UBIGINT) AS cell FROM image WHERE {chosen} "
            "ORDER BY row_id",
            parameters,
        )
        listed = np.asarray(found["row_id"], np.int64)
        cells: npt.NDArray[np.uint64] = np.asarray(found["cell"], np.uint64)
        return cells[np.searchsorted(listed, row_ids)]

    def _rows(self, key: int) -> RowIds:
        """All rows in a place; one short look into the table that is sorted by cell."""
        if key == NO_PLACE:
            return self._catalog.rows("cell IS NULL")
        resolution = int(resolution_of(np.array([key], np.uint64))[0])
        # Of a place coarser than asked for, only what is stored at that very cell.
        finest = resolution if resolution < self._resolution else self._finest
        levels = map(partial(descendant_range, key), range(resolution, finest + 1))
        inside = " OR ".join(f"cell BETWEEN {low} AND {high}" for low, high in levels)
        found = self._catalog.table(f"SELECT row_id FROM image_by_cell WHERE {inside}")
        return np.asarray(found["row_id"], np.int64)
