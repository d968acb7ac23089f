"""LanceDB: IVF_PQ with a prefilter on scalar indexes, re-ranked from its stored vectors.

One table, asked at several numbers of partitions, so that it can be compared at the recall that
another system has and not only at the recall that its default setting gives.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

# Read once, when the library starts its pools. With one thread to read it hangs while it builds an
# index, so a question may keep more processors busy here than elsewhere.
os.environ.setdefault("LANCE_CPU_THREADS", "1")
os.environ.setdefault("LANCE_IO_THREADS", "2")

import lancedb
import numpy as np
import pyarrow as pa

from atlas.search.index import codes_for
from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.systems.system import FILTER_COLUMNS, RowNumbers, Vector, columns_of, sql_of

_CHUNK_ROWS = 65_536
# By default ten rows are re-ranked for each row of a page. Then more partitions hardly find more
# (.64 of the first ten of text-like queries at 1,000,000 x 768, in 100 partitions or in all),
# so the variants re-rank as many as the atlas: 400.
_REFINE = 10
_MORE_REFINE = 40
# All variants are asked the same questions, since which of them finds more decides what the atlas
# is compared with: of fewer questions, the one that looks furthest may seem to find less.
_QUESTIONS_OF_VARIANTS = 30
_TABLE = "world"
# Few distinct values, many rows each.
_BITMAPS = frozenset({"source", "month", "taxon_kingdom", "taxon_phylum", "taxon_class"})


def _settings(partitions: str, refine: int) -> str:
    return (
        f"IVF_PQ, float32, 96 sub-vectors, sqrt(rows) partitions, dot, {partitions}, "
        f"refine_factor {refine}, prefilter with scalar indexes, one thread to compute and two to "
        "read"
    )


class LanceSystem:
    """One table with float32 vectors and an index on every column that is filtered on.

    Each question looks into `least_probes` partitions, and into as many as `most_probes` where
    those do not hold enough passing rows; 0 for no limit.
    """

    settings = _settings("nprobes 20 (its default)", _REFINE)
    reads_vectors = False
    most_questions = 1_000_000
    least_probes = 20
    most_probes = 20
    refine_factor = _REFINE

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Write and index the table where there is none, and open it."""
        done = folder / "done"
        database = lancedb.connect(folder / "db")
        if not done.exists():
            _write(database, data)
            done.touch()
        self._table = database.open_table(_TABLE)

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first after refining."""
        search = (
            self._table.search(query).distance_type("dot").select(["row", "_distance"]).limit(count)
        )
        # The most first: the least may not be above it, and it is 20 before it is set.
        search = search.maximum_nprobes(self.most_probes).minimum_nprobes(self.least_probes)
        search = search.refine_factor(self.refine_factor)
        where = sql_of(condition)
        if where:
            search = search.where(where, prefilter=True)
        rows: RowNumbers = search.to_arrow()["row"].to_numpy()
        return rows

    def close(self) -> None:
        """Let go of the table."""
        del self._table


class Lance20(LanceSystem):
    """The same table and as many partitions, more rows re-ranked."""

    settings = _settings("nprobes 20", _MORE_REFINE)
    most_questions = _QUESTIONS_OF_VARIANTS
    refine_factor = _MORE_REFINE


class Lance100(LanceSystem):
    """The same table, more partitions and more rows re-ranked."""

    settings = _settings("nprobes 100", _MORE_REFINE)
    least_probes = most_probes = 100
    most_questions = _QUESTIONS_OF_VARIANTS
    refine_factor = _MORE_REFINE


class Lance300(LanceSystem):
    """The same table, still more partitions."""

    settings = _settings("nprobes 300", _MORE_REFINE)
    least_probes = most_probes = 300
    most_questions = _QUESTIONS_OF_VARIANTS
    refine_factor = _MORE_REFINE


class LanceAll(LanceSystem):
    """The same table, every partition: what its codes and its refining can find at all."""

    settings = _settings("all partitions", _MORE_REFINE)
    most_questions = _QUESTIONS_OF_VARIANTS
    refine_factor = _MORE_REFINE

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Open the table as the others do."""
        super().prepare(data, folder)
        self.least_probes = self.most_probes = partitions_for(data.rows)


class LanceFull(LanceSystem):
    """The same table, more partitions only where the first do not hold enough passing rows."""

    settings = _settings("minimum_nprobes 20, maximum_nprobes unlimited", _MORE_REFINE)
    most_probes = 0
    most_questions = _QUESTIONS_OF_VARIANTS
    refine_factor = _MORE_REFINE


def partitions_for(rows: int) -> int:
    """Partitions of a table of `rows` rows: the square root, as its manual has it."""
    return round(math.sqrt(rows))


def _batches(data: WorldOnDisk) -> Iterator[pa.RecordBatch]:
    for start in range(0, data.rows, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, data.rows)
        # Float32, as it is mostly used: its k-means over float16 takes many times as long.
        flat = pa.array(data.vectors[start:stop].astype(np.float32).ravel())
        vectors = pa.FixedSizeListArray.from_arrays(flat, data.dim)
        yield from columns_of(data, start, stop).append_column("vector", vectors).to_batches()


def _write(database: lancedb.DBConnection, data: WorldOnDisk) -> None:
    first = next(_batches(data))
    table = database.create_table(_TABLE, _batches(data), schema=first.schema, mode="overwrite")
    # The same length of code as the atlas has, where the dimension allows it.
    codes = codes_for(data.dim)
    sub_vectors = int(codes.rsplit("PQ", 1)[1]) if codes else data.dim
    table.create_index(
        metric="dot",
        num_partitions=partitions_for(data.rows),
        num_sub_vectors=sub_vectors,
        vector_column_name="vector",
    )
    for name in FILTER_COLUMNS:
        table.create_scalar_index(name, index_type="BITMAP" if name in _BITMAPS else "BTREE")
