"""Where the files of a build's parts lie in its work folder, and Parquet written piece by piece.

Names only: a stage is told paths and does not know of other stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_path

ROW_GROUP_ROWS = 65_536


class PartFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one embedded part: records, rejects, and vectors by space."""

    records: Path
    rejects: Path
    vectors: dict[str, Path]


class WorkFolder(msgspec.Struct, frozen=True):
    """Layout of a build's work folder."""

    root: Path

    def read_records(self, part: str) -> Path:
        """Records of one part as its source gave them."""
        return self.root / "read" / f"{part}.parquet"

    def read_rejects(self, part: str) -> Path:
        """What the source's part refused."""
        return self.root / "read" / f"{part}.rejects.parquet"

    def embedded(self, part: str, spaces: Iterable[str]) -> PartFiles:
        """Files that embedding one part leaves."""
        folder = self.root / "embed"
        return PartFiles(
            records=folder / f"{part}.parquet",
            rejects=folder / f"{part}.rejects.parquet",
            vectors={space: folder / f"{part}.{space}.f16" for space in spaces},
        )

    @property
    def order(self) -> Path:
        """Where each row of the bundle comes from."""
        return self.root / "sort" / "order.parquet"

    @property
    def taxa(self) -> Path:
        """The taxon tree, in preorder."""
        return self.root / "sort" / "taxa.parquet"

    @property
    def taxon_names(self) -> Path:
        """Every name of every taxon."""
        return self.root / "sort" / "names.parquet"

    @property
    def duplicates(self) -> Path:
        """Rows refused because their image was there already."""
        return self.root / "sort" / "rejects.parquet"

    def segment(self, name: str) -> Path:
        """Folder of a segment in the making."""
        return self.root / "segments" / name

    def space(self, name: str) -> Path:
        """Folder of a space in the making."""
        return self.root / "spaces" / name

    @property
    def catalog(self) -> Path:
        """The DuckDB file in the making."""
        return self.root / "catalog.duckdb"

    @property
    def rejects(self) -> Path:
        """Every rejected row of the build."""
        return self.root / "rejects.parquet"

    @property
    def state(self) -> Path:
        """What is fixed when a build starts: its number and its time."""
        return self.root / "state.json"


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file whole or not at all; equal rows give equal bytes."""
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        yield writer


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write batches in row groups of a fixed size, however they come; returns the rows written."""
    rows = 0
    waiting: list[pa.RecordBatch] = []
    waiting_rows = 0
    with parquet_writer(path, schema) as writer:
        for batch in batches:
            waiting.append(batch)
            waiting_rows += batch.num_rows
            while waiting_rows >= ROW_GROUP_ROWS:
                table = pa.Table.from_batches(waiting, schema)
                writer.write_table(table.slice(0, ROW_GROUP_ROWS).combine_chunks())
                rows += ROW_GROUP_ROWS
                waiting = table.slice(ROW_GROUP_ROWS).to_batches()
                waiting_rows -= ROW_GROUP_ROWS
        table = pa.Table.from_batches(waiting, schema)
        if table.num_rows or not rows:
            writer.write_table(table.combine_chunks())
            rows += table.num_rows
    return rows
