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
_NO_ROW, _EVERY_ROW = np.uint64(0), ~np.uint64(0)


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
        """A bit a row, lowest first: whether its rank lies in one of some runs; a new array.

        Whole classes first. Then the rows between a run's ends and the class edges next to them
        are taken out, and put in: in this order, for what one run takes out may be another's.
        """
        words = self.slices.shape[1]
        found = np.zeros(words, np.uint64)
        edges = [(self._class_edge(run.start), self._class_edge(run.stop)) for run in runs]
        scratch = np.empty((2, min(words, _BLOCK_WORDS)), np.uint64)
        for at in range(0, words, _BLOCK_WORDS):
            block = slice(at, at + _BLOCK_WORDS)
            for number, (first, stop) in enumerate(edges):
                inside, below = found[block], scratch[1, : len(found[block])]
                if number:
                    inside = scratch[0, : len(inside)]
                self._put_classes_below(stop, block, inside)
                if first:
                    self._put_classes_below(first, block, below)
                    inside ^= below  # all of which are below the other class, too
                if number:
                    found[block] |= inside
        if len(self.order) % _WORD_BITS:
            found[-1] &= np.uint64((1 << len(self.order) % _WORD_BITS) - 1)
        of_bytes = found.view(np.uint8)
        taken, put = [self.order[:0]], [self.order[:0]]
        for run, edge in zip(runs, edges, strict=True):
            if edge[0] == edge[1]:
                put.append(self.order[run])
                continue
            first, stop = (number * self._class_rows for number in edge)
            taken += [self.order[first : run.start], self.order[run.stop : stop]]
            put += [self.order[run.start : first], self.order[stop : run.stop]]
        rows = np.concatenate(taken)
        np.bitwise_and.at(of_bytes, rows >> 3, ~_bit_of(rows))
        rows = np.concatenate(put)
        np.bitwise_or.at(of_bytes, rows >> 3, _bit_of(rows))
        return of_bytes[: (len(self.order) + 7) // 8]

    def _class_edge(self, rank: int) -> int:
        """The number of the class that begins next to a rank; at the end there is one more."""
        if rank == len(self.order):
            return _CLASSES
        return (rank + self._class_rows // 2) // self._class_rows

    def _put_classes_below(self, number: int, block: slice, out: Slices) -> None:
        """Write the bits of a block of words: whether each row's class is below class `number`.

        From the lowest bit up: a number is below another if its highest bit that differs is
        unset. So a bit that is set there lets pass what has it unset, too, and one that is unset
        lets pass what has it unset alone.
        """
        if number in (0, _CLASSES):
            out[:] = _NO_ROW if number == 0 else _EVERY_ROW
            return
        lowest = (number & -number).bit_length() - 1
        out[:] = self.slices[lowest, block]
        for bit in range(lowest + 1, SLICES):
            join = np.bitwise_or if number >> bit & 1 else np.bitwise_and
            join(out, self.slices[bit, block], out=out)


def _class_rows(rows: int) -> int:
    """Rows of each class but the last ones."""
    return max(1, -(-rows // _CLASSES))


def _bit_of(rows: Order) -> Bits:
    """Each row's bit within its byte."""
    return np.left_shift(np.uint8(1), (rows & 7).astype(np.uint8))
