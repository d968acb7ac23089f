"""Chooses, for each segment, how to find the best of the rows that pass, and does it.

Never filters afterwards: every way looks only at passing rows, and a way that comes back short is
replaced by exact scoring. Threads: safe from any; parameters travel with the call. Knows one
segment at a time, nothing of pages or cursors.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import faiss
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from atlas.bundle.segment import Segment
from atlas.search.index import default_probes, find_candidates, list_count
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best, best_of_blocks

RowIds = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

Path = Literal["none", "exact", "index", "index_filtered"]


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

    `exact_scattered_rows`, `exact_contiguous_rows`: up to this many passing rows of a segment are
    scored exactly even where it has an index. Measured at 768 dimensions on one core: 5,000
    scattered rows 0.9 ms, 30,000 contiguous 7 ms; an index at a fixed number of probes loses
    recall on few rows (.69 at 0.1 % of a million), exact scoring none.
    `probes`: inverted lists to look into; None takes the space's measured curve, or a formula.
    `tiers`: how the list of hits is made, see `Tier`; what lies beyond the last tier is exact.
    `filter_cache_bytes`: memory for compiled filters.
    """

    exact_scattered_rows: Annotated[int, Meta(ge=0)] = 20_000
    exact_contiguous_rows: Annotated[int, Meta(ge=0)] = 50_000
    probes: Annotated[int, Meta(ge=1)] | None = None
    tiers: Annotated[tuple[Tier, ...], Meta(min_length=1)] = (
        Tier(depth=200, fetch=400),
        Tier(depth=2_000, fetch=4_000, probe_factor=4),
    )
    filter_cache_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024


class SegmentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in one segment.

    `passing` rows pass the filter; `scored` is how many exact cosines were computed. `path`:
    `none` (nothing passes), `exact` (every passing row scored), `index` (candidates from the
    index), `index_filtered` (the same, looking only at passing rows).
    """

    name: str
    path: Path
    passing: int
    scored: int
    space: str = ""


class Found(NamedTuple):
    """Best rows of one segment in order: (n,) float32 cosines, (n,) int64 row ids, and the plan."""

    scores: Scores
    row_ids: RowIds
    plan: SegmentPlan


class Reach(NamedTuple):
    """How far to look: `fetch` candidates from `probes` lists (None: the formula's number).

    `settle` takes what an index finds, however little.
    """

    fetch: int
    probes: int | None = None
    probe_factor: int = 1
    settle: bool = False


def choose_path(
    selection: Selection, *, has_index: bool, exact: bool, settings: SearchSettings
) -> Path:
    """The way to the best rows of a segment, from the exact number of rows that pass."""
    if selection.count == 0:
        return "none"
    if exact or not has_index:
        return "exact"
    contiguous = selection.run is not None
    limit = settings.exact_contiguous_rows if contiguous else settings.exact_scattered_rows
    if selection.count <= limit:
        return "exact"
    return "index" if selection.all_rows else "index_filtered"


def search_segment(
    segment: Segment,
    space: str,
    query: QueryVector,
    selection: Selection,
    path: Path,
    reach: Reach,
) -> Found:
    """The best `reach.fetch` passing rows of a segment, by exact cosine, then by row id.

    With an index they are the best of that many candidates. When the index finds fewer although
    more rows pass, its lists did not hold them, and the segment is scored exactly instead.
    """
    vectors = segment.vectors(space)
    index = segment.index(space)
    if index is not None and path in {"index", "index_filtered"}:
        positions = _candidates(index, query, selection, reach)
        if reach.settle or len(positions) == min(reach.fetch, selection.count):
            scores, positions = best(
                query.score_rows(vectors, positions), positions, len(positions)
            )
            return _found(segment, path, selection, scores, positions, scored=len(positions))
        path = "exact"
    scores, positions = best_of_blocks(query, vectors, selection.blocks(), reach.fetch)
    return _found(segment, path, selection, scores, positions, scored=selection.count)


def _candidates(
    index: faiss.Index, query: QueryVector, selection: Selection, reach: Reach
) -> npt.NDArray[np.int64]:
    probes = reach.probes or default_probes(list_count(index))
    return find_candidates(
        index,
        query.values,
        fetch=reach.fetch,
        probes=probes * reach.probe_factor,
        selection=selection,
    )


def _found(
    segment: Segment,
    path: Path,
    selection: Selection,
    scores: Scores,
    positions: npt.NDArray[np.int64],
    *,
    scored: int,
) -> Found:
    plan = SegmentPlan(name=segment.name, path=path, passing=selection.count, scored=scored)
    return Found(scores, positions + segment.first_row, plan)
