"""DuckDB: every passing row scored in SQL, no index. Exact, and as slow as that is.

Scored by inner product: a cosine would norm the float16 unit vectors once more, which moves near
ties away from the order that all others and the truth have.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from atlas.bundle.files import atomic_path
from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.systems.system import RowNumbers, Vector, columns_of, sql_of

_CHUNK_ROWS = 65_536


class DuckdbSystem:
    """One table in row order, vectors as FLOAT[dim]."""

    settings = "array_inner_product with WHERE, one thread, float32 vectors, no index"
    reads_vectors = False
    most_questions = 10

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Write the table where there is none, and open it read-only."""
        path = folder / "world.duckdb"
        if not path.exists():
            with atomic_path(path) as temporary:
                _write(data, temporary)
        self._connection = duckdb.connect(str(path), read_only=True, config={"threads": 1})
        self._dim = data.dim

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first by exact inner product."""
        where = sql_of(condition)
        found = self._connection.execute(
            f"SELECT row FROM world {f'WHERE {where}' if where else ''} "
            f"ORDER BY array_inner_product(vector, ?::FLOAT[{self._dim}]) DESC LIMIT {count}",
            [query.tolist()],
        ).fetchnumpy()
        rows: RowNumbers = np.asarray(found["row"], np.int64)
        return rows

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _write(data: WorldOnDisk, path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        for start in range(0, data.rows, _CHUNK_ROWS):
            stop = min(start + _CHUNK_ROWS, data.rows)
            flat = pa.array(data.vectors[start:stop].astype(np.float32).ravel())
            vectors = pa.FixedSizeListArray.from_arrays(flat, data.dim)
            chunk = columns_of(data, start, stop).append_column("vector", vectors)
            connection.register("chunk", chunk)
            verb = "CREATE TABLE world AS" if start == 0 else "INSERT INTO world"
            connection.execute(f"{verb} SELECT * FROM chunk ORDER BY row")
            connection.unregister("chunk")
