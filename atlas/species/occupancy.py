"""Reads where records of a taxon lie, cell by cell: stored counts, or counted when asked.

Counts of a taxon with many records in few cells are stored; all others are counted from its
records, which are one run of rows in each segment. The numbers are the same either way. Knows
nothing of pictures, outlines or what a count means. Safe from any thread: one catalog cursor a
call, and caches behind a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.bundle.flags import FLAGS
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo.cells import descendant_range, parent, resolution_of
from atlas.species.counting import (
    NO_SPECIES,
    UNKNOWN_DAY,
    CellCounts,
    Records,
    SpeciesInCells,
    by_cell,
    count_parts,
    count_species,
    species_of_taxa,
    sum_species,
    visit_numbers,
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

Ranges = Sequence[tuple[int, int]]
Columns = dict[str, npt.NDArray[Any]]
T = TypeVar("T")
ROOT = 0
_GOLDEN_RATIO = 2_654_435_769  # of 2^32
Counts = TypeVar("Counts", "CellCounts", "CoarseCounts")


def _day(column: str, name: str = "") -> str:
    """SQL for a DATE as days since 1970."""
    days = f"coalesce({column} - DATE '1970-01-01', {UNKNOWN_DAY})::INTEGER"
    return f"{days} AS {name or column}"


_SPAN = f"{_day('observed_from', 'first_day')}, {_day('observed_to', 'last_day')}"
_METRES = "coalesce(uncertainty_m, 'nan'::FLOAT) AS uncertainty_m"
_STORED = f"""
    SELECT cell, n, observers, visits, incidences, species, q1, q2,
        {_day("first_day")}, {_day("last_day")},
        coalesce(min_uncertainty_m, 'nan'::FLOAT) AS min_uncertainty_m
    FROM occupancy WHERE taxon_id = ? AND resolution = ?
"""
_RECORDS = f"""
    SELECT taxon_id, cell, observer_id, {_SPAN}, {_METRES}
"""
# What `image` has of a record's dates, from what `image_by_cell` has.
_BY_CELL = """
    SELECT *, CASE WHEN date_trunc('month', observed_from) = date_trunc('month', observed_to)
        THEN month(observed_from) END AS month
    FROM (SELECT *, observed_from + span_days AS observed_to FROM image_by_cell)
"""


class RecordFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records count.

    With a date bound a record's whole span must lie inside; `months` (1 to 12) are those of records
    that lie in one month; an unknown uncertainty does not pass `max_uncertainty_m`.
    """

    observed_from: date | None = None
    observed_to: date | None = None
    months: tuple[int, ...] = ()
    source_ids: tuple[int, ...] = ()
    max_uncertainty_m: float | None = None


EVERY_RECORD = RecordFilter()


class CoarseCounts(NamedTuple):
    """Records stored coarser than asked, arrays (n,) sorted by resolution, then cell."""

    cell: npt.NDArray[np.uint64]
    resolution: npt.NDArray[np.int8]
    n: npt.NDArray[np.int64]


