"""Exact cosines straight from row-ordered float16 unit vectors, and the order of hits.

Pure functions on arrays; knows nothing of segments, filters or files. Safe from any thread: the
kernel releases the GIL and keeps no state.
"""

from __future__ import annotations

from collections.abc import Iterator

import numkong
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float16]
Scores = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

# A query rounded to float16 is wrong by up to 2e-4 in the cosine. It is therefore split into a
# float16 part and a float16 remainder, scored as two columns of one product: the pass is bound by
# memory, so the second column costs next to nothing (26 ms for 100,000 x 768 against 25 ms).
# The remainder is at most 2^-11 of the part; the scale keeps it clear of float16's subnormals.
_REMAINDER_SCALE = 4096.0

# Rows of a sequential read a call; bounds the memory of the result, not the speed.
_SEQUENTIAL_ROWS = 65_536
# Rows gathered before they are scored: 256 x 768 float16 fit the second-level cache
# (5,000 scattered rows: 1.1 ms at 64, 0.9 ms at 256, 1.3 ms at 1,024).
_GATHERED_ROWS = 256


class QueryVector:
    """A unit query prepared for scoring: float32 `values`, shape (dim,), and its packed form."""

    __slots__ = ("_packed", "values")

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        """Take a unit vector, shape (dim,), float32; it is not checked again."""
        self.values = np.ascontiguousarray(values, np.float32)
        part = self.values.astype(np.float16)
        remainder = (self.values - part.astype(np.float32)) * np.float32(_REMAINDER_SCALE)
        # numkong, not simsimd: on CPUs with AVX-512 FP16 simsimd also *sums* in float16, which
        # costs 1.3e-4; numkong sums in float32 (error 2e-8 at 768 dimensions) and is as fast.
        self._packed = numkong.dots_pack(np.stack([part, remainder.astype(np.float16)]), "f16")

    def score(self, vectors: Vectors) -> Scores:
        """Cosines with `vectors`, shape (n, dim), float16 -> (n,), float32.

        A row's score does not depend on the rows beside it, so the order of hits is the same
        whichever way a row was reached.
        """
        if len(vectors) == 0:
            return np.empty(0, np.float32)
        columns = np.asarray(numkong.dots_packed(vectors, self._packed), np.float32)
        scores: Scores = columns[:, 0] + columns[:, 1] * np.float32(1.0 / _REMAINDER_SCALE)
        return scores

    def score_rows(self, vectors: Vectors, rows: Positions | slice) -> Scores:
        """Cosines with the chosen rows of `vectors`, in the order of `rows`, float32.

        Contiguous rows are read where they lie; scattered ones are gathered a cacheful at a time,
        so that no copy of the whole selection is ever made.
        """
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(vectors))
            return self._score_sequential(vectors, start, stop)
        out = np.empty(len(rows), np.float32)
        buffer = np.empty((min(len(rows), _GATHERED_ROWS), vectors.shape[1]), np.float16)
        for start in range(0, len(rows), _GATHERED_ROWS):
            chosen = rows[start : start + _GATHERED_ROWS]
            gathered = buffer[: len(chosen)]
            # "clip" writes into the buffer directly; "raise" would go through a copy of it.
            np.take(vectors, chosen, axis=0, out=gathered, mode="clip")
            out[start : start + len(chosen)] = self.score(gathered)
        return out

    def _score_sequential(self, vectors: Vectors, start: int, stop: int) -> Scores:
        out = np.empty(max(0, stop - start), np.float32)
        for first in range(start, stop, _SEQUENTIAL_ROWS):
            last = min(first + _SEQUENTIAL_ROWS, stop)
            out[first - start : last - start] = self.score(vectors[first:last])
        return out


def score_rows(vectors: Vectors, query: npt.NDArray[np.float32], rows: Positions | slice) -> Scores:
    """Exact cosines of a unit `query`, (dim,), with the chosen rows of `vectors`, (n, dim).

    Within 1e-6 of the float64 product with the same float16 rows.
    """
    return QueryVector(query).score_rows(vectors, rows)


def unit_vectors(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale each row of `vectors`, (n, dim), to length one, in float64; returns float32.

    ValueError when a row has no direction: zero, or with a number that is not finite.
    """
    wide = np.asarray(vectors, np.float64)
    # The largest component first: squares of very long or very short vectors leave the range.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    if not (np.isfinite(largest) & (largest > 0)).all():
        raise ValueError("a vector is zero or not finite")
    wide = wide / largest
    unit: npt.NDArray[np.float32] = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def best(scores: Scores, rows: Positions, count: int) -> tuple[Scores, Positions]:
    """The first `count` of (score descending, row ascending), a total order.

    `rows` must be distinct, in any order; a tie at the edge goes to the lower row.
    """
    if count <= 0:
        return scores[:0], rows[:0]
    if count < len(scores):
        edge = np.partition(scores, len(scores) - count)[len(scores) - count]
        kept = np.flatnonzero(scores >= edge)
        scores, rows = scores[kept], rows[kept]
    order = np.lexsort((rows, -scores))[:count]
    return scores[order], rows[order]


class BestRows:
    """Keeps the first `count` rows of a total order while blocks of scores go by."""

    def __init__(self, count: int) -> None:
        """Keep at most `count` rows."""
        self._count = count
        self._scores = np.empty(0, np.float32)
        self._rows = np.empty(0, np.int64)

    def add(self, scores: Scores, rows: Positions) -> None:
        """Offer a block, (n,) float32 and (n,) int64; rows are distinct over all blocks."""
        if len(self._scores) == self._count and self._count > 0:
            # Most blocks hold nothing better than what is kept; equal scores may still win.
            chosen = np.flatnonzero(scores >= self._scores[-1])
            scores, rows = scores[chosen], rows[chosen]
        self._scores, self._rows = best(
            np.concatenate([self._scores, scores]),
            np.concatenate([self._rows, rows]),
            self._count,
        )

    def result(self) -> tuple[Scores, Positions]:
        """What was kept, in order."""
        return self._scores, self._rows


def best_of_reads(
    query: QueryVector,
    vectors: Vectors,
    reads: Iterator[tuple[slice | Positions, npt.NDArray[np.bool_] | None]],
    count: int,
) -> tuple[Scores, Positions]:
    """Score what `Selection.reads` gives and keep the first `count`: (scores, positions)."""
    kept = BestRows(count)
    for rows, passing in reads:
        positions = (
            np.arange(rows.start, rows.stop, dtype=np.int64) if isinstance(rows, slice) else rows
        )
        scores = query.score_rows(vectors, rows)
        if passing is not None:
            scores, positions = scores[passing], positions[passing]
        kept.add(scores, positions)
    return kept.result()
