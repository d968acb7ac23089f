"""Which rows of a bundle are searched, and the search itself, which is the server's own.

Every query is planned and answered as a request without a filter is, or, for comparison, over all
vectors. Threads: a space may be searched from any.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import Bundle
from atlas.bundle.flags import held_back_mask
from atlas.bundle.manifest import read_struct
from atlas.search.curve import Curve
from atlas.search.planner import SearchSettings, SpaceIndex
from atlas.search.ranking import Ranking
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector

RowIds = npt.NDArray[np.int64]


class Reach(NamedTuple):
    """How far an index is looked into: lists a segment, candidates a segment."""

    probes: int
    fetch: int


class SearchedSpace(NamedTuple):
    """A space and the rows of each segment that count; `exact` scores every one of them."""

    searched: SpaceIndex
    selections: tuple[Selection, ...]
    exact: bool

    def first_rows(self, query: npt.NDArray[np.float32], count: int) -> RowIds:
        """Row ids of the first `count` hits for a unit vector, by exact cosine, then by row id.

        Fewer only where fewer rows count. The search is the server's own.
        """
        ranking = Ranking(
            self.searched,
            self.selections,
            QueryVector(query),
            recall=self.searched.settings.recall,
            exact=self.exact,
        )
        return ranking.first(count)[1]

    @property
    def reach(self) -> Reach | None:
        """How far a search looks without a filter; None where every row is scored."""
        if self.exact or not self.searched.lists:
            return None
        settings = self.searched.settings
        fetch = max(settings.tiers[0].fetch, self.searched.fetch(settings.recall))
        return Reach(self.searched.probes(settings.recall), fetch)


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


def open_space(
    bundle: Bundle,
    space: str,
    hidden: RowIds,
    *,
    exact: bool,
    settings: SearchSettings | None = None,
) -> SearchedSpace:
    """A space without the `hidden` rows; `exact` scores every other row."""
    selections = []
    for segment in bundle.segments:
        first, last = np.searchsorted(hidden, [segment.first_row, segment.first_row + segment.rows])
        inside = hidden[first:last] - segment.first_row
        selections.append(Selection.everything(segment.rows).without(inside))
    path = bundle.curve_path(space)
    index = SpaceIndex(
        space,
        bundle.segments,
        curve=read_struct(path, Curve) if path.exists() else None,
        settings=settings or SearchSettings(),
    )
    return SearchedSpace(index, tuple(selections), exact)
