"""Where the rows of each taxon lie: one run a segment, because segments are sorted by taxon.

Pure data once read; safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.errors import BundleError
from atlas.search.selection import Selection

Numbers = npt.NDArray[np.int64]


class SegmentRuns(NamedTuple):
    """Runs of one segment of `rows` rows, in order: taxon ids, first positions, ends, (runs,)."""

    rows: int
    taxa: Numbers
    first: Numbers
    stop: Numbers

    def within(self, intervals: Sequence[tuple[int, int]]) -> Selection:
        """Rows of the taxa with ids in any of some intervals, first and last; one run for each."""
        runs = [run for run in (self._between(*each) for each in intervals) if run is not None]
        if len(runs) <= 1:
            start, stop = runs[0] if runs else (0, 0)
            return Selection.of_run(start, stop, self.rows)
        mask = np.zeros(self.rows, bool)
        for start, stop in runs:
            mask[start:stop] = True
        return Selection.of_mask(mask)

    def _between(self, first: int, last: int) -> tuple[int, int] | None:
        low, high = np.searchsorted(self.taxa, [first, last + 1])
        return None if low == high else (int(self.first[low]), int(self.stop[high - 1]))


def read_runs(catalog: Catalog, segments: Sequence[Segment]) -> tuple[SegmentRuns, ...]:
    """The runs of every segment; a pass over the taxon ids, and 24 bytes a taxon and segment.

    Removed rows may be missing in the catalog; inside a run they are spanned. BundleError where a
    segment's rows are not in the order of their taxa.
    """
    runs = []
    for segment in segments:
        found = catalog.table(
            "SELECT taxon_id, min(row_id) AS first, max(row_id) + 1 AS stop FROM image "
            "WHERE row_id BETWEEN ? AND ? GROUP BY taxon_id ORDER BY taxon_id",
            [segment.first_row, segment.first_row + segment.rows - 1],
        )
        taxa, first, stop = (np.asarray(found[name], np.int64) for name in found)
        if (first[1:] < stop[:-1]).any():
            raise BundleError(Path(segment.name), "the rows of this segment are not by taxon")
        runs.append(
            SegmentRuns(segment.rows, taxa, first - segment.first_row, stop - segment.first_row)
        )
    return tuple(runs)
