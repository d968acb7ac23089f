"""The inverted lists of one segment, searched list by list.

Which lists to look into is decided here and not by FAISS, because a filter changes the answer: the
nearest lists may hold no passing row at all. Threads: safe from any; nothing is ever set on an
index, and OpenMP's thread count, which is kept per calling thread, is set to one by every search
(one thread a request and many requests beat the reverse).
"""

from __future__ import annotations

from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from atlas.search.grouped_centroids import GROUPED_FROM, GroupedCentroids
from atlas.search.list_counts import Counts, HeldRows, ListsOfRows, held_by_lists
from atlas.search.selection import Selection
from atlas.search.vectors import Positions, QueryVector

ListNumbers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]

# A graph is walked until so many centroids are known for each that is asked for, and so many at
# least; FAISS alone would stop at sixteen, however many are wanted (docs/indexing.md has the shares
# that are found).
_KNOWN_PER_ASKED = 2
_LEAST_KNOWN = 64
# For more than this part of all lists a look at each costs less than the walk (16,384 x 768).
_WALKED_BELOW = 1 / 24


class Chosen(NamedTuple):
    """Lists to look into, nearest first: (n,) int64 numbers and (n,) float32 centroid scores."""

    numbers: ListNumbers
    scores: Scores


class Centroids:
    """What a space's index learnt and all its segments share: rotation and middle of each list.

    The middles are kept as float16 rows, so that comparing a query with all of them is one pass
    over 25 MB at 16,384 x 768 instead of 50.
    """

    def __init__(self, index: faiss.Index) -> None:
        """Take rotation and centroids out of a trained or filled index."""
        self._index = index
        self._chain = (
            [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
            if isinstance(index, faiss.IndexPreTransform)
            else []
        )
        ivf = faiss.extract_index_ivf(index)
        self.count = int(ivf.nlist)
        self._quantizer = faiss.downcast_index(ivf.quantizer)
        self.navigable = isinstance(self._quantizer, faiss.IndexHNSW)
        middles = self._quantizer.reconstruct_n(0, self.count).astype(np.float16)
        self._grouped: GroupedCentroids | None = None
        if self.count >= GROUPED_FROM and not self.navigable:
            self._grouped = GroupedCentroids(middles)
        else:
            self._middles = middles

    def rotated(self, query: Vector) -> Vector:
        """The query in the rotated space of the codes, (1, dim) float32, contiguous."""
        row: Vector = np.ascontiguousarray(query[np.newaxis], np.float32)
        for transform in self._chain:
            row = transform.apply(row)
        return row

    def scores(self, rotated: Vector) -> Scores:
        """Inner products with the middle of every list, (lists,) float32."""
        query = QueryVector(rotated[0])
        return query.score(self._middles) if self._grouped is None else self._grouped.scores(query)

    def nearest(self, rotated: Vector, count: int) -> Chosen:
        """The `count` nearest lists of all, or nearly: through a graph or groups where they are."""
        count = min(count, self.count)
        if self._grouped is not None:
            numbers, scores = self._grouped.near(QueryVector(rotated[0]), count)
            order = np.lexsort((numbers, -scores))[:count]
            return Chosen(numbers[order], scores[order])
        if not self.navigable or count > _WALKED_BELOW * self.count:
            return nearest_holding(self.scores(rotated), None, count)
        faiss.omp_set_num_threads(1)
        known = max(_LEAST_KNOWN, _KNOWN_PER_ASKED * count)
        walk = faiss.SearchParametersHNSW(efSearch=known)
        scores, numbers = self._quantizer.search(rotated, count, params=walk)
        # A graph may come back short; FAISS pads with -1.
        found = numbers[0] >= 0
        return Chosen(numbers[0][found].astype(np.int64), scores[0][found])


def nearest_holding(scores: Scores, held: Counts | None, count: int) -> Chosen:
    """The `count` nearest lists among those that hold a passing row; all lists where None."""
    able = np.arange(len(scores)) if held is None else np.flatnonzero(held)
    if 0 < count < len(able):
        # Ties with the last one stay in until they are ordered, by number.
        edge = np.partition(scores[able], len(able) - count)[len(able) - count]
        able = able[scores[able] >= edge]
    order = able[np.lexsort((able, -scores[able]))][:count]
    return Chosen(order.astype(np.int64), scores[order])


def lists_of_rows(scores: Scores, held: Counts, rows: int) -> Chosen:
    """The nearest lists that hold passing rows, as many as hold `rows` of them together.

    `held` is the number of passing rows of every list. All holding lists when they hold fewer.
    """
    holding = int(np.count_nonzero(held))
    total = int(held.sum())
    count = min(holding, 16 + 2 * rows * holding // max(total, 1))
    while True:
        chosen = nearest_holding(scores, held, count)
        reached = np.cumsum(held[chosen.numbers])
        if count >= holding or (len(reached) and reached[-1] >= rows):
            enough = int(np.searchsorted(reached, rows)) + 1
            return Chosen(chosen.numbers[:enough], chosen.scores[:enough])
        count = min(holding, 4 * count)


class Lists:
    """One segment's filled index: how many rows each list holds, and the search inside them."""

    def __init__(self, index: faiss.Index, centroids: Centroids) -> None:
        """`centroids` are those of the space that `index` was encoded in."""
        self._index = index  # owns what the next line points into
        self._ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
        self.centroids = centroids
        self._of_rows: ListsOfRows | None = None
        lists = self._ivf.invlists
        self.sizes: Counts = np.array(
            [lists.list_size(number) for number in range(centroids.count)], np.int64
        )

    def held(self, selection: Selection, list_numbers: npt.NDArray[np.int32]) -> HeldRows:
        """How many of the selection's rows each list holds, estimated where many pass.

        `list_numbers` is the list of each row of the segment, always the same.
        """
        if self._of_rows is None:
            self._of_rows = ListsOfRows(list_numbers)
        return held_by_lists(selection, self._of_rows, self.sizes)

    def candidates(
        self, rotated: Vector, chosen: Chosen, fetch: int, selection: Selection
    ) -> Positions:
        """Up to `fetch` passing positions of the chosen lists, in the order of their codes.

        The scores of the codes are not returned: they are too coarse to show.
        """
        faiss.omp_set_num_threads(1)
        selector, content = _selector(selection)
        parameters = faiss.SearchParametersIVF(nprobe=len(chosen.numbers), sel=selector)
        distances = np.empty(fetch, np.float32)
        labels = np.empty(fetch, np.int64)
        # The call with array arguments refuses parameters in FAISS 1.15; the bare one takes them.
        self._ivf.search_preassigned_c(
            1,
            faiss.swig_ptr(rotated),
            fetch,
            faiss.swig_ptr(chosen.numbers),
            faiss.swig_ptr(chosen.scores),
            faiss.swig_ptr(distances),
            faiss.swig_ptr(labels),
            False,
            parameters,
            None,
        )
        del selector, content  # FAISS holds bare pointers to both until here
        positions: Positions = labels[labels >= 0]
        return positions


def _selector(
    selection: Selection,
) -> tuple[faiss.IDSelector | None, npt.NDArray[np.uint8] | None]:
    """A selector and the memory it points into."""
    if selection.all_rows:
        return None, None
    if selection.run is not None:
        # Positions rise within every list, so a run is found by bisection, not by testing each.
        return faiss.IDSelectorRange(selection.run.start, selection.run.stop, True), None
    bits = selection.bits()
    return faiss.IDSelectorBitmap(bits), bits
