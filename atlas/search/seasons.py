"""When the photos that pass a filter were taken: counts by month and by year.

Reads the catalog for the rows of a compiled filter and keeps what was counted lately. Knows
nothing of vectors or words. Threads: safe from any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.search.compiler import CompiledFilter
from atlas.search.selection import Selection

# A year stands for a row where its first and last day share it, as the filter's dates have it.
_WHEN = (
    "coalesce(month, 0) AS month, coalesce(CASE WHEN year(observed_from) = year(observed_to) "
    "THEN year(observed_from) END, 0) AS year"
)
_COUNTED = f"SELECT {_WHEN}, count(*) AS n FROM image WHERE row_id"
# So many ids are looked up at once; more rows than this are read whole, block by block.
_GATHERED_ROWS = 65_536
_BLOCK_ROWS = 1_048_576
_KEPT = 512


class YearPhotos(msgspec.Struct, frozen=True, kw_only=True):
    """Photos of one calendar year."""

    year: int
    photos: int


class Seasons(msgspec.Struct, frozen=True, kw_only=True):
    """Photos by month (twelve numbers, January first) and by year, years in order.

    A photo whose dates span months or years counts in none of them: `without_month` and
    `without_year` have how many do, or have no date. Each list adds up to `matching` with its rest.
    """

    matching: int
    months: tuple[int, ...]
    without_month: int
    years: tuple[YearPhotos, ...]
    without_year: int


class SeasonCounts:
    """Counts the rows of filters of one bundle, which never changes."""

    def __init__(self, catalog: Catalog, segments: Sequence[Segment]) -> None:
        self._catalog = catalog
        self._segments = tuple(segments)
        self._kept: LRUCache[bytes, Seasons] = LRUCache(_KEPT)
        self._lock = Lock()

    def count(self, compiled: CompiledFilter) -> Seasons:
        """When the rows that pass were photographed."""
        with self._lock:
            kept: Seasons | None = self._kept.get(compiled.key)
        if kept is None:
            kept = self._count(compiled)
            with self._lock:
                self._kept[compiled.key] = kept
        return kept

    def _count(self, compiled: CompiledFilter) -> Seasons:
        months = np.zeros(13, np.int64)
        years: dict[int, int] = {}
        for segment, selection in zip(self._segments, compiled.selections, strict=True):
            for month, year, rows in self._counts(segment, selection):
                np.add.at(months, month, rows)
                for each, count in zip(year.tolist(), rows.tolist(), strict=True):
                    years[each] = years.get(each, 0) + count
        without_year = years.pop(0, 0)
        return Seasons(
            matching=compiled.matching,
            months=tuple(months[1:].tolist()),
            without_month=int(months[0]),
            years=tuple(YearPhotos(year=year, photos=years[year]) for year in sorted(years)),
            without_year=without_year,
        )

    def _counts(
        self, segment: Segment, selection: Selection
    ) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
        """Month, year and number of rows, in pieces; 0 where a month or year is not known."""
        if selection.count == 0:
            return
        first = segment.first_row
        if (run := selection.run) is not None:
            bounds = [first + run.start, first + run.stop - 1]
            yield self._grouped("BETWEEN ? AND ?", bounds)
        elif selection.count <= _GATHERED_ROWS:
            chosen = (selection.positions() + first).tolist()
            yield self._grouped("IN (SELECT unnest(?::BIGINT[]))", [chosen])
        else:
            for start in range(0, segment.rows, _BLOCK_ROWS):
                yield self._block(segment, selection, start)

    def _grouped(self, rows: str, bound: list[object]) -> tuple[npt.NDArray[np.int64], ...]:
        found = self._catalog.table(f"{_COUNTED} {rows} GROUP BY ALL", bound)
        return tuple(np.asarray(found[name], np.int64) for name in ("month", "year", "n"))

    def _block(
        self, segment: Segment, selection: Selection, start: int
    ) -> tuple[npt.NDArray[np.int64], ...]:
        """The counts of one block, of which every row is read."""
        stop = min(start + _BLOCK_ROWS, segment.rows)
        found = self._catalog.table(
            f"SELECT row_id, {_WHEN} FROM image WHERE row_id BETWEEN ? AND ?",
            [segment.first_row + start, segment.first_row + stop - 1],
        )
        passing = selection.contains(np.asarray(found["row_id"], np.int64) - segment.first_row)
        both = np.asarray(found["year"], np.int64)[passing] * 13 + found["month"][passing]
        when, rows = np.unique(both, return_counts=True)
        return when % 13, when // 13, rows.astype(np.int64)
