"""Turns a filter into the rows of each segment that pass it, and keeps what was asked lately.

Threads: safe from any; two threads that ask for the same new filter at once may both compile it.
Knows the catalog and the segments' row ranges, nothing of vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from atlas.bundle.flags import DEFAULT_FILTER
from atlas.bundle.manifest import LayerEntry
from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.geo.layers import Layers
from atlas.search.filters import (
    Condition,
    Filter,
    condition_of,
    key_of,
    without_places,
)
from atlas.search.located_rows import LocatedRows, shapes_of, without_shapes
from atlas.search.meanwhile import meanwhile
from atlas.search.narrowing import narrowed, number_possible
from atlas.search.place_filters import statements_of
from atlas.search.place_statements import Statement, cited
from atlas.search.selection import Selection
from atlas.search.surroundings import Surroundings
from atlas.search.taxon_runs import read_runs

RowIds = npt.NDArray[np.int64]
# Each is a query of its own, of a millisecond or so; a scan of 10 million rows takes some thirty.
_MOST_RUNS = 16


class HeldBackFor(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows that meet every condition are hidden for one flag."""

    flag: str
    meaning: str
    rows: int


class _HeldBack(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rows that carry one flag that is held back, as positions of each segment."""

    flag: str
    meaning: str
    positions: tuple[RowIds, ...]


class CompiledFilter(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rows that pass: one selection a segment, in the bundle's order.

    `matching` is their exact number. `held_back` counts the rows that meet every condition and
    are hidden by the default quality filter alone (0 when the filter says `flags: all`), and
    `held_back_for` says why: a row that carries several flags counts for each.
    `unjudged` counts the rows that meet every other condition, and of which the place layers in
    `cited` cannot tell: their uncertainty is too great or unknown, or they have no value.
    """

    key: bytes
    selections: tuple[Selection, ...]
    matching: int
    held_back: int
    held_back_for: tuple[HeldBackFor, ...]
    possible: Future[int] | None = None
    cited: tuple[LayerEntry, ...] = ()

    @property
    def unjudged(self) -> int:
        """See above; waits for the count, which a thread begins when the filter is compiled."""
        return 0 if self.possible is None else self.possible.result() - self.matching


class FilterCompiler:
    """Compiles filters for one bundle, which never changes, so nothing kept goes stale."""

    def __init__(
        self,
        catalog: Catalog,
        segments: Sequence[Segment],
        *,
        finest: int,
        cache_bytes: int,
        layers: Layers | None = None,
    ) -> None:
        """`finest` is the resolution cells are stored at; `cache_bytes` bounds what is kept."""
        self._catalog = catalog
        self._segments = tuple(segments)
        self._finest = finest
        self._layers = Layers() if layers is None else layers
        self._surroundings = Surroundings(catalog, segments)
        self._located = LocatedRows.of(self._segments)
        self._removed = tuple(
            np.fromiter(segment.tombstones, np.int64, len(segment.tombstones))
            for segment in self._segments
        )
        self._taxa = read_runs(catalog, self._segments)
        by_flag = {
            flag: catalog.rows("flags & ? <> 0", [flag.bit]) for flag in catalog.held_back_flags()
        }
        every = np.unique(np.concatenate([np.empty(0, np.int64), *by_flag.values()]))
        self._held_back = self._by_segment(every)
        self._flags = [
            _HeldBack(flag=flag.name, meaning=flag.meaning, positions=self._by_segment(row_ids))
            for flag, row_ids in by_flag.items()
            if len(row_ids)
        ]
        self._kept: LRUCache[bytes, CompiledFilter] = LRUCache(cache_bytes, getsizeof=_size_bytes)
        self._lock = Lock()

    def compile(self, asked: Filter) -> CompiledFilter:
        """Rows that pass `asked`; InvalidQuery names the field at fault."""
        key = key_of(asked)
        with self._lock:
            kept: CompiledFilter | None = self._kept.get(key)
        if kept is not None:
            return kept
        compiled = self._compile(asked, key)
        with self._lock:
            if _size_bytes(compiled) <= self._kept.maxsize:
                self._kept[key] = compiled
        return compiled

    def _compile(self, asked: Filter, key: bytes) -> CompiledFilter:
        statements: tuple[Statement, ...] = statements_of(asked, self._layers)
        if asked.around is not None or asked.around_any is not None:
            statements += tuple(self._surroundings.statements(asked, self._runs_of(asked)))
        rest = without_places(asked)
        if self._located is not None:
            statements += tuple(self._located.inside(shape) for shape in shapes_of(asked))
            rest = without_shapes(rest)
        if statements:
            return self._narrow(rest, key, statements)
        condition = condition_of(asked, self._catalog, finest=self._finest)
        present = tuple(
            selection.without(removed)
            for selection, removed in zip(self._met(condition), self._removed, strict=True)
        )
        passing = present
        reasons: tuple[HeldBackFor, ...] = ()
        if asked.flags == DEFAULT_FILTER:
            reasons = self._reasons(present)
            passing = tuple(
                selection.without(held_back)
                for selection, held_back in zip(present, self._held_back, strict=True)
            )
        matching = sum(selection.count for selection in passing)
        return CompiledFilter(
            key=key,
            selections=passing,
            matching=matching,
            held_back=sum(selection.count for selection in present) - matching,
            held_back_for=reasons,
        )

    def _runs_of(self, asked: Filter) -> list[tuple[int, int]] | None:
        """First and last ids of the rows of the taxa asked for; None for all, or many runs.

        Frogs near a town are looked for among frogs alone: a scan takes as long as it has rows.
        """
        only = Filter(taxon=asked.taxon)
        condition = condition_of(only, self._catalog, finest=self._finest)
        if not condition.only_taxa:
            return None
        found: list[tuple[int, int]] = []
        for segment, runs in zip(self._segments, self._taxa, strict=True):
            for interval in condition.only_taxa:
                run = runs.within([interval]).run
                if run is not None and run.stop > run.start:
                    found.append((segment.first_row + run.start, segment.first_row + run.stop - 1))
        return found if len(found) <= _MOST_RUNS else None

    def _narrow(
        self, others: Filter, key: bytes, statements: Sequence[Statement]
    ) -> CompiledFilter:
        """Of the rows that pass the rest of a filter, those that every statement holds for."""
        rest = self.compile(others)
        passing = _narrowed(rest.selections, statements)
        # No search needs to know how many more may pass: they are counted while it looks for hits.
        possible = meanwhile(partial(_possible, rest.selections, statements))
        hidden: tuple[Selection, ...] = ()
        if rest.held_back:
            every = self.compile(msgspec.structs.replace(others, flags="all"))
            flagged = [
                Selection.of_positions(positions[selection.contains(positions)], selection.rows)
                for selection, positions in zip(every.selections, self._held_back, strict=True)
            ]
            hidden = _narrowed(flagged, statements)
        return CompiledFilter(
            key=key,
            selections=passing,
            matching=sum(selection.count for selection in passing),
            held_back=sum(selection.count for selection in hidden),
            held_back_for=self._reasons(hidden) if hidden else (),
            possible=possible,
            cited=cited(statements),
        )

    def _reasons(self, present: tuple[Selection, ...]) -> tuple[HeldBackFor, ...]:
        """What hides rows of these selections, the flags that hide none left out."""
        counted = (
            HeldBackFor(
                flag=held.flag,
                meaning=held.meaning,
                rows=sum(
                    int(np.count_nonzero(selection.contains(positions)))
                    for selection, positions in zip(present, held.positions, strict=True)
                ),
            )
            for held in self._flags
        )
        return tuple(reason for reason in counted if reason.rows)

    def _met(self, condition: Condition) -> tuple[Selection, ...]:
        """Rows that meet the condition, removed ones included."""
        if not condition.sql:
            return tuple(Selection.everything(segment.rows) for segment in self._segments)
        if condition.only_taxa is not None:
            return tuple(runs.within(condition.only_taxa) for runs in self._taxa)
        row_ids = self._row_ids(condition)
        return tuple(
            Selection.of_positions(positions, segment.rows)
            for positions, segment in zip(self._by_segment(row_ids), self._segments, strict=True)
        )

    def _row_ids(self, condition: Condition) -> RowIds:
        if condition.polygon is None:
            return self._catalog.rows(condition.sql, condition.parameters)
        # The condition holds the polygon's box; what is left is tested point by point.
        found = self._catalog.table(
            f"SELECT row_id, latitude, longitude FROM image WHERE {condition.sql} ORDER BY row_id",
            condition.parameters,
        )
        inside = condition.polygon.contains(found["latitude"], found["longitude"])
        row_ids: RowIds = np.asarray(found["row_id"], np.int64)[inside]
        return row_ids

    def _by_segment(self, row_ids: RowIds) -> tuple[RowIds, ...]:
        """Split sorted row ids into positions within each segment."""
        pieces = []
        for segment in self._segments:
            first, last = np.searchsorted(
                row_ids, [segment.first_row, segment.first_row + segment.rows]
            )
            pieces.append(row_ids[first:last] - segment.first_row)
        return tuple(pieces)


def _narrowed(
    selections: Sequence[Selection], statements: Sequence[Statement]
) -> tuple[Selection, ...]:
    """Of each segment's selection, the rows that every statement holds for."""
    return tuple(
        narrowed(selection, statements, number) for number, selection in enumerate(selections)
    )


def _possible(selections: Sequence[Selection], statements: Sequence[Statement]) -> int:
    """How many rows of the selections every statement may hold for."""
    return sum(
        number_possible(selection, statements, number)
        for number, selection in enumerate(selections)
    )


def _size_bytes(compiled: CompiledFilter) -> int:
    return len(compiled.key) + sum(selection.size_bytes for selection in compiled.selections)
