"""Chooses, for each segment, how to find the best of the rows that pass, and does it.

Never filters afterwards: every way looks only at passing rows, and a way that comes back short is
replaced by exact scoring. Threads: safe from any; one `Probe` belongs to one question. Knows
segments and costs, nothing of pages or cursors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from atlas.bundle.segment import Segment
from atlas.search.costs import ASSUMED
from atlas.search.curve import Curve, CurvePoint
from atlas.search.index import default_probes
from atlas.search.list_counts import HeldRows
from atlas.search.lists import Centroids, Chosen, Lists, lists_of_rows
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best, best_of_reads

RowIds = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

Path = Literal["none", "exact", "index", "lists", "selector"]


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of the list of hits: up to the hit number `depth`.

    Each segment with an index proposes `fetch` candidates from `probe_factor` times the usual
    number of lists; they are ordered by their exact cosines.
    """

    depth: Annotated[int, Meta(ge=1)]
    fetch: Annotated[int, Meta(ge=1)]
    probe_factor: Annotated[int, Meta(ge=1)] = 1

    def __post_init__(self) -> None:
        """ValueError when the candidates could not fill the tier."""
        if self.fetch < self.depth:
            raise ValueError(f"fetch ({self.fetch}) is below depth ({self.depth})")


class SearchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may change about searching.

    `recall`: the recall@10 that searches aim at, on the space's measured curve; a request may ask
    for another. `exact_ms`: the passing rows of a segment are scored exactly where that is
    expected to take no longer than this, even where an index would be quicker: exact scoring loses
    nothing. `probes`: inverted lists to look into without a filter; None takes the measured curve.
    `tiers`: how the list of hits is made, see `Tier`; what lies beyond the last tier is exact.
    `filter_cache_bytes`: memory for compiled filters. `calibrate`: measure this machine's costs
    when none are kept beside the bundle.
    """

    recall: Annotated[float, Meta(gt=0, le=1)] = 0.985
    exact_ms: Annotated[float, Meta(ge=0)] = 2.0
    probes: Annotated[int, Meta(ge=1)] | None = None
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1)] = (
        Tier(depth=200, fetch=400),
        Tier(depth=2_000, fetch=4_000, probe_factor=4),
    )
    filter_cache_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    calibrate: bool = True


class SegmentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in one segment, and why.

    `passing` rows pass the filter; `scored` is how many exact cosines were computed; `lists` were
    looked into and held `codes` rows. `path`: `none` (nothing passes), `exact` (every passing row
    scored), `index` (no filter: the nearest lists), `lists` (only lists that hold passing rows),
    `selector` (all lists hold passing rows: the nearest ones, passing over the rest).
    """

    name: str
    path: Path
    passing: int
    scored: int
    lists: int = 0
    codes: int = 0
    why: str = ""
    space: str = ""


class Found(NamedTuple):
    """Best rows of one segment in order: (n,) float32 cosines, (n,) int64 row ids, and the plan."""

    scores: Scores
    row_ids: RowIds
    plan: SegmentPlan


class Reach(NamedTuple):
    """How far to look: `fetch` candidates, from `probe_factor` times the usual lists.

    `settle` takes what the lists hold, however little.
    """

    fetch: int
    probe_factor: int = 1
    settle: bool = False


class Choice(NamedTuple):
    """The way through one segment; `held` counts the passing rows of each list where needed."""

    path: Path
    why: str
    held: HeldRows | None = None


