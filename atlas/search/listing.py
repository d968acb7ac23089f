"""What a page is cut from: one list of hits, computed from the front as far as it is asked for.

`Ranking` lists the rows of one space, `DiverseRanking` one row a group, `FusedRanking` several
lists as one, `CollapsedListing` a list without its near-duplicates. Each belongs to one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from atlas.search.planner import SegmentPlan

RowIds = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]


class Listing(Protocol):
    """A list whose front never depends on how much of it is asked for."""

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` hits, fewer only where the list ends: scores and row ids, both (n,)."""

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What was done so far, a plan for each segment and space."""


def positions_in(listed: RowIds, wanted: RowIds) -> RowIds:
    """Where each of `wanted` stands in `listed` (distinct row ids), int64, -1 where it does not."""
    if len(listed) == 0:
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(listed, kind="stable")
    places = np.minimum(np.searchsorted(listed, wanted, sorter=order), len(listed) - 1)
    found = order[places]
    return np.where(listed[found] == wanted, found, -1)


def summed(plans: Sequence[SegmentPlan], more: Sequence[SegmentPlan]) -> tuple[SegmentPlan, ...]:
    """The plans of one search after another over the same segments: the later path, all costs.

    `passing` stays that of the first: the later ones look at what the first has left.
    """
    if not plans:
        return tuple(more)
    return tuple(
        SegmentPlan(
            name=before.name,
            space=before.space,
            path=before.path if after.path == "none" else after.path,
            passing=before.passing,
            scored=before.scored + after.scored,
        )
        for before, after in zip(plans, more, strict=True)
    )