class Sightings(NamedTuple):
    """Records one by one, arrays (n,) by row id: the first photo of each.

    Days are int32 since 1970, UNKNOWN_DAY where unknown; `uncertainty_m` is NaN where unknown;
    `observer_id` 0 is nobody named.
    """

    row_id: npt.NDArray[np.int64]
    taxon_id: npt.NDArray[np.int32]
    cell: npt.NDArray[np.uint64]
    latitude: npt.NDArray[np.float64]
    longitude: npt.NDArray[np.float64]
    uncertainty_m: npt.NDArray[np.float32]
    first_day: npt.NDArray[np.int32]
    last_day: npt.NDArray[np.int32]
    observer_id: npt.NDArray[np.int32]
    source_id: npt.NDArray[np.int16]


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
        self._run_rows = run_rows
        self._part_rows = part_rows
        taxa = catalog.table(
            "SELECT last_descendant, rank = 'species' AS is_species, images FROM taxon "
            "ORDER BY taxon_id"
        )
        self._last = np.asarray(taxa["last_descendant"], np.int32)
        self._images = np.asarray(taxa["images"], np.int64)
        self._species = species_of_taxa(np.asarray(taxa["is_species"], np.bool_), self._last)
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
        if ranges is not None and self._images[taxon_id] > self._run_rows:
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
        found: CoarseCounts = self._kept(
            ("coarse", taxon_id, filter), lambda: self._count_coarse(taxon_id, filter)
        )
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
        condition, bound = _condition(filter)
        inside = f"FROM image WHERE counted AND taxon_id BETWEEN ? AND ?{condition}"
        parameters = [taxon_id, int(self._last[taxon_id]), *bound]
        if most is not None and self._images[taxon_id] > most:
            total = int(self._catalog.table(f"SELECT count(*) AS n {inside}", parameters)["n"][0])
            if total > most:
                # Multiples of the golden ratio lie evenly, so those below a share are spread, and
                # a scan takes them without numbering the rest.
                share = most * 2**32 // total
                inside += f" AND (row_id * {_GOLDEN_RATIO}) % {2**32} < {share}"
        found = self._catalog.table(
            f"SELECT row_id, taxon_id, cell, latitude, longitude, {_METRES}, {_SPAN}, "
            f"observer_id, source_id {inside} ORDER BY row_id",
            parameters,
        )
        rows = len(found["row_id"])
        if most is not None and rows > most:
            kept = np.linspace(0, rows - 1, most).astype(np.int64)
            found = {name: column[kept] for name, column in found.items()}
        return Sightings(**{name: np.asarray(found[name]) for name in Sightings._fields})

    def species_in(self, cells: npt.NDArray[np.uint64], taxon_id: int) -> SpeciesInCells:
        """Species of a taxon that were recorded in these cells, all of one resolution.

        NotFound for an unknown taxon; InvalidQuery for cells finer than the bundle's.
        """
        wanted = np.unique(np.asarray(cells, np.uint64))
        resolution = int(resolution_of(wanted[:1])[0]) if len(wanted) else 0
        self._check(taxon_id, resolution)
        last = int(self._last[taxon_id])
        # A taxon below species has no species of its own in the table.
        if resolution in self._species_resolutions and self._species[taxon_id] in (
            NO_SPECIES,
            taxon_id,
        ):
            found = self._catalog.table(
                f"SELECT cell, taxon_id, n, visits, {_day('last_day')} FROM species_cell "
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
            for records in self._parts(taxon_id, resolution, ranges, EVERY_RECORD)
        ]
        return by_cell(sum_species(parts))

    def held_back(self, taxon_id: int) -> list[HeldBack]:
        """What the default filter holds back of a taxon with all below it, by reason."""
        self._check(taxon_id, 0)
        found = self._catalog.table(
            "SELECT flags, sum(records)::BIGINT AS records FROM held_back "
            "WHERE taxon_id BETWEEN ? AND ? GROUP BY flags",
            [taxon_id, int(self._last[taxon_id])],
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
        return self._species[np.asarray(taxon_ids, np.int64)]

    def _check(self, taxon_id: int, resolution: int) -> None:
        if not 0 <= taxon_id < len(self._last):
            raise NotFound("taxon", str(taxon_id))
        if not 0 <= resolution <= self.finest:
            raise InvalidQuery("resolution", f"must be from 0 to {self.finest}")

    def _stored_cells(self, taxon_id: int, resolution: int, ranges: Ranges | None) -> CellCounts:
        sql = _STORED if ranges is None else f"{_STORED} AND ({_between(merged(ranges))})"
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
        parts = self._parts(taxon_id, resolution, ranges, only)
        return count_parts(parts, resolution, self.finest)

    def _parts(
        self, taxon_id: int, resolution: int, ranges: Ranges | None, only: RecordFilter
    ) -> Iterator[Records]:
        """Records of a taxon in parts without a common observer, none too large for memory."""
        near = int(self._images[taxon_id])
        by_cell = False
        if ranges is not None and near > self._run_rows and (ROOT, resolution) in self._stored:
            around = int(self._stored_cells(ROOT, resolution, ranges).n.sum())
            by_cell = around < near and not only.source_ids
            near = min(near, around)
        sql, bound = self._select(taxon_id, resolution, ranges, only, by_cell=by_cell)
        parts = 1
        if near > self._part_rows:
            rows = int(self._catalog.table(f"SELECT count(*) AS n FROM ({sql})", bound)["n"][0])
            parts = max(1, -(-rows // self._part_rows))
        for part in range(parts):
            share = "" if parts == 1 else f" AND observer_id % {parts} = {part}"
            yield self._records(sql + share, bound, resolution, ranges)

    def _select(
        self,
        taxon_id: int,
        resolution: int,
        ranges: Ranges | None,
        only: RecordFilter,
        *,
        by_cell: bool,
    ) -> tuple[str, list[object]]:
        """SQL that reads the records of a taxon, in or about `ranges`, and its values.

        From `image`, where they are one run in each segment, or from `image_by_cell`, where those
        of a place are.
        """
        condition, bound = _condition(only)
        table = f"({_BY_CELL})" if by_cell else "image"
        sql = f"{_RECORDS} FROM {table} WHERE counted AND taxon_id BETWEEN ? AND ?{condition}"
        if ranges is not None:
            levels = [
                (descendant_range(low, level)[0], descendant_range(high, level)[1])
                for level in range(resolution, self.finest + 1)
                for low, high in merged(ranges)
            ]
            sql += f" AND ({_between(levels)})"
        return sql, [taxon_id, int(self._last[taxon_id]), *bound]

    def _records(
        self, sql: str, bound: list[object], resolution: int, ranges: Ranges | None
    ) -> Records:
        found = self._catalog.table(sql, bound)
        if ranges is not None:
            cells = np.asarray(found["cell"], np.uint64)
            order = np.argsort(parent(cells, resolution))
            inside = order[places_in(parent(cells[order], resolution), ranges)]
            found = {name: column[inside] for name, column in found.items()}
        first, last = found["first_day"], found["last_day"]
        return Records(
            cell=np.asarray(found["cell"], np.uint64),
            species=self._species[found["taxon_id"]],
            observer=np.asarray(found["observer_id"]),
            visit=visit_numbers(first, last, np.asarray(found["observer_id"])),
            first_day=first,
            last_day=last,
            uncertainty_m=np.asarray(found["uncertainty_m"], np.float32),
        )

    def _count_coarse(self, taxon_id: int, only: RecordFilter) -> CoarseCounts:
        finer = [r for r in range(self.finest) if (taxon_id, r) not in self._stored]
        if only == EVERY_RECORD and not finer:
            found = self._catalog.table(
                "SELECT cell, resolution, n_coarse::BIGINT AS n FROM occupancy "
                "WHERE taxon_id = ? AND resolution < ? AND n_coarse > 0 ORDER BY cell",
                [taxon_id, self.finest],
            )
        else:
            condition, bound = _condition(only)
            found = self._catalog.table(
                "SELECT cell, any_value(cell_resolution) AS resolution, count(*) AS n FROM image "
                f"WHERE counted AND taxon_id BETWEEN ? AND ? AND cell_resolution < ?{condition} "
                "GROUP BY cell ORDER BY cell",
                [taxon_id, int(self._last[taxon_id]), self.finest, *bound],
            )
        return CoarseCounts(
            np.asarray(found["cell"], np.uint64),
            np.asarray(found["resolution"], np.int8),
            np.asarray(found["n"], np.int64),
        )

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


def _condition(only: RecordFilter) -> tuple[str, list[object]]:
    """SQL on `image` that begins with AND, and its values."""
    terms: list[str] = []
    bound: list[object] = []
    if only.observed_from is not None:
        terms.append("observed_from >= ? AND observed_to IS NOT NULL")
        bound.append(only.observed_from)
    if only.observed_to is not None:
        terms.append("observed_to <= ? AND observed_from IS NOT NULL")
        bound.append(only.observed_to)
    if only.months:
        terms.append("month IN (SELECT unnest(?::TINYINT[]))")
        bound.append(list(only.months))
    if only.source_ids:
        terms.append("source_id IN (SELECT unnest(?::SMALLINT[]))")
        bound.append(list(only.source_ids))
    if only.max_uncertainty_m is not None:
        # The column is FLOAT: 30.1 metres must not be found greater than 30.1.
        terms.append("uncertainty_m <= CAST(? AS FLOAT)")
        bound.append(only.max_uncertainty_m)
    return "".join(f" AND {term}" for term in terms), bound


def _between(ranges: Ranges) -> str:
    # Numbers of our own making, written out: DuckDB skips blocks by constants.
    return " OR ".join(f"cell BETWEEN {low} AND {high}" for low, high in ranges) or "FALSE"


def merged(ranges: Ranges, most: int = 4) -> list[tuple[int, int]]:
    """At most `most` ascending ranges that hold the given ones: the widest gaps are left out.

    A scan that compares each row with fifty ranges takes 6 ms where one takes 1.5.
    """
    if len(ranges) <= most:
        return list(ranges)
    gaps = np.array([after[0] - before[1] for before, after in pairwise(ranges)])
    cuts = np.sort(np.argsort(gaps, kind="stable")[len(gaps) - most + 1 :]).tolist()
    lows = [ranges[0][0], *(ranges[cut + 1][0] for cut in cuts)]
    highs = [*(ranges[cut][1] for cut in cuts), ranges[-1][1]]
    return list(zip(lows, highs, strict=True))


def places_in(
    cells: npt.NDArray[np.uint64], ranges: Ranges | npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Where ascending cells lie in ascending inclusive ranges, ascending; of one place once."""
    bounds = np.asarray(ranges, np.uint64).reshape(-1, 2)
    first = np.searchsorted(cells, bounds[:, 0])
    stop = np.searchsorted(cells, bounds[:, 1], side="right")
    # Ranges that touch share a cell.
    first[1:] = np.maximum(first[1:], stop[:-1])
    count = np.maximum(stop - first, 0)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    places: npt.NDArray[np.int64] = np.repeat(first, count) + within
    return places


def _chosen(counts: Counts, keep: npt.NDArray[np.int64] | slice) -> Counts:
    return type(counts)._make(column[keep] for column in counts)


def _size(counts: Any) -> int:  # noqa: ANN401  # any tuple of columns
    return len(counts[0]) + 1