class SpaceIndex:
    """One space over all segments: vectors, inverted lists, their measured curve and costs."""

    def __init__(
        self,
        space: str,
        segments: tuple[Segment, ...],
        *,
        curve: Curve | None,
        settings: SearchSettings,
    ) -> None:
        """Read the sizes of all lists; about 10 ms a segment."""
        self.space = space
        self.segments = segments
        self.settings = settings
        self.costs = ASSUMED
        self._curve = curve
        self._points: dict[float, CurvePoint | None] = {}
        self.lists: dict[str, Lists] = {}
        centroids: Centroids | None = None
        for segment in segments:
            index = segment.index(space)
            if index is not None:
                # Trained once and shared by all segments, as the format promises.
                centroids = centroids or Centroids(index)
                self.lists[segment.name] = Lists(index, centroids)

    @property
    def centroids(self) -> Centroids | None:
        """Those of the space; None where no segment has an index."""
        return next((lists.centroids for lists in self.lists.values()), None)

    def probes(self, recall: float) -> int:
        """Lists to look into without a filter."""
        if self.settings.probes is not None:
            return self.settings.probes
        point = self._point(recall)
        if point is not None:
            return point.probes
        return default_probes(self.centroids.count) if self.centroids is not None else 1

    def fetch(self, recall: float) -> int:
        """Candidates of a segment that this recall was measured with; 0 where nothing was."""
        point = self._point(recall)
        return 0 if point is None else point.fetch

    def _point(self, recall: float) -> CurvePoint | None:
        if recall not in self._points:
            self._points[recall] = None if self._curve is None else self._curve.cheapest(recall)
        return self._points[recall]

    def rows_needed(self, passing: int, recall: float, *, even: bool) -> int:
        """Passing rows that the lists looked into should hold, where `passing` rows pass."""
        # A row must be in a probed list and survive its code: half of what may be lost, each.
        needed = None
        if self._curve is not None:
            needed = self._curve.rows_needed(passing, (1.0 + recall) / 2.0, even=even)
        # Where nothing was measured: 20 % of 100,000 rows, 6 % of a million.
        return needed if needed is not None else min(passing, math.ceil(60.0 * math.sqrt(passing)))

    def held(self, segment: Segment, selection: Selection) -> HeldRows:
        """Passing rows of each list of a segment."""
        return self.lists[segment.name].held(selection, segment.list_numbers(self.space))

    def choose(
        self,
        segment: Segment,
        selection: Selection,
        held: Callable[[], HeldRows],
        *,
        exact: bool,
        recall: float,
    ) -> Choice:
        """The cheapest way that is good enough, from the exact number of rows that pass."""
        if selection.count == 0:
            return Choice("none", "no row passes")
        if exact or segment.name not in self.lists:
            return Choice("exact", "asked for" if exact else "this segment has no index")
        exact_ms = self.costs.exact_ms(selection)
        if exact_ms <= self.settings.exact_ms:
            return Choice("exact", f"about {exact_ms:.2f} ms, within exact_ms")
        if selection.all_rows:
            return Choice("index", f"every row passes; scoring all about {exact_ms:.0f} ms")
        return self._among_lists(segment, selection, held(), exact_ms, recall)

    def _among_lists(
        self,
        segment: Segment,
        selection: Selection,
        held: HeldRows,
        exact_ms: float,
        recall: float,
    ) -> Choice:
        probing_ms = self._probing_ms(self.lists[segment.name], selection, held, recall)
        why = (
            f"{held.holding} of {len(held.counts)} lists hold passing rows; probing about "
            f"{probing_ms:.2f} ms, scoring all about {exact_ms:.2f} ms"
        )
        if exact_ms <= probing_ms:
            return Choice("exact", why)
        return Choice("lists" if held.holding < len(held.counts) else "selector", why, held)

    def _probing_ms(
        self, lists: Lists, selection: Selection, held: HeldRows, recall: float
    ) -> float:
        rows = self.rows_needed(selection.count, recall, even=held.even)
        probed = min(float(held.holding), 1.0 + rows * held.holding / selection.count)
        inside = probed * float(lists.sizes.mean())
        if selection.run is not None:
            inside = rows  # a run is found by bisection inside each list
        return self.costs.probing_ms(
            lists=lists.centroids.count,
            probed=probed,
            codes=rows,
            skipped=max(inside - rows, 0.0),
            fetch=self.settings.tiers[0].fetch,
        )


class Probe:
    """One question's vector before one space, prepared once for all segments."""

    def __init__(self, index: SpaceIndex, query: QueryVector, *, recall: float) -> None:
        """Nothing is computed before it is needed."""
        self._index = index
        self.query = query
        self.recall = recall

    @cached_property
    def _rotated(self) -> npt.NDArray[np.float32]:
        return self._centroids.rotated(self.query.values)

    @cached_property
    def _list_scores(self) -> Scores:
        return self._centroids.scores(self._rotated)

    @property
    def _centroids(self) -> Centroids:
        centroids = self._index.centroids
        if centroids is None:
            raise RuntimeError(f"space {self._index.space} has no index to probe")
        return centroids

    def find(self, segment: Segment, selection: Selection, choice: Choice, reach: Reach) -> Found:
        """The best `reach.fetch` passing rows of a segment, by exact cosine, then by row id.

        With an index they are the best of that many candidates. When the lists looked into hold
        fewer although more rows pass, the segment is scored exactly instead.
        """
        vectors = segment.vectors(self._index.space)
        path, why = choice.path, choice.why
        if path not in {"none", "exact"}:
            lists = self._index.lists[segment.name]
            chosen = self._choose_lists(selection, choice, reach)
            found = lists.candidates(self._rotated, chosen, reach.fetch, selection)
            if reach.settle or len(found) == min(reach.fetch, selection.count):
                positions = np.sort(found)
                scores, positions = best(
                    self.query.score_rows(vectors, positions), positions, len(positions)
                )
                plan = SegmentPlan(
                    name=segment.name,
                    space=self._index.space,
                    path=path,
                    passing=selection.count,
                    scored=len(positions),
                    lists=len(chosen.numbers),
                    codes=int(lists.sizes[chosen.numbers].sum()),
                    why=why,
                )
                return Found(scores, positions + segment.first_row, plan)
            path, why = "exact", f"the lists held only {len(found)} of {reach.fetch} candidates"
        scores, positions = best_of_reads(self.query, vectors, selection.reads(), reach.fetch)
        plan = SegmentPlan(
            name=segment.name,
            space=self._index.space,
            path=path,
            passing=selection.count,
            scored=selection.count,
            why=why,
        )
        return Found(scores, positions + segment.first_row, plan)

    def _choose_lists(self, selection: Selection, choice: Choice, reach: Reach) -> Chosen:
        if choice.held is None:
            probes = self._index.probes(self.recall) * reach.probe_factor
            return self._centroids.nearest(self._rotated, probes)
        needed = self._index.rows_needed(selection.count, self.recall, even=choice.held.even)
        # Twice the candidates at least, or the codes would have nothing to choose from.
        rows = max(needed * reach.probe_factor, 2 * reach.fetch)
        return lists_of_rows(self._list_scores, choice.held.counts, rows)


def space_indexes(
    segments: tuple[Segment, ...],
    curves: Mapping[str, Curve | None],
    settings: SearchSettings,
) -> dict[str, SpaceIndex]:
    """Every space of `curves` over the segments."""
    return {
        space: SpaceIndex(space, segments, curve=curve, settings=settings)
        for space, curve in curves.items()
    }
