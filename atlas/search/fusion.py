"""Several spaces' lists of hits as one, by reciprocal rank fusion.

Cosines of different encoders cannot be compared; ranks can. The fused list is made in tiers of a
fixed depth, so that no page changes what another one shows. Threads: one object belongs to one
call; its lists may be computed in several threads before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from atlas.search.listing import Listing, RowIds, positions_in
from atlas.search.planner import SegmentPlan

Keys = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.int64]
Fused = npt.NDArray[np.float64]

# Each tier of the fused list looks this many times deeper than the one before.
_DEEPER = 4


class FusionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may change about fusing spaces."""

    k: Annotated[
        int, Meta(ge=0, le=10_000, description="added to every rank before its reciprocal is taken")
    ] = 60
    depth: Annotated[
        int, Meta(ge=1, le=10_000, description="hits of each space that are fused first")
    ] = 200
    group_depth: Annotated[
        int, Meta(ge=1, le=10_000, description="the same in species or places, with diversify")
    ] = 40


def fuse(ranks: Ranks, k: int) -> Fused:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the spaces that rank a hit.

    `ranks` is (n, spaces), counted from 1, 0 where a space does not rank the hit. Source: Cormack,
    Clarke and Buettcher, SIGIR 2009, where k = 60: a hit that one space alone ranks first scores as
    much as one that two spaces rank 62nd, so agreement counts for more than any single top.
    """
    scores = np.zeros(len(ranks), np.float64)
    for column in ranks.T:
        scores += np.where(column > 0, 1.0 / (k + np.maximum(column, 1)), 0.0)
    return scores


class FusedRanking:
    """The hits of several lists in one order.

    The first tier fuses the first `first_depth` hits of each list, and lists all of them; the next
    tier fuses four times as many and lists those that are new; and so on to the lists' ends.
    Within a tier hits are ordered by their fused score, then by row id. Hits of one group (see
    `groups_of`) are one hit, shown by the row that ranks best.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        settings: FusionSettings,
        groups_of: Callable[[RowIds], Keys] | None = None,
    ) -> None:
        """`groups_of` gives each row's group, (n,) int64, where lists have one hit a group.

        A list may hold a part of the rows only; what it lacks it does not rank.
        """
        self._listings = tuple(listings)
        self._settings = settings
        self._groups_of = groups_of
        self.first_depth = settings.depth if groups_of is None else settings.group_depth
        self._depth = self.first_depth
        self._complete = False
        self._scores = np.empty(0, np.float64)
        self._row_ids = np.empty(0, np.int64)
        self._keys = np.empty(0, np.int64)
        self._ranks = np.empty((0, len(self._listings)), np.int64)

    def first(self, count: int) -> tuple[Fused, RowIds]:
        """The first `count` hits (fewer only where the list ends): float64 RRF scores, row ids."""
        while len(self._row_ids) < count and not self._complete:
            self._extend(self._depth)
            self._depth *= _DEEPER
        return self._scores[:count], self._row_ids[:count]

    def ranks(self, row_ids: RowIds) -> Ranks:
        """Ranks of hits that have been listed, (n, spaces), counted from 1, 0 where not ranked.

        They are the ranks that were fused: a hit deeper in a space than its tier has none there.
        """
        ranks: Ranks = self._ranks[positions_in(self._row_ids, row_ids)]
        return ranks

    def plans(self) -> tuple[SegmentPlan, ...]:
        """The plans of all lists, one after another."""
        return tuple(plan for listing in self._listings for plan in listing.plans())

    def _extend(self, depth: int) -> None:
        """List every hit among the first `depth` of any list that is not listed yet."""
        lists = [listing.first(depth)[1] for listing in self._listings]
        keys = lists if self._groups_of is None else [self._groups_of(rows) for rows in lists]
        self._complete = all(len(row_ids) < depth for row_ids in lists)
        fresh = np.setdiff1d(np.concatenate(keys), self._keys)
        ranks = np.zeros((len(fresh), len(lists)), np.int64)
        row_ids = np.empty((len(fresh), len(lists)), np.int64)
        for column, (listed, rows) in enumerate(zip(keys, lists, strict=True)):
            _, found, places = np.intersect1d(
                fresh, listed, assume_unique=True, return_indices=True
            )
            ranks[found, column] = places + 1
            row_ids[found, column] = rows[places]
        shown_by = np.where(ranks > 0, ranks, np.iinfo(np.int64).max).argmin(axis=1)
        shown = row_ids[np.arange(len(fresh)), shown_by]
        scores = fuse(ranks, self._settings.k)
        order = np.lexsort((shown, -scores))
        self._scores = np.concatenate([self._scores, scores[order]])
        self._row_ids = np.concatenate([self._row_ids, shown[order]])
        self._keys = np.concatenate([self._keys, fresh[order]])
        self._ranks = np.concatenate([self._ranks, ranks[order]])
