"""Near-duplicates: photos that one observer took of one taxon, in one place, on one day.

Being alike is not enough: in the published sample of BioCLIP 2 vectors three in four pairs of
photos of one species, by different people, have a cosine below .951, and some reach .989. So a
burst is read from the records, and the cosine only tells which of its photos show the same view.
Threads: `Bursts` is safe from any, a `CollapsedListing` belongs to one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.search.alike import BURST_KEY, IN_A_BURST
from atlas.search.listing import Listing, RowIds, Scores
from atlas.search.planner import SegmentPlan
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, unit_vectors

_BURSTS = f"""
SELECT row_id, dense_rank() OVER (ORDER BY {BURST_KEY}) AS burst
FROM image
WHERE row_id IN (SELECT unnest(?::BIGINT[])) AND {IN_A_BURST}
ORDER BY row_id
"""

# Hits that are looked through at a time; whom a hit takes does not depend on it.
_STEP = 32


class NearDuplicates(Protocol):
    """Whoever knows which photos show the same as a given one."""

    def alike(
        self, row_ids: RowIds, selections: Sequence[Selection], space: str
    ) -> dict[int, RowIds]:
        """For each row the other passing rows that show the same, sorted row ids.

        Only rows with any are in the answer. `selections` are the passing rows, one a segment.
        """


class Bursts:
    """Finds the photos of a burst that look like a given one, by their vectors."""

    def __init__(
        self,
        catalog: Catalog,
        segments: Sequence[Segment],
        *,
        near_rows: int,
        least_cosine: float,
    ) -> None:
        """Look among `near_rows` rows on either side for vectors at least `least_cosine` close."""
        self._catalog = catalog
        self._segments = tuple(segments)
        self._near_rows = near_rows
        self._least_cosine = least_cosine

    def alike(
        self, row_ids: RowIds, selections: Sequence[Selection], space: str
    ) -> dict[int, RowIds]:
        """For each row the other passing rows of its burst that look like it, sorted row ids.

        Only rows with any are in the answer. `selections` are the passing rows, one a segment.
        """
        found: dict[int, RowIds] = {}
        for segment, selection in zip(self._segments, selections, strict=True):
            inside = (row_ids >= segment.first_row) & (row_ids < segment.first_row + segment.rows)
            if inside.any():
                found |= self._alike(segment, selection, row_ids[inside], space)
        return found

    def _alike(
        self, segment: Segment, selection: Selection, row_ids: RowIds, space: str
    ) -> dict[int, RowIds]:
        listed, bursts = self._bursts(segment, row_ids)
        passing = selection.contains(listed - segment.first_row)
        vectors = segment.vectors(space)
        found: dict[int, RowIds] = {}
        for row_id in row_ids.tolist():
            low, here, high = np.searchsorted(
                listed, [row_id - self._near_rows, row_id, row_id + self._near_rows + 1]
            )
            if here == len(listed) or listed[here] != row_id:
                continue  # nobody's, or of no one day or place
            near = listed[low:high]
            near = near[passing[low:high] & (bursts[low:high] == bursts[here]) & (near != row_id)]
            if len(near) == 0:
                continue
            own = unit_vectors(vectors[row_id - segment.first_row][np.newaxis])[0]
            scores = QueryVector(own).score_rows(vectors, near - segment.first_row)
            near = near[scores >= self._least_cosine]
            if len(near):
                found[row_id] = near
        return found

    def _bursts(self, segment: Segment, row_ids: RowIds) -> tuple[RowIds, npt.NDArray[np.int64]]:
        """Rows around these that belong to a burst, sorted, and a number for each one's burst."""
        around = np.arange(-self._near_rows, self._near_rows + 1)
        near = np.unique(row_ids[:, np.newaxis] + around)
        near = near[(near >= segment.first_row) & (near < segment.first_row + segment.rows)]
        # Five million rows, 30 stretches of 129: 20 ms so, 120 ms as BETWEEN … OR BETWEEN ….
        found = self._catalog.table(_BURSTS, [near])
        listed = np.asarray(found["row_id"], np.int64)
        return listed, np.asarray(found["burst"], np.int64)


class CollapsedListing:
    """A list in which a photo stands for its near-duplicates, wherever these come after it.

    Hits are taken in order; each takes the rows of its burst that look like it and that no hit
    before took or is, and these are not listed again. Whom a hit takes does not depend on how far
    the list is read.
    """

    def __init__(
        self,
        listing: Listing,
        bursts: NearDuplicates,
        selections: Sequence[Selection],
        space: str,
    ) -> None:
        """Cosines are measured in `space`."""
        self._listing = listing
        self._bursts = bursts
        self._selections = selections
        self._space = space
        self._read = 0
        self._complete = False
        self._scores: list[float] = []
        self._row_ids: list[int] = []
        self._places: dict[int, int] = {}
        self._seen: set[int] = set()
        self._taken: dict[int, tuple[int, ...]] = {}

    def first(self, count: int) -> tuple[Scores, RowIds]:
        """The first `count` hits that stand for themselves: scores, row ids."""
        while len(self._row_ids) < count and not self._complete:
            self._read_on()
        scores = np.array(self._scores[:count], np.float64)
        return scores, np.array(self._row_ids[:count], np.int64)

    def taken(self, row_id: int) -> tuple[int, ...]:
        """The rows that a listed hit stands for beside itself, sorted."""
        return self._taken.get(row_id, ())

    def places(self, row_ids: RowIds) -> RowIds:
        """Where listed hits stand in the list below, (n,) int64, counted from 0."""
        return np.array([self._places[row] for row in row_ids.tolist()], np.int64)

    def plans(self) -> tuple[SegmentPlan, ...]:
        """The plans of the list below."""
        return self._listing.plans()

    def _read_on(self) -> None:
        wanted = self._read + _STEP
        scores, row_ids = self._listing.first(wanted)
        self._complete = len(row_ids) < wanted
        scores, row_ids = scores[self._read :], row_ids[self._read :]
        # Hits that were taken already need not be looked up.
        fresh = np.array([row for row in row_ids.tolist() if row not in self._seen], np.int64)
        alike = self._bursts.alike(fresh, self._selections, self._space)
        pairs = zip(scores.tolist(), row_ids.tolist(), strict=True)
        for place, (score, row_id) in enumerate(pairs, self._read):
            if row_id in self._seen:
                continue
            self._places[row_id] = place
            others = [row for row in alike.get(row_id, ()) if row not in self._seen]
            self._row_ids.append(row_id)
            self._scores.append(score)
            self._taken[row_id] = tuple(map(int, others))
            self._seen.update(self._taken[row_id], [row_id])
        self._read = wanted
