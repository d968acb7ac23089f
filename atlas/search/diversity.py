"""One hit a group: the best row of each species, or of each place, in the order of their scores.

Threads: one `DiverseRanking` belongs to one call. Knows rows, scores and groups, not what a group
stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from atlas.search.groups import Groups, Keys
from atlas.search.listing import RowIds, summed
from atlas.search.planner import SegmentPlan
from atlas.search.ranking import Ranking
from atlas.search.selection import Selection

Diversify = Literal["none", "species", "place"]
Scores = npt.NDArray[np.float32]

# Each round looks this many times further than the one before, up to a limit: where the first
# rounds bring few groups the next ones would too.
_FURTHER = 2
_MOST_HITS = 3_200


class DiversitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may change about diverse pages and near-duplicates."""

    window: Annotated[
        int, Meta(ge=1, le=_MOST_HITS, description="hits that the first round looks through")
    ] = 200
    place_resolution: Annotated[
        int, Meta(ge=0, le=15, description="H3 resolution of a place; a cell of 5 is 17 km across")
    ] = 5
    collapse_cosine: Annotated[
        float, Meta(ge=0, le=1, description="least cosine of two photos of a burst that are alike")
    ] = 0.95
    burst_rows: Annotated[
        int, Meta(ge=1, le=10_000, description="rows on either side that may be of a photo's burst")
    ] = 32


class DiverseRanking:
    """The groups of one question in one space, each shown by one row, computed from the front.

    Made in rounds: look through the first hits of what is left, list their groups, leave all rows
    of these groups out, search again. So a species with a million photos costs one round and not
    a million hits. What a round lists depends on the question alone, so pages neither repeat nor
    skip a group. Where every row is scored anyway, and once the rounds have scored as many rows as
    are left, the rest is scored in one pass and listed in its true order.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[Selection]], Ranking],
        selections: Sequence[Selection],
        groups: Groups,
        settings: DiversitySettings,
    ) -> None:
        """`begin` ranks the rows of a selection a segment; `selections` are all that pass."""
        self._begin = begin
        self._left = tuple(selections)
        self._groups = groups
        self._window = settings.window
        self._plans: tuple[SegmentPlan, ...] = ()
        self._scores = np.empty(0, np.float32)
        self._row_ids = np.empty(0, np.int64)
        self._pending: Keys = np.empty(0, np.int64)
        self._complete = False

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` groups (fewer only where there are no more): cosines, row ids."""
        while len(self._row_ids) < count and not self._complete:
            self._round()
        return self._scores[:count], self._row_ids[:count]

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What all rounds did together in each segment."""
        return self._plans

    def _round(self) -> None:
        if len(self._pending):
            # Only now: leaving a city's rows out takes time that a first page need not pay.
            self._left = self._groups.without(self._left, self._pending)
        ranking = self._begin(self._left)
        left = sum(selection.count for selection in self._left)
        scored = sum(plan.scored for plan in self._plans)
        if ranking.exact or scored >= left:
            scores, row_ids, keys = best_of_groups(ranking, self._groups)
            self._complete = True
        else:
            scores, row_ids = ranking.first(self._window)
            keys = self._groups.keys(row_ids)
            _, first = np.unique(keys, return_index=True)
            first.sort()
            scores, row_ids, keys = scores[first], row_ids[first], keys[first]
        self._window = min(self._window * _FURTHER, _MOST_HITS)
        self._pending = keys
        self._scores = np.concatenate([self._scores, scores])
        self._row_ids = np.concatenate([self._row_ids, row_ids])
        self._plans = summed(self._plans, ranking.plans())


def best_of_groups(ranking: Ranking, groups: Groups) -> tuple[Scores, RowIds, Keys]:
    """Score every row that a ranking may list; the best of each group, best group first.

    Returns float32 cosines, row ids and keys, all (groups,); ties go to the lower row. A block of
    rows is reduced to its groups before the next is read.
    """
    pieces = [
        _best_of_each(scores, row_ids, groups.keys(row_ids))
        for scores, row_ids in ranking.every_score()
    ]
    if not pieces:
        return np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64)
    scores, row_ids, keys = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    scores, row_ids, keys = _best_of_each(scores, row_ids, keys)
    order = np.lexsort((row_ids, -scores))
    return scores[order], row_ids[order], keys[order]


def _best_of_each(scores: Scores, row_ids: RowIds, keys: Keys) -> tuple[Scores, RowIds, Keys]:
    order = np.lexsort((row_ids, -scores, keys))
    listed = keys[order]
    first = order[np.flatnonzero(np.concatenate([[True], listed[1:] != listed[:-1]]))]
    return scores[first], row_ids[first], keys[first]
