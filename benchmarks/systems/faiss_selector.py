"""The atlas's own kind of index with FAISS's bitmap selector at a fixed number of probes.

Re-ranked from float16 as the atlas does it. What a careful user of FAISS would write.
"""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from atlas.search.index import encode_segment, factory_for, train, write_index
from atlas.search.vectors import QueryVector, best
from benchmarks.conditions import ANYTHING, Condition, WorldOnDisk
from benchmarks.systems.system import RowNumbers, Vector

_PROBES = 64
_FETCH = 400


class FaissSelector:
    """Looks only at passing rows, and only in the lists nearest to the query."""

    settings = f"OPQ96,IVF{{n}},PQ96 with IDSelectorBitmap, nprobe {_PROBES}, {_FETCH} re-ranked"
    reads_vectors = True
    most_questions = 1_000_000

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Train and fill the index where there is none, and read it into memory."""
        path = folder / "index.faiss"
        if not path.exists():
            factory = factory_for(data.rows, data.dim, exact_below=0)
            if factory is None:
                raise ValueError(f"no index for {data.dim} dimensions")
            trained = train(data.vectors, factory, seed=data.world.seed)
            index, _ = encode_segment(trained, data.vectors)
            write_index(index, path)
        self._index = faiss.read_index(str(path))
        self._data = data
        self._bits: dict[Condition, npt.NDArray[np.uint8]] = {}

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first by exact cosine."""
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParametersIVF(nprobe=_PROBES)
        if condition != ANYTHING:
            if condition not in self._bits:
                passing = self._data.passes(condition)
                self._bits[condition] = np.packbits(passing, bitorder="little")
            # FAISS holds a bare pointer to the bits, which live as long as this system.
            selector = faiss.IDSelectorBitmap(self._bits[condition])
            parameters = faiss.SearchParametersIVF(nprobe=_PROBES, sel=selector)
        outer = parameters
        if isinstance(self._index, faiss.IndexPreTransform):
            outer = faiss.SearchParametersPreTransform(index_params=parameters)
        _, found = self._index.search(query[np.newaxis], _FETCH, params=outer)
        rows: RowNumbers = np.sort(found[0][found[0] >= 0])
        _, rows = best(QueryVector(query).score_rows(self._data.vectors, rows), rows, count)
        return rows

    def close(self) -> None:
        """Let go of the index."""
        del self._index
