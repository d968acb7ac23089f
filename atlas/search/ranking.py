"""The list of hits of one question over all segments, as far as a page needs it.

The list is the same for every page: it is made in tiers, and a tier's content depends on the
question alone, never on the page asked for. So pages neither repeat nor skip a hit, even where an
approximate index proposes them. Threads: one `Ranking` belongs to one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.search.list_counts import HeldRows
from atlas.search.planner import Choice, Found, Probe, Reach, SegmentPlan, SpaceIndex
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best

RowIds = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
# Passing rows of each list, for a segment and its selection.
Held = Callable[[Segment, Selection], HeldRows]


class Ranking:
    """The hits of one question, in order, computed from the front."""

    def __init__(
        self,
        index: SpaceIndex,
        selections: Sequence[Selection],
        query: QueryVector,
        *,
        recall: float,
        exact: bool,
        held: Held | None = None,
    ) -> None:
        """`selections` are the passing rows, one for each segment of `index`, in its order.

        `held` answers for `index.held` from what was counted before.
        """
        self._index = index
        self._settings = index.settings
        self._fetch = index.fetch(recall)
        self._parts = tuple(zip(index.segments, selections, strict=True))
        self._probe = Probe(index, query, recall=recall)
        count = held or index.held
        self._choices = tuple(
            index.choose(
                segment, selection, partial(count, segment, selection), exact=exact, recall=recall
            )
            for segment, selection in self._parts
        )
        self._scores = np.empty(0, np.float32)
        self._row_ids = np.empty(0, np.int64)
        self._done = [
            SegmentPlan(
                name=segment.name,
                space=index.space,
                path=choice.path,
                passing=selection.count,
                scored=0,
                why=choice.why,
            )
            for (segment, selection), choice in zip(self._parts, self._choices, strict=True)
        ]

    @property
    def exact(self) -> bool:
        """Whether every passing row is scored, so that the list is the true order."""
        return all(choice.path in {"none", "exact"} for choice in self._choices)

    @property
    def depth(self) -> int:
        """Hits that the tiers hold; what lies beyond is scored exactly."""
        return self._settings.tiers[-1].depth

    def glance(self, fetch: int, probe_factor: int) -> tuple[Scores, RowIds]:
        """The best of what the index finds in that many times the lists, and lists nothing.

        Never scores a segment exactly because its index finds little: what is left where the
        nearest rows have been left out lies in other lists, and the next glance looks further.
        """
        selections = [selection for _, selection in self._parts]
        offered = self._search(selections, self._choices, Reach(fetch, probe_factor, settle=True))
        scores = np.concatenate([found.scores for found in offered])
        row_ids = np.concatenate([found.row_ids for found in offered])
        return best(scores, row_ids, fetch)

    def every_score(self) -> Iterator[tuple[Scores, RowIds]]:
        """The exact cosine of every passing row, a block of rows at a time, in order of rows."""
        for number, (segment, selection) in enumerate(self._parts):
            vectors = segment.vectors(self._index.space)
            for block in selection.blocks():
                scores = self._probe.query.score_rows(vectors, block)
                rows = np.arange(block.start, block.stop) if isinstance(block, slice) else block
                yield scores, rows + segment.first_row
            scored = SegmentPlan(
                name=segment.name,
                space=self._index.space,
                path="exact" if selection.count else "none",
                passing=selection.count,
                scored=selection.count,
                why="every row is scored to find the groups that are left",
            )
            self._done[number] = _added(self._done[number], scored)

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` hits (fewer only when fewer rows pass): float32 cosines, row ids."""
        passing = sum(selection.count for _, selection in self._parts)
        if self.exact:
            # One total order over everything: no tier can change it.
            if len(self._row_ids) < min(count, passing):
                self._extend(Reach(count), count)
        else:
            for tier in self._settings.tiers:
                if len(self._row_ids) < min(count, tier.depth):
                    fetch = max(tier.fetch, self._fetch)
                    self._extend(Reach(fetch, tier.probe_factor), tier.depth)
            if len(self._row_ids) < min(count, passing):
                self._extend_exactly(count)
        return self._scores[:count], self._row_ids[:count]

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What was done in each segment; the path is the last one taken, the costs are of all."""
        return tuple(self._done)

    def _extend(self, reach: Reach, depth: int) -> None:
        """Add the best of what the segments find until the list has `depth` hits."""
        selections = [selection for _, selection in self._parts]
        self._append(self._search(selections, self._choices, reach), depth)

    def _extend_exactly(self, count: int) -> None:
        """Add from everything that is not listed yet, scored exactly."""
        listed = np.sort(self._row_ids)
        rest = []
        for segment, selection in self._parts:
            first, last = np.searchsorted(
                listed, [segment.first_row, segment.first_row + segment.rows]
            )
            rest.append(selection.without(listed[first:last] - segment.first_row))
        choices = [
            Choice("exact", "beyond the last tier") if selection.count else Choice("none", "")
            for selection in rest
        ]
        self._append(self._search(rest, choices, Reach(count - len(self._row_ids))), count)

    def _search(
        self, selections: Sequence[Selection], choices: Sequence[Choice], reach: Reach
    ) -> list[Found]:
        offered = []
        for number, (selection, choice) in enumerate(zip(selections, choices, strict=True)):
            if choice.path == "none":
                continue
            segment, _ = self._parts[number]
            found = self._probe.find(segment, selection, choice, reach)
            self._done[number] = _added(self._done[number], found.plan)
            offered.append(found)
        return offered

    def _append(self, offered: Sequence[Found], depth: int) -> None:
        """List the best of what is offered and not listed yet, up to `depth` hits in all."""
        if not offered:
            return
        scores = np.concatenate([found.scores for found in offered])
        row_ids = np.concatenate([found.row_ids for found in offered])
        fresh = ~np.isin(row_ids, self._row_ids)
        scores, row_ids = best(scores[fresh], row_ids[fresh], depth - len(self._row_ids))
        self._scores = np.concatenate([self._scores, scores])
        self._row_ids = np.concatenate([self._row_ids, row_ids])


def _added(done: SegmentPlan, more: SegmentPlan) -> SegmentPlan:
    """Both steps of one segment: the latest path, the sum of what they cost."""
    return msgspec.structs.replace(
        more,
        passing=done.passing,
        scored=done.scored + more.scored,
        lists=done.lists + more.lists,
        codes=done.codes + more.codes,
    )


def cosines(segments: Sequence[Segment], space: str, query: QueryVector, row_ids: RowIds) -> Scores:
    """The exact cosines of given rows, (n,) float32, in their order."""
    scores = np.empty(len(row_ids), np.float32)
    for segment in segments:
        inside = (row_ids >= segment.first_row) & (row_ids < segment.first_row + segment.rows)
        if inside.any():
            positions = row_ids[inside] - segment.first_row
            scores[inside] = query.score_rows(segment.vectors(space), positions)
    return scores
