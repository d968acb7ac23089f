"""Reads records of a taxon from the catalog: those that count, pass a filter, and lie somewhere.

From `image`, where a taxon is one run of rows in each segment, or from `image_by_cell`, where the
records of a place are. Counts nothing. One catalog cursor a call, any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.catalog import Catalog
from atlas.errors import NotFound
from atlas.geo.cells import descendant_range, parent
from atlas.species.cell_slices import Ranges, between, merged, places_in
from atlas.species.counting import UNKNOWN_DAY, Records, species_of_taxa, visit_numbers

_GOLDEN_RATIO = 2_654_435_769  # of 2^32
# Up to so many photos a taxon's own run is read and sieved; beyond, the rows of the place.
_LONG_RUN = 200_000


def day_sql(column: str, name: str = "") -> str:
    """SQL for a DATE as days since 1970."""
    days = f"coalesce({column} - DATE '1970-01-01', {UNKNOWN_DAY})::INTEGER"
    return f"{days} AS {name or column}"


_SPAN = f"{day_sql('observed_from', 'first_day')}, {day_sql('observed_to', 'last_day')}"
_METRES = "coalesce(uncertainty_m, 'nan'::FLOAT) AS uncertainty_m"
# What `image` has of a record's dates, from what `image_by_cell` has.
_BY_CELL = """
    SELECT *, CASE WHEN date_trunc('month', observed_from) = date_trunc('month', observed_to)
        THEN month(observed_from) END AS month
    FROM (SELECT *, observed_from + span_days AS observed_to FROM image_by_cell)
