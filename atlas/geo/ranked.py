"""Rows of a segment in the order of a quantity: those below a bound are found without their values.

A bit-sliced index (O'Neil and Quass 1997, https://doi.org/10.1145/253260.253268), of ranks instead
of values: the rank of a bound is bisected, rows are told apart by 256 classes of equal size, and
the one class that the bound cuts is corrected row by row. A tenth of a byte a row is read for each
bit of a class's number, where comparing float32 reads four bytes. Immutable: safe from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.uint32]
Slices = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

SLICES = 8
_CLASSES = 1 << SLICES
_WORD_BITS = 64
# A block's result stays in a core's cache while slice after slice is read beside it.
_BLOCK_WORDS = 32_768


def order_name(column: str) -> str:
    """File of uint32, one a row: positions of rows, ascending by the column's values."""
    return f"{column.rpartition('.')[0] or column}.order.u32"


def slices_name(column: str) -> str:
    """File of uint64: `SLICES` runs of one bit a row, filled up to whole words with zeros.

    Run i has bit i, inverted, of the number of each row's class, the lowest bit first.
    """
    return f"{column.rpartition('.')[0] or column}.slices.u64"


def words_of(rows: int) -> int:
    """How many words of 64 bits hold a bit a row."""
    return -(-rows // _WORD_BITS)


class RankedRows:
    """The order of a segment's rows, (rows,), and the bits of their classes, (SLICES, words)."""

    __slots__ = ("_class_rows", "order", "slices")

    def __init__(self, order: Order, slices: Slices) -> None:
        """Use `of` to make them from values; nothing is read before it is asked for."""
        self.order = order
        self.slices = slices
        self._class_rows = _class_rows(len(order))

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> RankedRows:
        """Rank one value a row, (rows,), none of them NaN; equal ones by position."""
        rows = len(values)
        order = np.argsort(values, kind="stable").astype(np.uint32)
        numbers = np.empty(rows, np.uint8)
        numbers[order] = np.repeat(np.arange(_CLASSES, dtype=np.uint8), _class_rows(rows))[:rows]
        slices = np.zeros((SLICES, words_of(rows)), "<u8")
        for bit, kept in enumerate(slices.view(np.uint8)):
            unset = np.packbits(numbers & np.uint8(1 << bit) == 0, bitorder="little")
            kept[: len(unset)] = unset
        return cls(order, slices)

    def rank(self, holds: Callable[[int], bool]) -> int:
        """How many rows `holds` is true for, which it is for all up to some rank and no other."""
        return bisect_left(
            range(len(self.order)), x=True, key=lambda rank: not holds(int(self.order[rank]))
        )

    def positions(self, *runs: slice) -> Positions:
        """Sorted positions of the rows whose ranks lie in one of some runs, which are apart."""
        chosen = [self.order[:0], *(self.order[run] for run in runs)]
        return np.sort(np.concatenate(chosen)).astype(np.int64)

    def bits(self, *runs: slice) -> Bits:
        """A bit a row, lowest first: whether its rank lies in one of some runs; a new array."""
        found: Slices | None = None
        for run in runs:
            inside = self._below(run.stop)
            if run.start > 0:
                inside &= ~self._below(run.start)
            found = inside if found is None else np.bitwise_or(found, inside, out=found)
        bits = np.zeros(words_of(len(self.order)), np.uint64) if found is None else found
        return bits.view(np.uint8)[: (len(self.order) + 7) // 8]

    def _below(self, rank: int) -> Slices:
        """A bit a row, filled up to whole words: whether its rank is below `rank`."""
        number = (rank + self._class_rows // 2) // self._class_rows
        edge = number * self._class_rows
        found = self._of_classes_below(number)
        cut = self.order[min(rank, edge) : max(rank, edge)]
        if rank <= edge:
            np.bitwise_and.at(found.view(np.uint8), cut >> 3, ~_bit_of(cut))
        else:
            np.bitwise_or.at(found.view(np.uint8), cut >> 3, _bit_of(cut))
        return found

    def _of_classes_below(self, number: int) -> Slices:
        """A bit a row, filled up to whole words: whether its class is below class `number`.

        From the lowest bit up: a number is below another if its highest bit that differs is
        unset. So a bit that is set there lets pass what has it unset, too, and one that is unset
        lets pass what has it unset alone.
        """
        words = self.slices.shape[1]
        found = np.zeros(words, np.uint64)
        if number >= _CLASSES:
            rows = len(self.order)
            found.view(np.uint8)[: rows // 8] = 0xFF
            found.view(np.uint8)[rows // 8 : rows // 8 + 1] = (1 << (rows & 7)) - 1
            return found
        if number == 0:
            return found
        lowest = (number & -number).bit_length() - 1
        for start in range(0, words, _BLOCK_WORDS):
            part = found[start : start + _BLOCK_WORDS]
            part[:] = self.slices[lowest, start : start + _BLOCK_WORDS]
            for bit in range(lowest + 1, SLICES):
                join = np.bitwise_or if number >> bit & 1 else np.bitwise_and
                join(part, self.slices[bit, start : start + _BLOCK_WORDS], out=part)
        return found


def _class_rows(rows: int) -> int:
    """Rows of each class but the last ones."""
    return max(1, -(-rows // _CLASSES))


def _bit_of(rows: Order) -> Bits:
    """Each row's bit within its byte."""
    return np.left_shift(np.uint8(1), (rows & 7).astype(np.uint8))
