"""The list of hits of one question over all segments, as far as a page needs it.

The list is the same for every page: it is made in tiers, and a tier's content depends on the
question alone, never on the page asked for. So pages neither repeat nor skip a hit, even where an
approximate index proposes them. Threads: one `Ranking` belongs to one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.search.planner import (
    Found,
    Path,
    Reach,
    SearchSettings,
    SegmentPlan,
    choose_path,
    search_segment,
)
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best

RowIds = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Ranking:
    """The hits of one question, in order, computed from the front."""

    def __init__(
        self,
        segments: Sequence[Segment],
        selections: Sequence[Selection],
        space: str,
        query: QueryVector,
        *,
        settings: SearchSettings,
        probes: int | None,
        exact: bool,
    ) -> None:
        """`selections` are the passing rows, one for each of `segments`."""
        self._parts = tuple(zip(segments, selections, strict=True))
        self._space = space
        self._query = query
        self._settings = settings
        self._probes = probes
        self._paths: tuple[Path, ...] = tuple(
            choose_path(
                selection,
                has_index=segment.index(space) is not None,
                exact=exact,
                settings=settings,
            )
            for segment, selection in self._parts
        )
        self._scores = np.empty(0, np.float32)
        self._row_ids = np.empty(0, np.int64)
        self._scored = [0] * len(self._parts)
        self._done: list[Path] = list(self._paths)

    @property
    def exact(self) -> bool:
        """Whether every passing row is scored, so that the list is the true order."""
        return all(path in {"none", "exact"} for path in self._paths)

    @property
    def depth(self) -> int:
        """Hits that the tiers hold; what lies beyond is scored exactly."""
        return self._settings.tiers[-1].depth

    def glance(self, fetch: int, probe_factor: int) -> tuple[Scores, RowIds]:
        """The best of what the index finds in that many times the lists, and lists nothing.

        Never scores a segment exactly because its index finds little: what is left where the
        nearest rows have been left out lies in other lists, and the next glance looks further.
        """
        reach = Reach(fetch, self._probes, probe_factor, settle=True)
        offered = self._search([selection for _, selection in self._parts], self._paths, reach)
        scores = np.concatenate([found.scores for found in offered])
        row_ids = np.concatenate([found.row_ids for found in offered])
        return best(scores, row_ids, fetch)

    def every_score(self) -> Iterator[tuple[Scores, RowIds]]:
        """The exact cosine of every passing row, a block of rows at a time, in order of rows."""
        for number, (segment, selection) in enumerate(self._parts):
            vectors = segment.vectors(self._space)
            for block in selection.blocks():
                scores = self._query.score_rows(vectors, block)
                rows = np.arange(block.start, block.stop) if isinstance(block, slice) else block
                yield scores, rows + segment.first_row
            self._scored[number] += selection.count
            self._done[number] = "exact" if selection.count else "none"

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` hits (fewer only when fewer rows pass): float32 cosines, row ids."""
        passing = sum(selection.count for _, selection in self._parts)
        if self.exact:
            # One total order over everything: no tier can change it.
            if len(self._row_ids) < min(count, passing):
                self._extend(Reach(count), self._paths, count)
        else:
            for tier in self._settings.tiers:
                if len(self._row_ids) < min(count, tier.depth):
                    reach = Reach(tier.fetch, self._probes, tier.probe_factor)
                    self._extend(reach, self._paths, tier.depth)
            if len(self._row_ids) < min(count, passing):
                self._extend_exactly(count)
        return self._scores[:count], self._row_ids[:count]

    def plans(self) -> tuple[SegmentPlan, ...]:
        """What was done in each segment; the path is the last one taken."""
        return tuple(
            SegmentPlan(
                name=segment.name,
                space=self._space,
                path=path,
                passing=selection.count,
                scored=scored,
            )
            for (segment, selection), path, scored in zip(
                self._parts, self._done, self._scored, strict=True
            )
        )

    def _extend(self, reach: Reach, paths: Sequence[Path], depth: int) -> None:
        """Add the best of what the segments find until the list has `depth` hits."""
        selections = [selection for _, selection in self._parts]
        self._append(self._search(selections, paths, reach), depth)

    def _extend_exactly(self, count: int) -> None:
        """Add from everything that is not listed yet, scored exactly."""
        listed = np.sort(self._row_ids)
        rest = []
        for segment, selection in self._parts:
            first, last = np.searchsorted(
                listed, [segment.first_row, segment.first_row + segment.rows]
            )
            rest.append(selection.without(listed[first:last] - segment.first_row))
        paths: list[Path] = ["exact" if selection.count else "none" for selection in rest]
        self._append(self._search(rest, paths, Reach(count - len(self._row_ids))), count)

    def _search(
        self, selections: Sequence[Selection], paths: Sequence[Path], reach: Reach
    ) -> list[Found]:
        offered = []
        for number, (selection, path) in enumerate(zip(selections, paths, strict=True)):
            if path == "none":
                continue
            segment, _ = self._parts[number]
            found = search_segment(segment, self._space, self._query, selection, path, reach)
            self._done[number] = found.plan.path
            self._scored[number] += found.plan.scored
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


def cosines(segments: Sequence[Segment], space: str, query: QueryVector, row_ids: RowIds) -> Scores:
    """The exact cosines of given rows, (n,) float32, in their order."""
    scores = np.empty(len(row_ids), np.float32)
    for segment in segments:
        inside = (row_ids >= segment.first_row) & (row_ids < segment.first_row + segment.rows)
        if inside.any():
            positions = row_ids[inside] - segment.first_row
            scores[inside] = query.score_rows(segment.vectors(space), positions)
    return scores
