"""Near-duplicates as the build found and stored them: identical files, and photos of one burst.

Asks the catalog and reads no vector. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.search.listing import RowIds
from atlas.search.selection import Selection


class StoredGroups:
    """Finds the photos of a stored group; the space of a question does not matter."""

    def __init__(self, catalog: Catalog, segments: Sequence[Segment]) -> None:
        """`catalog` has groups."""
        self._catalog = catalog
        self._segments = tuple(segments)

    def alike(
        self,
        row_ids: RowIds,
        selections: Sequence[Selection],
        space: str,  # noqa: ARG002 - a protocol's signature
    ) -> dict[int, RowIds]:
        """For each row the other passing rows of its group, sorted row ids; only rows with any."""
        groups = self._catalog.duplicate_groups(row_ids)
        if not groups:
            return {}
        every = np.unique(np.concatenate(list(groups.values())))
        passing = every[self._passing(every, selections)]
        found: dict[int, RowIds] = {}
        for row_id, group in groups.items():
            others = np.intersect1d(group[group != row_id], passing, assume_unique=True)
            if len(others):
                found[row_id] = others
        return found

    def _passing(self, row_ids: RowIds, selections: Sequence[Selection]) -> npt.NDArray[np.bool_]:
        passing = np.zeros(len(row_ids), np.bool_)
        for segment, selection in zip(self._segments, selections, strict=True):
            inside = (row_ids >= segment.first_row) & (row_ids < segment.first_row + segment.rows)
            passing[inside] = selection.contains(row_ids[inside] - segment.first_row)
        return passing
