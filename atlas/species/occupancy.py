"""Reads where records of a taxon lie, cell by cell: stored counts, or counted when asked.

Counts of a taxon with many records in few cells are stored; all others are counted from its
records, which are one run of rows in each segment. The numbers are the same either way. Knows
nothing of pictures, outlines or what a count means. Safe from any thread: one catalog cursor a
call, and caches behind a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.bundle.flags import FLAGS
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.cells import parent, resolution_of
from atlas.species.cell_slices import Ranges, between, merged, places_in
from atlas.species.counting import (
    NO_SPECIES,
    UNKNOWN_DAY,
    CellCounts,
    Records,
    SpeciesInCells,
    by_cell,
    count_cells,
    count_species,
)
from atlas.species.counting_parts import count_parts, sum_species
from atlas.species.records_read import (
    EVERY_RECORD,
    RecordFilter,
    RecordReader,
    Sightings,
    day_sql,
)

__all__ = [
    "EVERY_RECORD",
    "NO_SPECIES",
    "UNKNOWN_DAY",
    "CellCounts",
    "CoarseCounts",
    "HeldBack",
    "Occupancy",
    "Ranges",
    "RecordFilter",
    "Sightings",
    "SpeciesInCells",
]

T = TypeVar("T")
Counts = TypeVar("Counts", "CellCounts", "CoarseCounts")


_STORED = f"""
    SELECT cell, n, observers, visits, incidences, species, q1, q2,
        {day_sql("first_day")}, {day_sql("last_day")},
        coalesce(min_uncertainty_m, 'nan'::FLOAT) AS min_uncertainty_m
    FROM occupancy WHERE taxon_id = ? AND resolution = ?
