"""The oracle of the measurement, against float64 products of everything."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from atlas.search.vectors import unit_vectors
from indexer.stages import measure
from indexer.stages.measure import MeasuredSegment, exact_hits


def _brute(
    vectors: npt.NDArray[np.float16],
    queries: npt.NDArray[np.float32],
    own: npt.NDArray[np.int64],
    k: int,
) -> npt.NDArray[np.int64]:
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    hits = np.full((len(queries), k), -1, np.int64)
    for i, row in enumerate(scores):
        order = np.lexsort((np.arange(len(row)), -row))
        order = order[order != own[i]][:k]
        hits[i, : len(order)] = order
    return hits


@pytest.mark.parametrize("rows", [3, 10, 11, 900])
@pytest.mark.parametrize("block_rows", [7, 64, 16_384])
def test_the_oracle_is_exact(monkeypatch: pytest.MonkeyPatch, rows: int, block_rows: int) -> None:
    """Would break: recall is measured against answers that are themselves approximate."""
    monkeypatch.setattr(measure, "_BLOCK_ROWS", block_rows)
    rng = np.random.default_rng(rows)
    vectors = unit_vectors(rng.standard_normal((rows, 24)) + 2).astype(np.float16)
    # Rows that differ in the last bit of one number, and rows that are the same.
    for row in range(rows // 3):
        vectors[rows - 1 - row] = vectors[row]
        vectors[rows - 1 - row, 0] = np.nextafter(vectors[row, 0], np.float16(row % 2))
    vectors[rows // 2] = vectors[0]
    queries = unit_vectors(rng.standard_normal((20, 24)) + 2)
    queries[:3] = vectors[:3].astype(np.float32)
    own = np.full(20, -1, np.int64)
    own[:3] = np.arange(3)
    cut = rows // 2
    segments = [MeasuredSegment(0, vectors[:cut], None), MeasuredSegment(cut, vectors[cut:], None)]
    assert np.array_equal(exact_hits(segments, queries, own, 10), _brute(vectors, queries, own, 10))
