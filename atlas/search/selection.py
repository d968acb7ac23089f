"""Which rows of one segment pass a filter: a run, a list of positions, or a bit a row.

The form follows the content, so that memory stays below a bit a row or eight bytes a passing row,
whichever is less. Immutable: safe from any thread. Knows nothing of filters or vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from atlas.geo.ranked import RankedRows
from atlas.search import row_bits

Positions = npt.NDArray[np.int64]
Passing = npt.NDArray[np.bool_]

# A position takes 64 bits: from one passing row in 64 up, a bit a row is smaller.
_BITS_FROM_ONE_IN = 64
# Rows are read in place, and those that do not pass thrown away, in blocks of this many rows where
# at least one in four passes: a gathered row costs four times a row of a sequential read.
_BLOCK_ROWS = 8_192
_IN_PLACE_FROM_ONE_IN = 4
_GATHERED_BLOCKS = 8
# A bit a row is found by ranks in the time in which a quarter of the rows is judged.
_LARGE_RUN_FROM_ONE_IN = 4


class Selection:
    """The passing positions of a segment of `rows` rows; `count` of them.

    `run` is the slice of positions when they are contiguous, else None.
    """

    __slots__ = ("_bits", "_block_counts", "_missing", "_positions", "count", "rows", "run")

    def __init__(
        self,
        rows: int,
        count: int,
        *,
        run: slice | None = None,
        positions: Positions | None = None,
        bits: npt.NDArray[np.uint8] | None = None,
        block_counts: Positions | None = None,
    ) -> None:
        """Use the class methods; exactly one form is given. Bits may bring counts of blocks."""
        self.rows = rows
        self.count = count
        self.run = run
        self._positions = positions
        self._bits = bits
        if bits is not None and block_counts is None:
            block_counts = _counts_by_block(bits)
        self._block_counts = block_counts
        self._missing: Positions | None = None

    @classmethod
    def everything(cls, rows: int) -> Selection:
        """All rows of a segment."""
        return cls(rows, rows, run=slice(0, rows))

    @classmethod
    def of_run(cls, start: int, stop: int, rows: int) -> Selection:
        """Positions `start` to `stop - 1` of a segment of `rows` rows."""
        return cls(rows, stop - start, run=slice(start, stop))

    @classmethod
    def of_positions(cls, positions: Positions, rows: int) -> Selection:
        """Sorted distinct positions, (n,) int64, in the smallest form."""
        count = len(positions)
        if count == 0:
            return cls(rows, 0, run=slice(0, 0))
        first, last = int(positions[0]), int(positions[-1])
        if last - first + 1 == count:
            return cls(rows, count, run=slice(first, last + 1))
        if count * _BITS_FROM_ONE_IN >= rows:
            mask = np.zeros(rows, bool)
            mask[positions] = True
            return cls(rows, count, bits=np.packbits(mask, bitorder="little"))
        return cls(rows, count, positions=positions)

    @classmethod
    def of_mask(cls, mask: Passing) -> Selection:
        """Rows of a segment by whether they pass, (rows,) bool, in the smallest form."""
        count = int(np.count_nonzero(mask))
        if count * _BITS_FROM_ONE_IN < len(mask):
            return cls.of_positions(np.flatnonzero(mask), len(mask))
        first, last = int(mask.argmax()), len(mask) - int(mask[::-1].argmax())
        if last - first == count:
            return cls(len(mask), count, run=slice(first, last))
        return cls(len(mask), count, bits=np.packbits(mask, bitorder="little"))

    @classmethod
    def of_bits(cls, bits: npt.NDArray[np.uint8], rows: int) -> Selection:
        """Rows by one bit each, lowest bit first, none set beyond `rows`; in the smallest form."""
        counts = _counts_by_block(bits)
        count = int(counts.sum())
        if count * _BITS_FROM_ONE_IN < rows:
            return cls.of_positions(row_bits.positions_of(bits), rows)
        first, last = row_bits.first_set(bits), row_bits.last_set(bits)
        if last - first + 1 == count:
            return cls.of_run(first, last + 1, rows)
        return cls(rows, count, bits=bits, block_counts=counts)

    @property
    def is_sparse(self) -> bool:
        """Whether it is kept as positions."""
        return self._positions is not None

    @property
    def is_large(self) -> bool:
        """Whether looking at its rows takes longer than finding some by rank in all of them."""
        if self.run is not None:
            return self.count * _LARGE_RUN_FROM_ONE_IN >= self.rows
        return not self.is_sparse

    @property
    def all_rows(self) -> bool:
        """Whether every row of the segment passes."""
        return self.count == self.rows

    @property
    def size_bytes(self) -> int:
        """Memory held by the form."""
        held = (form.nbytes for form in (self._positions, self._bits) if form is not None)
        counts = 0 if self._block_counts is None else self._block_counts.nbytes
        return 64 + counts + sum(held)

    def without(self, positions: Positions) -> Selection:
        """The same selection less these positions, (n,) int64, sorted, distinct."""
        if len(positions) == 0 or self.count == 0:
            return self
        if self._positions is not None:
            kept = ~_are_among(self._positions, positions)
            return Selection.of_positions(self._positions[kept], self.rows)
        mask = self._mask(0, self.rows)
        mask[positions] = False
        return Selection.of_positions(np.flatnonzero(mask), self.rows)

    def without_runs(self, starts: Positions, stops: Positions) -> Selection:
        """The same selection less the positions from each of `starts` to its `stops` - 1.

        Runs are sorted and apart. On a bit a row this copies bits and looks at no row.
        """
        if len(starts) == 0 or self.count == 0:
            return self
        if self._positions is not None:
            run = np.searchsorted(starts, self._positions, side="right") - 1
            inside = (run >= 0) & (self._positions < stops[run])
            return Selection.of_positions(self._positions[~inside], self.rows)
        bits = self.bits().copy()
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            row_bits.clear(bits, start, stop)
        return Selection.of_bits(bits, self.rows)

    def of_ranks(self, ranked: RankedRows, *runs: slice) -> Selection:
        """Those positions whose ranks lie in one of some runs, which are apart."""
        if sum(run.stop - run.start for run in runs) * _BITS_FROM_ONE_IN < self.rows:
            positions = ranked.positions(*runs)
            return Selection.of_positions(positions[self.contains(positions)], self.rows)
        bits = ranked.bits(*runs)
        if not self.all_rows:
            # In place: the kernel takes longer to give new memory than bits take to be joined.
            np.bitwise_and(bits, self.bits(), out=bits)
        return Selection.of_bits(bits, self.rows)

    def missing(self) -> Positions | None:
        """The rows of the segment that do not pass, sorted, where these are few; else None."""
        if (self.rows - self.count) * _BITS_FROM_ONE_IN >= self.rows:
            return None
        if self._missing is None:
            # Rows beyond the last one, which fill up a byte, are no rows.
            found = row_bits.positions_of(~self.bits())
            self._missing = found[found < self.rows]
        return self._missing

    def contains(self, positions: Positions) -> Passing:
        """Whether each position passes, bool, the shape of `positions`."""
        if self.run is not None:
            inside: Passing = (positions >= self.run.start) & (positions < self.run.stop)
        elif self._bits is not None:
            inside = (self._bits[positions >> 3] >> (positions & 7).astype(np.uint8)) & 1 != 0
        else:
            inside = _are_among(positions, self.positions())
        return inside

    def holds(self, rows: slice | Positions) -> Passing:
        """Whether each of some rows passes, bool, (n,)."""
        if not isinstance(rows, slice):
            return self.contains(rows)
        begin = rows.start & ~7
        return self._mask(begin, rows.stop)[rows.start - begin :]

    def every(self, step: int) -> tuple[Positions, int]:
        """About every `step`-th row of the segment, of which those that pass; and the step taken.

        The rows are chosen by their positions alone. Where rows are kept as bits the step is a
        power of two below 8 or a multiple of 8, not above `step`.
        """
        if step <= 1:
            return self.positions(), 1
        if self.run is not None:
            return np.arange(self.run.start + step // 2, self.run.stop, step), step
        if self._positions is not None:
            return self._positions[step // 2 :: step], step
        return row_bits.every(self.bits(), step)

    def positions(self) -> Positions:
        """All passing positions, sorted, int64; eight bytes a row."""
        if self._positions is not None:
            return self._positions
        if self.run is not None:
            return np.arange(self.run.start, self.run.stop, dtype=np.int64)
        return np.flatnonzero(self._mask(0, self.rows))

    def bits(self) -> npt.NDArray[np.uint8]:
        """One bit a row of the segment, lowest bit first, as FAISS's bitmap selector reads."""
        if self._bits is not None:
            return self._bits
        if self._positions is not None:
            return row_bits.packed(self._positions, self.rows)
        run = slice(0, 0) if self.run is None else self.run
        return row_bits.of_run(run.start, run.stop, self.rows)

    def blocks(self, rows: int = 65_536) -> Iterator[slice | Positions]:
        """The selection in order, in pieces that span at most `rows` rows (a multiple of 8)."""
        if self.run is not None:
            for start in range(self.run.start, self.run.stop, rows):
                yield slice(start, min(start + rows, self.run.stop))
        elif self._positions is not None:
            for start in range(0, self.count, rows):
                yield self._positions[start : start + rows]
        else:
            for start in range(0, self.rows, rows):
                stop = min(start + rows, self.rows)
                found = np.flatnonzero(self._mask(start, stop)) + start
                if len(found) == stop - start:
                    yield slice(start, stop)  # nothing is missing here: read the rows in place
                elif len(found):
                    yield found

    def reads(self) -> Iterator[tuple[slice | Positions, Passing | None]]:
        """How to read the selection cheaply: rows to gather, or a slice and which of it passes.

        The second of a pair is None where everything read passes.
        """
        if self._bits is None or self._block_counts is None:
            for block in self.blocks():
                yield block, None
            return
        dense = self._dense(self._block_counts)
        for first in range(0, len(dense), _GATHERED_BLOCKS):
            last = min(first + _GATHERED_BLOCKS, len(dense))
            # Sparse neighbours are unpacked together: block by block that took longer than scoring.
            for start, stop, is_dense in _stretches(dense[first:last], first):
                begin, end = start * _BLOCK_ROWS, min(stop * _BLOCK_ROWS, self.rows)
                mask = self._mask(begin, end)
                if is_dense:
                    yield slice(begin, end), mask
                elif (found := np.flatnonzero(mask)).size:
                    yield found + begin, None

    @staticmethod
    def _dense(counts: Positions) -> Passing:
        """Blocks that are read in place."""
        dense: Passing = counts * _IN_PLACE_FROM_ONE_IN >= _BLOCK_ROWS
        return dense

    def reading(self) -> tuple[int, int]:
        """Rows that `reads` reads in place and rows that it gathers; what exact scoring costs."""
        if self.run is not None:
            return self.count, 0
        if self._block_counts is None:
            return 0, self.count
        dense = self._dense(self._block_counts)
        in_place = int(np.count_nonzero(dense)) * _BLOCK_ROWS
        return min(in_place, self.rows), int(self._block_counts[~dense].sum())

    def _mask(self, start: int, stop: int) -> Passing:
        """Whether each position from `start`, a multiple of 8, to `stop - 1` passes."""
        if self._bits is not None:
            packed = self._bits[start // 8 : (stop + 7) // 8]
            return np.unpackbits(packed, count=stop - start, bitorder="little").view(bool)
        mask = np.zeros(stop - start, bool)
        if self.run is not None:
            mask[max(self.run.start - start, 0) : max(self.run.stop - start, 0)] = True
        elif self._positions is not None:
            first, last = np.searchsorted(self._positions, [start, stop])
            mask[self._positions[first:last] - start] = True
        return mask


def _are_among(wanted: Positions, known: Positions) -> Passing:
    """Whether each position is one of those known, which are sorted and at least one."""
    at = np.searchsorted(known, wanted)
    found: Passing = known[np.minimum(at, len(known) - 1)] == wanted
    return found


def _counts_by_block(bits: npt.NDArray[np.uint8]) -> Positions:
    """Passing rows of each block of `_BLOCK_ROWS` rows, (blocks,) int64."""
    return row_bits.numbers_by_block(bits, _BLOCK_ROWS // 8)


def _stretches(dense: Passing, first: int) -> Iterator[tuple[int, int, bool]]:
    """Runs of equal blocks as (start, stop, dense), counted from block number `first`."""
    edges = np.flatnonzero(np.diff(dense)) + 1
    bounds = [0, *edges.tolist(), len(dense)]
    for start, stop in pairwise(bounds):
        yield first + start, first + stop, bool(dense[start])
