"""How many of a filter's passing rows each inverted list holds: counted, or estimated by a sample.

Pure functions on arrays: safe from any thread. Knows nothing of indexes or filters.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.search.row_bits import SAMPLED_AT, SAMPLED_ROWS
from atlas.search.selection import Selection

Counts = npt.NDArray[np.int64]
ListNumbers = npt.NDArray[np.int32]

# Rows of a taxon or a region fill far fewer lists than as many rows drawn at random.
_EVEN_FROM = 0.8
# Rows a list of a sample, on average. A search reads hundreds of lists where so many rows pass, and
# asks how many they hold together: where rows lie everywhere the errors of single lists cancel.
_SAMPLED_A_LIST = 1
# Where they lie in some lists only, a list of few rows must be told from one of none.
_SAMPLED_A_LIST_UNEVEN = 16
# Each row that is looked up costs a read of memory at random, 10 to 40 ns; so few are all counted.
_COUNTED_ROWS = 10_000


class HeldRows(NamedTuple):
    """A filter's passing rows by list: (lists,) int64 counts, and what they look like.

    `holding` lists hold any. `even` tells whether they hold about as many as rows drawn at random
    would: then the nearest passing rows lie as near as their number lets expect, and not in some
    far region of their own.
    """

    counts: Counts
    holding: int
    even: bool


def held_rows(counts: Counts, sizes: Counts) -> HeldRows:
    """Describe passing rows by list, `counts`, of lists that hold `sizes` rows."""
    return HeldRows(counts, int(np.count_nonzero(counts)), even=_is_even(counts, sizes))


class ListsOfRows:
    """The list of each row of a segment, (rows,) int32, memory-mapped or not.

    One row in 64 is kept beside the others: looking up a sample in all of them costs a read of
    memory at random for each row. Threads: safe from any; two that ask first may both copy.
    """

    def __init__(self, numbers: ListNumbers) -> None:
        """Nothing is read before it is asked for."""
        self._numbers = numbers

    def of(self, rows: slice | npt.NDArray[np.int64]) -> ListNumbers:
        """The lists of some rows."""
        return self._numbers[rows]

    def of_sample(self, rows: npt.NDArray[np.int64]) -> ListNumbers:
        """The lists of some rows, quickly where `row_bits.every` chose them with a wide step."""
        if (rows % SAMPLED_ROWS == SAMPLED_AT).all():
            return self._sampled[rows // SAMPLED_ROWS]
        return self._numbers[rows]

    @cached_property
    def _sampled(self) -> ListNumbers:
        return np.ascontiguousarray(self._numbers[SAMPLED_AT::SAMPLED_ROWS])


def held_by_lists(selection: Selection, list_numbers: ListsOfRows, sizes: Counts) -> HeldRows:
    """How many of a selection's rows each list holds.

    Where many pass, a sample of them is looked up: few where they lie everywhere, else more.
    """
    if selection.all_rows:
        return held_rows(sizes, sizes)
    lists = len(sizes)
    step = selection.count // max(_COUNTED_ROWS, _SAMPLED_A_LIST * lists)
    if step > 1:
        sampled, step = selection.every(step)
        found = np.bincount(list_numbers.of_sample(sampled), minlength=lists)
        if _is_even(found, sizes):
            # A list that the sample missed is not empty where rows lie everywhere: it is looked
            # into where it is near. One row does not weigh in the sum.
            counts = np.where((found == 0) & (sizes > 0), 1, step * found)
            return HeldRows(counts, int(np.count_nonzero(counts)), even=True)
        step = selection.count // max(_COUNTED_ROWS, _SAMPLED_A_LIST_UNEVEN * lists)
    if step > 1:
        sampled, step = selection.every(step)
        return held_rows(
            step * np.bincount(list_numbers.of_sample(sampled), minlength=lists), sizes
        )
    rows = selection.positions() if selection.run is None else selection.run
    return held_rows(np.bincount(list_numbers.of(rows), minlength=lists), sizes)


def _is_even(counts: Counts, sizes: Counts) -> bool:
    share = float(counts.sum()) / max(float(sizes.sum()), 1.0)
    # A list of s rows holds none of a share f of all rows with the probability (1 - f)^s.
    expected = float((1.0 - np.power(1.0 - share, sizes)).sum())
    return int(np.count_nonzero(counts)) >= _EVEN_FROM * expected