"""


class CoarseCounts(NamedTuple):
    """Records stored coarser than asked, arrays (n,) sorted by resolution, then cell."""

    cell: npt.NDArray[np.uint64]
    resolution: npt.NDArray[np.int8]
    n: npt.NDArray[np.int64]


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """How many records the default filter holds back for one reason; one may have several."""

    flag: str
    meaning: str
    records: int


class Occupancy:
    """Occupancy of a catalog whose finest cells have `finest` resolution."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        finest: int,
        cached_cells: int = 2_000_000,
        run_rows: int = 50_000,
        part_rows: int = 2_000_000,
    ) -> None:
        """Keep the counts of `cached_cells` cells that were counted when asked.

        A taxon with at most `run_rows` photos is counted whole, whatever part is asked for. At
        most about `part_rows` records are in memory at once.
        """
        self._catalog = catalog
        self.finest = finest
        self._reader = RecordReader(catalog, finest=finest, part_rows=part_rows)
        self._run_rows = run_rows
        stored = catalog.table("SELECT taxon_id, resolution FROM occupancy_run")
        self._stored = set(
            zip(stored["taxon_id"].tolist(), stored["resolution"].tolist(), strict=True)
        )
        listed = catalog.table("SELECT DISTINCT resolution FROM species_cell")
        self._species_resolutions = frozenset(listed["resolution"].tolist())
        self._counted: LRUCache[Hashable, Any] = LRUCache(cached_cells, getsizeof=_size)
        self._lock = threading.Lock()

    def cells(
        self,
        taxon_id: int,
        resolution: int,
        *,
        ranges: Ranges | None = None,
        filter: RecordFilter = EVERY_RECORD,  # noqa: A002  # what the API calls it
    ) -> CellCounts:
        """Counts of a taxon with all below it, by cell of `resolution`.

        `ranges` are inclusive ranges of cell numbers of that resolution, ascending; without them
        the whole world. NotFound for an unknown taxon, InvalidQuery for a resolution finer than
        the bundle's cells.
        """
        self._check(taxon_id, resolution)
        if filter == EVERY_RECORD and (taxon_id, resolution) in self._stored:
            return self._stored_cells(taxon_id, resolution, ranges)
        if ranges is not None and self._reader.images(taxon_id) > self._run_rows:
            key = ("cells", taxon_id, resolution, tuple(ranges), filter)
            return self._kept(key, lambda: self._count(taxon_id, resolution, ranges, filter))
        whole = self._kept(
            ("cells", taxon_id, resolution, None, filter),
            lambda: self._count(taxon_id, resolution, None, filter),
        )
        return whole if ranges is None else _chosen(whole, places_in(whole.cell, ranges))

    def coarse(
        self,
        taxon_id: int,
        resolution: int,
        *,
        ranges: Ranges | None = None,
        filter: RecordFilter = EVERY_RECORD,  # noqa: A002  # what the API calls it
    ) -> CoarseCounts:
        """Records that are stored coarser than `resolution`, by the cell they are stored at.

        With `ranges`, those of cells that hold a cell inside. Errors as `cells`.
        """
        self._check(taxon_id, resolution)
        found = self._coarse(taxon_id, resolution, ranges, filter)
        if ranges is None:
            return _chosen(found, slice(0, int(np.searchsorted(found.resolution, resolution))))
        bounds = np.asarray(ranges, np.uint64).reshape(-1, 2)
        # In the order of their numbers cells of one resolution follow those of the coarser one.
        held = [
            places_in(found.cell, np.stack([parent(bounds[:, 0], r), parent(bounds[:, 1], r)], 1))
            for r in range(resolution)
        ]
        return _chosen(found, np.unique(np.concatenate([np.empty(0, np.int64), *held])))

    def sightings(
        self,
        taxon_id: int,
        filter: RecordFilter = EVERY_RECORD,  # noqa: A002  # what the API calls it
        *,
        most: int | None = None,
    ) -> Sightings:
        """Records of a taxon with all below it, in row order.

        More than `most` are thinned evenly to about as many, never more: in row order, which is
        by taxon, then by place. NotFound for an unknown taxon.
        """
        self._check(taxon_id, 0)
        return self._reader.sightings(taxon_id, filter, most)

    def species_in(self, cells: npt.NDArray[np.uint64], taxon_id: int) -> SpeciesInCells:
        """Species of a taxon that were recorded in these cells, all of one resolution.

        NotFound for an unknown taxon; InvalidQuery for cells finer than the bundle's.
        """
        wanted = np.unique(np.asarray(cells, np.uint64))
        resolution = int(resolution_of(wanted[:1])[0]) if len(wanted) else 0
        self._check(taxon_id, resolution)
        last = self._reader.last(taxon_id)
        # A taxon below species has no species of its own in the table.
        if resolution in self._species_resolutions and self._reader.species[taxon_id] in (
            NO_SPECIES,
            taxon_id,
        ):
            found = self._catalog.table(
                f"SELECT cell, taxon_id, n, visits, {day_sql('last_day')} FROM species_cell "
                "WHERE resolution = ? AND cell IN (SELECT unnest(?::UBIGINT[])) "
                "AND taxon_id BETWEEN ? AND ? ORDER BY cell, taxon_id",
                [resolution, wanted, taxon_id, last],
            )
            return SpeciesInCells(
                cell=np.asarray(found["cell"], np.uint64),
                taxon_id=np.asarray(found["taxon_id"], np.int32),
                n=np.asarray(found["n"], np.int64),
                visits=np.asarray(found["visits"], np.int64),
                last_day=np.asarray(found["last_day"], np.int32),
            )
        ranges = [(cell, cell) for cell in wanted.tolist()]
        parts = [
            count_species(records, (resolution,), self.finest)[0]
            for records in self._reader.parts(taxon_id, EVERY_RECORD, resolution, ranges)
        ]
        return by_cell(sum_species(parts))

    def held_back(self, taxon_id: int) -> list[HeldBack]:
        """What the default filter holds back of a taxon with all below it, by reason."""
        self._check(taxon_id, 0)
        found = self._catalog.table(
            "SELECT flags, sum(records)::BIGINT AS records FROM held_back "
            "WHERE taxon_id BETWEEN ? AND ? GROUP BY flags",
            [taxon_id, self._reader.last(taxon_id)],
        )
        counts = list(zip(found["flags"].tolist(), found["records"].tolist(), strict=True))
        reasons = [
            HeldBack(
                flag=meaning.name,
                meaning=meaning.meaning,
                records=sum(records for flags, records in counts if flags & meaning.flag),
            )
            for meaning in FLAGS
            if meaning.held_back
        ]
        return [reason for reason in reasons if reason.records]

    def species_of(self, taxon_ids: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """The species that each taxon is or lies in, NO_SPECIES where none; int32[n]."""
        return self._reader.species[np.asarray(taxon_ids, np.int64)]

    def _check(self, taxon_id: int, resolution: int) -> None:
        self._reader.last(taxon_id)
        if not 0 <= resolution <= self.finest:
            raise InvalidQuery("resolution", f"must be from 0 to {self.finest}")

    def _stored_cells(self, taxon_id: int, resolution: int, ranges: Ranges | None) -> CellCounts:
        sql = _STORED if ranges is None else f"{_STORED} AND ({between(merged(ranges))})"
        found = self._catalog.table(sql, [taxon_id, resolution])
        counts = CellCounts(
            **{
                name: np.asarray(found[name]).astype(_TYPES.get(name, np.int64), copy=False)
                for name in CellCounts._fields
            }
        )
        # The table is in this order and a scan keeps it; sorting 100,000 sorted cells costs 4 ms.
        if not (counts.cell[1:] > counts.cell[:-1]).all():
            counts = _chosen(counts, np.argsort(counts.cell))
        return counts if ranges is None else _chosen(counts, places_in(counts.cell, ranges))

    def _count(
        self, taxon_id: int, resolution: int, ranges: Ranges | None, only: RecordFilter
    ) -> CellCounts:
        if self._reader.images(taxon_id) <= self._run_rows:
            return count_cells(self._run(taxon_id, only), resolution, self.finest)
        parts = self._reader.parts(taxon_id, only, resolution, ranges)
        return count_parts(parts, resolution, self.finest)

    def _run(self, taxon_id: int, only: RecordFilter) -> Records:
        """All records of a small taxon, read once for all resolutions."""
        return self._kept(("records", taxon_id, only), lambda: self._reader.records(taxon_id, only))

    def _coarse(
        self, taxon_id: int, resolution: int, ranges: Ranges | None, only: RecordFilter
    ) -> CoarseCounts:
        """Coarse records of the whole world, or more than asked for of the place in `ranges`.

        Those of every record are few and kept by taxon, which serves all tiles of it; those under a
        filter are sought where they are asked for, since the next question has another one.
        """
        every = only == EVERY_RECORD
        stored = every and all((taxon_id, r) in self._stored for r in range(self.finest))
        if ranges is None or every or not self._reader.read_by_place(taxon_id, only):
            return self._kept(
                ("coarse", taxon_id, only), lambda: self._count_coarse(taxon_id, only, stored)
            )

        def near() -> CoarseCounts:
            return _as_coarse(*self._reader.coarse_near(taxon_id, only, resolution, ranges))

        return self._kept(("coarse", taxon_id, resolution, tuple(ranges), only), near)

    def _count_coarse(self, taxon_id: int, only: RecordFilter, stored: bool) -> CoarseCounts:
        if self._reader.images(taxon_id) <= self._run_rows:
            cell = self._run(taxon_id, only).cell
            cell, n = np.unique(cell[resolution_of(cell) < self.finest], return_counts=True)
            return _as_coarse(cell, n.astype(np.int64))
        if stored:
            found = self._catalog.table(
                "SELECT cell, n_coarse::BIGINT AS n FROM occupancy "
                "WHERE taxon_id = ? AND resolution < ? AND n_coarse > 0 ORDER BY cell",
                [taxon_id, self.finest],
            )
            return _as_coarse(
                np.asarray(found["cell"], np.uint64), np.asarray(found["n"], np.int64)
            )
        return _as_coarse(*self._reader.coarse(taxon_id, only))

    def _kept(self, key: Hashable, count: Callable[[], T]) -> T:
        with self._lock:
            kept = self._counted.get(key)
        if kept is None:
            kept = count()
            with self._lock:
                if _size(kept) <= self._counted.maxsize:
                    self._counted[key] = kept
        found: T = kept
        return found


_TYPES: dict[str, Any] = {
    "cell": np.uint64,
    "first_day": np.int32,
    "last_day": np.int32,
    "min_uncertainty_m": np.float32,
}


def _as_coarse(cell: npt.NDArray[np.uint64], n: npt.NDArray[np.int64]) -> CoarseCounts:
    return CoarseCounts(cell, resolution_of(cell), n)


def _chosen(counts: Counts, keep: npt.NDArray[np.int64] | slice) -> Counts:
    return type(counts)._make(column[keep] for column in counts)


def _size(counts: Any) -> int:  # noqa: ANN401  # any tuple of columns
    return len(counts[0]) + 1
