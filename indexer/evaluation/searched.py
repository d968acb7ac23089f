"""Which rows of a bundle are searched, and the search itself, as the server does it by default.

Every query goes through the same index, the same numbers of lists and candidates and the same
exact re-ranking as a request without a filter, or, for comparison, over all vectors. Threads: a
space may be searched from any.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import CURVE_FILE, Bundle
from atlas.bundle.flags import held_back_mask
from atlas.bundle.manifest import read_struct
from atlas.search.index import default_probes, find_candidates, list_count
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, Vectors, best, best_of_blocks
from indexer.stages.measure import DEFAULT_FETCH, Curve

RowIds = npt.NDArray[np.int64]


class Reach(NamedTuple):
    """How far an index is looked into: lists a segment, candidates a segment."""

    probes: int
    fetch: int


class SearchedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One segment of one space: its first row, vectors, index if any, and the rows that count."""

    first_row: int
    vectors: Vectors
    index: faiss.Index | None
    selection: Selection


class SearchedSpace(NamedTuple):
    """A space as it is searched; `reach` is None where every row is scored."""

    segments: tuple[SearchedSegment, ...]
    reach: Reach | None

    def first_rows(self, query: npt.NDArray[np.float32], count: int) -> RowIds:
        """Row ids of the first `count` hits for a unit vector, by exact cosine, then by row id.

        Fewer only where fewer rows count. A segment whose probed lists hold too few candidates is
        scored as a whole, as in the server.
        """
        prepared = QueryVector(query)
        scores, rows = [], []
        for segment in self.segments:
            found_scores, positions = _best_of(segment, prepared, count, self.reach)
            scores.append(found_scores)
            rows.append(positions + segment.first_row)
        _, row_ids = best(np.concatenate(scores), np.concatenate(rows), count)
        return row_ids


def hidden_rows(bundle: Bundle, *, with_held_back: bool) -> RowIds:
    """Sorted row ids that no default search answers with: removed ones, and held back ones.

    `with_held_back` leaves the latter visible (duplicates and other doubtful records).
    """
    removed = [
        np.fromiter(segment.tombstones, np.int64, len(segment.tombstones)) + segment.first_row
        for segment in bundle.segments
    ]
    held_back = np.empty(0, np.int64)
    if not with_held_back:
        with duckdb.connect(str(bundle.catalog_path), read_only=True) as connection:
            found = connection.execute(
                "SELECT row_id FROM image WHERE flags & ? != 0", [held_back_mask()]
            ).fetchnumpy()
            held_back = np.asarray(found["row_id"], np.int64)
    rows: RowIds = np.unique(np.concatenate([*removed, held_back]))
    return rows


def open_space(bundle: Bundle, space: str, hidden: RowIds, *, exact: bool) -> SearchedSpace:
    """A space without the `hidden` rows; `exact` scores every other row."""
    segments = []
    for segment in bundle.segments:
        first, last = np.searchsorted(hidden, [segment.first_row, segment.first_row + segment.rows])
        selection = Selection.everything(segment.rows).without(
            hidden[first:last] - segment.first_row
        )
        segments.append(
            SearchedSegment(
                first_row=segment.first_row,
                vectors=segment.vectors(space),
                index=None if exact else segment.index(space),
                selection=selection,
            )
        )
    return SearchedSpace(tuple(segments), _reach(bundle, space, segments))


def _reach(bundle: Bundle, space: str, segments: list[SearchedSegment]) -> Reach | None:
    """What the measured curve marks as the server's default, or else the server's own formula."""
    lists = max((list_count(s.index) for s in segments if s.index is not None), default=0)
    if lists == 0:
        return None
    path = bundle.space_path(space, CURVE_FILE)
    served = read_struct(path, Curve).served() if path.exists() else ()
    return Reach(
        probes=max((point.probes for point in served), default=0) or default_probes(lists),
        fetch=max((point.fetch for point in served), default=0) or DEFAULT_FETCH,
    )


def _best_of(
    segment: SearchedSegment, query: QueryVector, count: int, reach: Reach | None
) -> tuple[npt.NDArray[np.float32], RowIds]:
    selection = segment.selection
    if segment.index is not None and reach is not None and selection.count:
        fetch = max(reach.fetch, count)
        positions = find_candidates(
            segment.index, query.values, fetch=fetch, probes=reach.probes, selection=selection
        )
        if len(positions) == min(fetch, selection.count):
            scores = query.score_rows(segment.vectors, positions)
            return best(scores, positions, count)
    return best_of_blocks(query, segment.vectors, selection.blocks(), count)
