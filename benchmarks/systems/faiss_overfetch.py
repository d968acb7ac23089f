"""IVF,PQ16 without re-ranking, three times as many hits fetched and then filtered.

This is how the public BioCLIP image search is served; without a filter it is plain IVF,PQ16.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from atlas.search.index import encode_segment, lists_for, train, write_index
from benchmarks.conditions import ANYTHING, Condition, WorldOnDisk
from benchmarks.systems.system import AfterFilter, RowNumbers, Vector

_PROBES = 16
_OVERFETCH = 3


class FaissOverfetch:
    """Filters after the search, so pages run empty."""

    settings = f"IVF{{n}},PQ16, nprobe {_PROBES}, {_OVERFETCH}x over-fetch then filter, in memory"
    reads_vectors = False
    most_questions = 1_000_000

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Train and fill the index where there is none, and read it into memory."""
        path = folder / "index.faiss"
        if not path.exists():
            trained = train(data.vectors, f"IVF{lists_for(data.rows)},PQ16", seed=data.world.seed)
            index, _ = encode_segment(trained, data.vectors)
            write_index(index, path)
        self._index = faiss.read_index(str(path))
        self._filter = AfterFilter(data)

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first by the codes."""
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParametersIVF(nprobe=_PROBES)
        fetch = count if condition == ANYTHING else _OVERFETCH * count
        _, found = self._index.search(query[np.newaxis], fetch, params=parameters)
        rows: RowNumbers = found[0][found[0] >= 0]
        if condition == ANYTHING:
            return rows
        return self._filter.first(rows, condition, count)

    def close(self) -> None:
        """Let go of the index."""
        del self._index
