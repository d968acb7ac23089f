"""What a burst is, and which of its photos show the same view: one definition for all that ask.

Pure functions and SQL; knows no segment, filter or catalog. Safe from any thread.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atlas.search.vectors import Vectors, unit_vectors

RowIds = npt.NDArray[np.int64]

# A burst is what one observer took of one taxon, in one cell, on one day. Observer 0 is nobody
# named. Columns of the catalog's table `image`.
BURST_KEY = "taxon_id, cell, observed_from, observer_id"
IN_A_BURST = "cell IS NOT NULL AND observed_from = observed_to AND observer_id <> 0"
# Least cosine of two photos of a burst that show the same, and how many rows apart they may lie:
# rows are sorted by taxon, cell and day, so a burst lies side by side.
LEAST_COSINE = 0.95
NEAR_ROWS = 32

# Pairs whose vectors are in memory at once.
_PAIRS = 16_384


def firsts_of_alike(
    row_ids: RowIds,
    bursts: RowIds,
    vectors: Vectors,
    first_row: int,
    *,
    near_rows: int,
    least_cosine: float,
) -> RowIds:
    """For each row the row that it stands behind, (n,) int64; its own id where behind none.

    `row_ids` ascend, `bursts` numbers the burst of each, `vectors` are the unit vectors of the
    segment that begins with `first_row`. In the order of row ids, a row that stands behind none
    takes all later rows of its burst that no row took before, lie within `near_rows` of it and
    have at least `least_cosine` with it. So each row is that close to the one it stands behind.
    """
    firsts = row_ids.copy()
    # Round by round the first row left of every burst takes what is like it.
    left = np.lexsort((row_ids, bursts))
    while len(left):
        begins = np.flatnonzero(np.diff(bursts[left], prepend=bursts[left[0]] - 1))
        sizes = np.diff(begins, append=len(left))
        leaders = np.repeat(left[begins], sizes)
        rest = left != leaders
        left, leaders = left[rest], leaders[rest]
        near = np.flatnonzero(row_ids[left] - row_ids[leaders] <= near_rows)
        taken = np.zeros(len(left), np.bool_)
        for start in range(0, len(near), _PAIRS):
            pairs = near[start : start + _PAIRS]
            own = unit_vectors(vectors[row_ids[leaders[pairs]] - first_row])
            other = vectors[row_ids[left[pairs]] - first_row].astype(np.float32)
            taken[pairs] = np.einsum("ij,ij->i", own, other) >= least_cosine
        firsts[left[taken]] = row_ids[leaders[taken]]
        left = left[~taken]
    return firsts
