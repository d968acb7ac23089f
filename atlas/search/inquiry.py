"""One question on its way to a page: the list of hits that its settings ask for.

Puts the lists together: rank every space, one hit a group where asked, fuse the spaces, collapse
near-duplicates. Threads: belongs to one call, except that `jobs` may run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np

from atlas.bundle.segment import Segment
from atlas.search.bursts import CollapsedListing, NearDuplicates
from atlas.search.fusion import FusedRanking, FusionSettings
from atlas.search.groups import Groups
from atlas.search.listing import Listing, RowIds, Scores
from atlas.search.planner import SegmentPlan
from atlas.search.ranking import cosines
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector


class SpaceRank(msgspec.Struct, frozen=True, kw_only=True):
    """A hit in one space: its exact cosine there, and its rank in that space's list from 1.

    `rank` is None where the space did not rank the hit as far as its tier looked. Where a page
    has one hit a group, ranks are those of groups.
    """

    space: str
    rank: int | None
    score: float


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A row with its score: the cosine in the one space, or the fused score of several lists.

    `collapsed` are the rows of its near-duplicates, which are not listed. `preferences_met` says
    how many of the question's preferences the row meets; None where there are none.
    """

    row_id: int
    score: float
    spaces: tuple[SpaceRank, ...] = ()
    collapsed: tuple[int, ...] = ()
    preferences_met: int | None = None


class Preferred(NamedTuple):
    """Rows that should come first: those of each segment, and their hits in every space."""

    selections: tuple[Selection, ...]
    listings: tuple[Listing, ...]


class Inquiry:
    """The hits of one question, in order, and how they were found."""

    def __init__(
        self,
        segments: Sequence[Segment],
        selections: Sequence[Selection],
        queries: Mapping[str, QueryVector],
        listings: Sequence[Listing],
        *,
        fusion: FusionSettings,
        groups: Groups | None,
        bursts: NearDuplicates | None,
        preferred: Sequence[Preferred] = (),
    ) -> None:
        """`listings` are those of the spaces of `queries`, in their order.

        `groups` are what the lists have one hit of; `bursts` find near-duplicates to collapse,
        measured in the first space. What is `preferred` is fused with the rest.
        """
        self._segments = tuple(segments)
        self._queries = dict(queries)
        self._preferred = tuple(preferred)
        self._spaces = (*listings, *(one for each in preferred for one in each.listings))
        whole = groups is None and bursts is None
        self._rows = sum(selection.count for selection in selections) if whole else None
        self._fused: FusedRanking | None = None
        self._listing: Listing = self._spaces[0]
        if len(self._spaces) > 1:
            self._fused = FusedRanking(
                self._spaces, fusion, None if groups is None else groups.keys
            )
            self._listing = self._fused
        self._collapsed: CollapsedListing | None = None
        if bursts is not None:
            self._collapsed = CollapsedListing(
                self._listing, bursts, selections, next(iter(self._queries))
            )
            self._listing = self._collapsed

    def jobs(self) -> tuple[Callable[[], object], ...]:
        """What may be done beforehand, each in a thread of its own: the front of every space."""
        if self._fused is None:
            return ()
        depth = self._fused.first_depth
        return tuple(partial(listing.first, depth) for listing in self._spaces)

    def cut(self, start: int, stop: int) -> tuple[tuple[Hit, ...], bool]:
        """The hits from number `start` to `stop` - 1, and whether any come after."""
        # A list of all passing rows ends where they do; of any other the next hit has to be sought.
        further = stop if self._rows is not None else stop + 1
        listed_scores, listed = self._listing.first(further)
        scores, row_ids = listed_scores[start:stop], listed[start:stop]
        placed = self._placed(scores, row_ids, start)
        met = self._met(row_ids) if self._preferred else [None] * len(row_ids)
        hits = tuple(
            Hit(
                row_id=int(row_id),
                score=float(score),
                spaces=spaces,
                collapsed=() if self._collapsed is None else self._collapsed.taken(int(row_id)),
                preferences_met=preferences,
            )
            for row_id, score, spaces, preferences in zip(row_ids, scores, placed, met, strict=True)
        )
        return hits, stop < (len(listed) if self._rows is None else self._rows)

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What was done in each space and segment."""
        return self._listing.plans()

    def _met(self, row_ids: RowIds) -> list[int]:
        """How many preferences each row meets."""
        met = np.zeros(len(row_ids), np.int64)
        for preferred in self._preferred:
            for segment, selection in zip(self._segments, preferred.selections, strict=True):
                positions = row_ids - segment.first_row
                inside = (positions >= 0) & (positions < segment.rows)
                met[inside] += selection.contains(positions[inside])
        counted: list[int] = met.tolist()
        return counted

    def _placed(self, scores: Scores, row_ids: RowIds, start: int) -> list[tuple[SpaceRank, ...]]:
        """Rank and cosine of each hit in every space."""
        found: Scores = scores[:, np.newaxis]
        if self._fused is not None:
            # The lists of what is preferred come behind those of the spaces.
            ranks = self._fused.ranks(row_ids)[:, : len(self._queries)]
            columns = [
                cosines(self._segments, space, query, row_ids)
                for space, query in self._queries.items()
            ]
            found = np.stack(columns, axis=1)
        else:
            places = np.arange(start, start + len(row_ids))
            if self._collapsed is not None:
                places = self._collapsed.places(row_ids)
            ranks = places[:, np.newaxis] + 1
        return [
            tuple(
                SpaceRank(space=space, rank=int(rank) or None, score=float(score))
                for space, rank, score in zip(self._queries, ranks_here, scores_here, strict=True)
            )
            for ranks_here, scores_here in zip(ranks, found, strict=True)
        ]
