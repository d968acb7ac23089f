"""USearch: an HNSW graph over float16 vectors; ten times as many hits fetched and then filtered.

Its Python package takes no predicate, so filtering afterwards is what it offers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from usearch.index import Index, MetricKind

from benchmarks.conditions import ANYTHING, Condition, WorldOnDisk
from benchmarks.systems.system import AfterFilter, RowNumbers, Vector

_CHUNK_ROWS = 16_384
_OVERFETCH = 10
_CONNECTIVITY = 16
_EXPANSION_ADD = 128
_EXPANSION_SEARCH = 128


class UsearchSystem:
    """The whole graph with its vectors is in memory."""

    settings = (
        f"HNSW, float16, connectivity {_CONNECTIVITY}, expansion {_EXPANSION_ADD} / "
        f"{_EXPANSION_SEARCH}, {_OVERFETCH}x over-fetch then filter, in memory"
    )
    reads_vectors = False
    most_questions = 1_000_000

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Build the graph where there is none, and read it into memory."""
        path = folder / "index.usearch"
        self._index = Index(
            ndim=data.dim,
            metric=MetricKind.IP,
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION_SEARCH,
        )
        if path.exists():
            self._index.load(str(path))
        else:
            for start in range(0, data.rows, _CHUNK_ROWS):
                chunk = np.asarray(data.vectors[start : start + _CHUNK_ROWS])
                self._index.add(np.arange(start, start + len(chunk), dtype=np.uint64), chunk)
            self._index.save(str(path))
        self._filter = AfterFilter(data)

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first by the float16 cosine."""
        fetch = count if condition == ANYTHING else _OVERFETCH * count
        found = self._index.search(query.astype(np.float16), fetch, threads=1)
        rows: RowNumbers = np.asarray(found.keys).astype(np.int64)
        if condition == ANYTHING:
            return rows
        return self._filter.first(rows, condition, count)

    def close(self) -> None:
        """Let go of the graph."""
        del self._index