"""


_HAS_SOURCES = (
    "SELECT 1 AS found FROM duckdb_columns() WHERE database_name = current_database() "
    "AND table_name = 'image_by_cell' AND column_name = 'source_id'"
)


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


class Counted(NamedTuple):
    """Numbers of records, arrays (n,) by cell, ascending."""

    cell: npt.NDArray[np.uint64]
    n: npt.NDArray[np.int64]


class RecordReader:
    """Reads records of a catalog whose finest cells have `finest` resolution."""

    def __init__(self, catalog: Catalog, *, finest: int, part_rows: int) -> None:
        """Read about `part_rows` records at once, at most."""
        self._catalog = catalog
        self._finest = finest
        self._part_rows = part_rows
        taxa = catalog.table(
            "SELECT last_descendant, rank = 'species' AS is_species, images FROM taxon "
            "ORDER BY taxon_id"
        )
        self._last = np.asarray(taxa["last_descendant"], np.int32)
        self._images = np.asarray(taxa["images"], np.int64)
        self._placed_sources = bool(
            len(catalog.table(_HAS_SOURCES)["found"])  # not before format 3
        )
        self.species = species_of_taxa(np.asarray(taxa["is_species"], np.bool_), self._last)

    def last(self, taxon_id: int) -> int:
        """The last taxon of a subtree; NotFound for an unknown taxon."""
        if not 0 <= taxon_id < len(self._last):
            raise NotFound("taxon", str(taxon_id))
        return int(self._last[taxon_id])

    def images(self, taxon_id: int) -> int:
        """Photos of a taxon with all below it."""
        return int(self._images[taxon_id])

    def records(self, taxon_id: int, only: RecordFilter) -> Records:
        """All records of a taxon with all below it."""
        sql, bound = self._select(taxon_id, only, by_cell=False)
        return self._read(sql, bound)

    def parts(
        self, taxon_id: int, only: RecordFilter, resolution: int, ranges: Ranges | None
    ) -> Iterator[Records]:
        """The same, of cells of `resolution` in `ranges`, in parts that share no observer."""
        images = self.images(taxon_id)
        by_cell = ranges is not None and self.read_by_place(taxon_id, only)
        sql, bound = self._select(taxon_id, only, by_cell=by_cell)
        if ranges is not None:
            levels = [
                (descendant_range(low, level)[0], descendant_range(high, level)[1])
                for level in range(resolution, self._finest + 1)
                for low, high in merged(ranges)
            ]
            sql += f" AND ({between(levels)})"
        parts = 1
        if images > self._part_rows:
            rows = int(self._catalog.table(f"SELECT count(*) AS n FROM ({sql})", bound)["n"][0])
            parts = max(1, -(-rows // self._part_rows))
        for part in range(parts):
            share = "" if parts == 1 else f" AND observer_id % {parts} = {part}"
            found = self._read(sql + share, bound)
            yield found if ranges is None else _inside(found, resolution, ranges)

    def read_by_place(self, taxon_id: int, only: RecordFilter) -> bool:
        """Whether the records of a place are read from the rows of the place."""
        told = self._placed_sources or not only.source_ids
        return told and self.images(taxon_id) > _LONG_RUN

    def coarse(self, taxon_id: int, only: RecordFilter) -> Counted:
        """Records that are stored coarser than the finest cells, by the cell they are stored at."""
        condition, bound = filter_sql(only)
        return self._by_stored_cell(
            f"image WHERE cell_resolution < {self._finest}{condition}", taxon_id, bound
        )

    def coarse_near(
        self, taxon_id: int, only: RecordFilter, resolution: int, ranges: Ranges
    ) -> Counted:
        """Those stored coarser than `resolution` in cells that hold a cell in `ranges`, or near.

        Reads the rows of the place alone.
        """
        condition, bound = filter_sql(only)
        bounds = np.asarray(merged(ranges), np.uint64).reshape(-1, 2)
        holders = [
            (int(low), int(high))
            for level in range(resolution)
            for low, high in zip(
                parent(bounds[:, 0], level), parent(bounds[:, 1], level), strict=True
            )
        ]
        inside = f"({_BY_CELL}) WHERE ({between(holders)}){condition}"
        return self._by_stored_cell(inside, taxon_id, bound)

    def _by_stored_cell(self, rows: str, taxon_id: int, bound: list[object]) -> Counted:
        found = self._catalog.table(
            f"SELECT cell, count(*) AS n FROM {rows} "
            "AND counted AND taxon_id BETWEEN ? AND ? GROUP BY cell ORDER BY cell",
            [*bound, taxon_id, self.last(taxon_id)],
        )
        return Counted(np.asarray(found["cell"], np.uint64), np.asarray(found["n"], np.int64))

    def sightings(self, taxon_id: int, only: RecordFilter, most: int | None) -> Sightings:
        """See `Occupancy.sightings`."""
        condition, bound = filter_sql(only)
        inside = f"FROM image WHERE counted AND taxon_id BETWEEN ? AND ?{condition}"
        parameters = [taxon_id, self.last(taxon_id), *bound]
        if most is not None and self.images(taxon_id) > most:
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

    def _select(
        self, taxon_id: int, only: RecordFilter, *, by_cell: bool
    ) -> tuple[str, list[object]]:
        """SQL that reads the records of a taxon, and its values."""
        condition, bound = filter_sql(only)
        table = f"({_BY_CELL})" if by_cell else "image"
        sql = (
            f"SELECT taxon_id, cell, observer_id, {_SPAN}, {_METRES} FROM {table} "
            f"WHERE counted AND taxon_id BETWEEN ? AND ?{condition}"
        )
        return sql, [taxon_id, self.last(taxon_id), *bound]

    def _read(self, sql: str, bound: list[object]) -> Records:
        found = self._catalog.table(sql, bound)
        first, last = found["first_day"], found["last_day"]
        observer = np.asarray(found["observer_id"])
        return Records(
            cell=np.asarray(found["cell"], np.uint64),
            species=self.species[found["taxon_id"]],
            observer=observer,
            visit=visit_numbers(first, last, observer),
            first_day=first,
            last_day=last,
            uncertainty_m=np.asarray(found["uncertainty_m"], np.float32),
        )


def _inside(found: Records, resolution: int, ranges: Ranges) -> Records:
    cells = parent(found.cell, resolution)
    order = np.argsort(cells)
    kept = order[places_in(cells[order], ranges)]
    return Records._make(column[kept] for column in found)


def filter_sql(only: RecordFilter) -> tuple[str, list[object]]:
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
