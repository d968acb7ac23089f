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

from atlas.search.alike import LEAST_COSINE, NEAR_ROWS
from atlas.search.groups import Groups, Keys
from atlas.search.listing import RowIds, summed
from atlas.search.planner import SegmentPlan
from atlas.search.ranking import Ranking
from atlas.search.selection import Selection

Diversify = Literal["none", "species", "place"]
Scores = npt.NDArray[np.float32]

# Rounds on the plain list before groups are left out, which for places takes time.
_PLAIN_ROUNDS = 2
# Later rounds: candidates that each segment proposes, and how many times more lists than before.
_GLANCE_HITS = 2_000
_FURTHER = 2


class DiversitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may change about diverse pages and near-duplicates."""

    window: Annotated[
        int, Meta(ge=1, le=2_000, description="hits that the first round looks through")
    ] = 200
    place_resolution: Annotated[
        int, Meta(ge=0, le=15, description="H3 resolution of a place; a cell of 5 is 17 km across")
    ] = 5
    collapse_cosine: Annotated[
        float, Meta(ge=0, le=1, description="least cosine of two photos of a burst that are alike")
    ] = LEAST_COSINE
    burst_rows: Annotated[
        int, Meta(ge=1, le=10_000, description="rows on either side that may be of a photo's burst")
    ] = NEAR_ROWS


class DiverseRanking:
    """The groups of one question in one space, each shown by one row, computed from the front.

    Made in rounds. The first looks through the first hits of the plain list, the second through
    all that its tiers hold. Each later one leaves out all rows of the groups that were found and
    asks the index again, in twice as many lists as the round before; so a species with a million
    photos costs a round or two and not a million hits. What a round lists depends on the question
    alone, so pages neither repeat nor skip a group. Where every row is scored anyway, and once the
    rounds have scored as many rows as are left or find nothing more, the rest is scored in one
    pass and listed in its true order.
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
        self._rounds = 0
        self._ranking = begin(self._left)
        self._before: tuple[SegmentPlan, ...] = ()
        self._scores = np.empty(0, np.float32)
        self._row_ids = np.empty(0, np.int64)
        self._keys: Keys = np.empty(0, np.int64)
        self._left_out = 0
        self._complete = False

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` groups (fewer only where there are no more): cosines, row ids."""
        while len(self._row_ids) < count and not self._complete:
            self._round()
        return self._scores[:count], self._row_ids[:count]

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What all rounds did together in each segment."""
        return summed(self._before, self._ranking.plans())

    def _round(self) -> None:
        if self._rounds >= _PLAIN_ROUNDS:
            self._leave_out()
        left = sum(selection.count for selection in self._left)
        scored = sum(plan.scored for plan in self.plans())
        if self._ranking.exact or scored >= left:
            self._finish()
            return
        if self._rounds < _PLAIN_ROUNDS:
            scores, row_ids = self._ranking.first((self._window, self._ranking.depth)[self._rounds])
        else:
            factor = _FURTHER ** (self._rounds - _PLAIN_ROUNDS + 1)
            scores, row_ids = self._ranking.glance(_GLANCE_HITS, factor)
        self._rounds += 1
        if len(row_ids) == 0:
            self._finish()
            return
        keys = self._groups.keys(row_ids)
        _, first = np.unique(keys, return_index=True)
        first.sort()
        self._append(scores[first], row_ids[first], keys[first])

    def _leave_out(self) -> None:
        """Go on with the rows of no group that is listed."""
        self._before = self.plans()
        fresh = self._keys[self._left_out :]
        if len(fresh):
            self._left = self._groups.without(self._left, fresh)
        self._left_out = len(self._keys)
        self._ranking = self._begin(self._left)

    def _finish(self) -> None:
        self._append(*best_of_groups(self._ranking, self._groups))
        self._complete = True

    def _append(self, scores: Scores, row_ids: RowIds, keys: Keys) -> None:
        fresh = ~np.isin(keys, self._keys)
        self._scores = np.concatenate([self._scores, scores[fresh]])
        self._row_ids = np.concatenate([self._row_ids, row_ids[fresh]])
        self._keys = np.concatenate([self._keys, keys[fresh]])


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
    """The best row of each key, in the order of keys; `row_ids` rise, ties go to the first."""
    if (keys[1:] < keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
        scores, row_ids, keys = scores[order], row_ids[order], keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    best = np.maximum.reduceat(scores, starts)
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(keys)))
    tops = np.flatnonzero(scores == best[group])
    first = tops[np.flatnonzero(np.diff(group[tops], prepend=-1))]
    return scores[first], row_ids[first], keys[first]
