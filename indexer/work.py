"""Where a build's files lie in its work folder; Parquet written piece by piece, DuckDB asked.

Names only: a stage is told paths and does not know of other stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_file

ROW_GROUP_ROWS = 65_536
# Values that never repeat get no dictionary.
_UNIQUE = frozenset(
    {"row_id", "image_id", "occurrence_id", "reference_url", "media_url", "media_sha256"}
)
# What DuckDB may hold; the rest it spills. Beside it a build needs about as much for vectors.
_DATABASE_MEMORY = "2GB"
# While dumps are joined: more than a million rows need, and about what two workers that read hold,
# so that the memory of ingest does not follow the rows. While they are ordered, the process holds
# half as much beside it.
INGEST_MEMORY = "600MB"
ORDER_MEMORY = "450MB"


class PartFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one embedded part: records, rejects, and vectors by space."""

    records: Path
    rejects: Path
    vectors: dict[str, Path]


class WorkFolder(msgspec.Struct, frozen=True):
    """Layout of a build's work folder.

    Parts are kept from build to build, each with its own identity. What is put together from them
    lies in one folder, which is started afresh when any of them has changed.
    """

    root: Path

    @property
    def read(self) -> Path:
        """Parts as their source gave them."""
        return self.root / "read"

    @property
    def embed(self) -> Path:
        """Parts with vectors."""
        return self.root / "embed"

    @property
    def assembly(self) -> Path:
        """What is made of all parts together."""
        return self.root / "assembly"

    @property
    def state(self) -> Path:
        """What is fixed when an assembly starts: its identity, number and time."""
        return self.assembly / "state.json"

    @property
    def scratch(self) -> Path:
        """Where DuckDB may spill."""
        return self.assembly / "scratch"

    @property
    def order(self) -> Path:
        """Where each row of the bundle comes from; written last of what sorting writes."""
        return self.assembly / "order.parquet"

    @property
    def taxa(self) -> Path:
        """The taxon tree, in preorder."""
        return self.assembly / "taxa.parquet"

    @property
    def taxon_names(self) -> Path:
        """Every name of every taxon."""
        return self.assembly / "names.parquet"

    @property
    def duplicates(self) -> Path:
        """Rows refused because their image was there already."""
        return self.assembly / "duplicates.parquet"

    @property
    def rejects(self) -> Path:
        """Every rejected row of the build."""
        return self.assembly / "rejects.parquet"

    @property
    def catalog(self) -> Path:
        """The DuckDB file in the making."""
        return self.assembly / "catalog.duckdb"

    @property
    def layers(self) -> Path:
        """Folder of the place layers in the making."""
        return self.assembly / "layers"

    def segment(self, name: str) -> Path:
        """Folder of a segment in the making."""
        return self.assembly / "segments" / name

    def space(self, name: str) -> Path:
        """Folder of a space in the making."""
        return self.assembly / "spaces" / name


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file whole or not at all; equal rows give equal bytes.

    How Arrow names what is inside a list is not kept: it depends on where the rows came from.
    """
    repeating = [name for name in schema.names if name not in _UNIQUE]
    lists = [name for name in repeating if pa.types.is_list(schema.field(name).type)]
    with (
        atomic_file(path) as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            store_schema=False,
            use_dictionary=[*repeating, *(f"{name}.list.element" for name in lists)],
        ) as writer,
    ):
        yield writer


def open_database(
    scratch: Path, path: Path | None = None, *, memory: str = _DATABASE_MEMORY
) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with a bound on its memory, in memory or on a file; it may spill to `scratch`."""
    connection = duckdb.connect(
        str(path or ":memory:"),
        config={"temp_directory": str(scratch), "memory_limit": memory},
    )
    # It would be printed into the middle of a program's output.
    connection.execute("SET enable_progress_bar = false")
    return connection


def quoted(text: str | Path) -> str:
    """A text or a path as a literal of SQL, for where no parameter may stand."""
    return "'" + str(text).replace("'", "''") + "'"


def quoted_list(texts: Iterable[str | Path]) -> str:
    """Texts or paths as a list of SQL, each `quoted`."""
    return f"[{', '.join(map(quoted, texts))}]"


def batches_of(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Iterable[object] = ()
) -> pa.RecordBatchReader:
    """Run a query and stream its rows as Arrow batches, in the query's order."""
    # By `sql`, not `execute`: the latter would copy every row once more on its way to Arrow.
    relation = connection.sql(query, params=list(parameters))
    reader: pa.RecordBatchReader = relation.to_arrow_reader(ROW_GROUP_ROWS)
    return reader


def write_batches(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write batches in row groups of a fixed size, however they come; returns the rows written.

    `progress` is told rows as they come.
    """
    rows = 0
    waiting: list[pa.RecordBatch] = []
    waiting_rows = 0
    with parquet_writer(path, schema) as writer:
        for batch in batches:
            waiting.append(batch)
            waiting_rows += batch.num_rows
            progress(batch.num_rows)
            while waiting_rows >= ROW_GROUP_ROWS:
                table = pa.Table.from_batches(waiting, schema)
                writer.write_table(table.slice(0, ROW_GROUP_ROWS).combine_chunks())
                rows += ROW_GROUP_ROWS
                waiting = table.slice(ROW_GROUP_ROWS).to_batches()
                waiting_rows -= ROW_GROUP_ROWS
        table = pa.Table.from_batches(waiting, schema)
        writer.write_table(table.combine_chunks())
        return rows + int(table.num_rows)
