"""PostgreSQL with pgvector: an HNSW index and B-trees; its planner chooses between them.

The server comes as a Python package with pgvector inside. It runs as an unprivileged user, on a
socket in its own folder, and is stopped with the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pgserver
import psycopg

from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.systems.system import FILTER_COLUMNS, RowNumbers, Vector, columns_of, sql_of

_CHUNK_ROWS = 16_384
_EF_SEARCH = 100
_BINARIES = Path(pgserver.__file__).parent / "pginstall" / "bin"
_USER = "bench"
# Names the socket; nothing listens on the network.
_PORT = 54329
# What the server may use; no parallel workers, so a question stays on one processor.
_OPTIONS = (
    "shared_buffers=2GB",
    "maintenance_work_mem=6GB",
    "max_parallel_workers_per_gather=0",
    "max_parallel_maintenance_workers=2",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=8GB",
    "jit=off",
    "listen_addresses=",
)


class PgvectorSystem:
    """A table of float32 vectors, since this pgvector has no half precision."""

    settings = (
        f"pgvector {{version}}, HNSW m 16, ef_construction 64, ef_search {_EF_SEARCH}, B-trees on "
        "the filter columns, no parallel workers"
    )
    reads_vectors = False
    most_questions = 50

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Start the server on the folder's data, which are loaded where there are none."""
        self._cluster = folder / "cluster"
        self._socket = folder / "socket"
        self._socket.mkdir(parents=True, exist_ok=True)
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
            shutil.chown(self._socket, self._user)
        if not self._cluster.exists():
            self._run("initdb", "-D", str(self._cluster), "-U", _USER, "-A", "trust", "-N")
        options = " ".join(f"-c {option}" for option in (*_OPTIONS, f"port={_PORT}"))
        options += f" -k {self._socket}"
        self._run(
            "pg_ctl",
            "-D",
            str(self._cluster),
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            options,
            "start",
        )
        self._connection = psycopg.connect(
            host=str(self._socket), port=_PORT, user=_USER, dbname="postgres", autocommit=True
        )
        if not (folder / "done").exists():
            self._load(data)
            (folder / "done").touch()
        self._connection.execute(f"SET hnsw.ef_search = {_EF_SEARCH}")
        found = self._connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()
        self.settings = self.settings.format(version=found[0] if found else "?")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - programs of the package, arguments of our own making
            [str(_BINARIES / program), *arguments],
            check=True,
            user=self._user,
            stdout=subprocess.DEVNULL,
            cwd=self._socket,
        )

    def _load(self, data: WorldOnDisk) -> None:
        columns = ", ".join(
            f"{name} {'double precision' if name in {'latitude', 'longitude'} else 'integer'}"
            for name in FILTER_COLUMNS
        )
        self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        self._connection.execute("DROP TABLE IF EXISTS world")
        self._connection.execute(
            f"CREATE UNLOGGED TABLE world (row_id integer, {columns}, vector vector({data.dim}))"
        )
        with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY world FROM STDIN") as copy,
        ):
            for start in range(0, data.rows, _CHUNK_ROWS):
                stop = min(start + _CHUNK_ROWS, data.rows)
                rows = columns_of(data, start, stop).to_pylist()
                vectors = data.vectors[start:stop].astype(np.float32)
                for row, vector in zip(rows, vectors, strict=True):
                    copy.write_row((*row.values(), _text(vector)))
        for name in FILTER_COLUMNS:
            self._connection.execute(f"CREATE INDEX ON world ({name})")
        self._connection.execute(
            "CREATE INDEX ON world USING hnsw (vector vector_ip_ops) "
            "WITH (m = 16, ef_construction = 64)"
        )
        self._connection.execute("VACUUM ANALYZE world")

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers, best first by inner product."""
        where = sql_of(condition)
        found = self._connection.execute(
            f"SELECT row_id FROM world {f'WHERE {where}' if where else ''} "
            f"ORDER BY vector <#> %s::vector LIMIT {count}",
            [_text(query)],
        ).fetchall()
        return np.array([row[0] for row in found], np.int64)

    def close(self) -> None:
        """Stop the server."""
        self._connection.close()
        self._run("pg_ctl", "-D", str(self._cluster), "-w", "-m", "fast", "stop")


def _text(vector: Vector) -> str:
    return f"[{','.join(f'{number:.7g}' for number in vector.tolist())}]"
