"""The files of one part while its pictures and vectors come in, each at its own pace.

Knows files, no models. The files appear whole, the report last. Thread rule: one thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_path
from atlas.errors import BuildError
from indexer.embedding.prepare import STAGE, Fault, Kept, Outcome
from indexer.parts import (
    PartReport,
    parquet_options,
    records_path,
    rejects_path,
    sizes_of,
    vectors_path,
    write_report,
    write_table,
)
from indexer.records import EMBEDDED_SCHEMA, RECORD_SCHEMA, Reject, rejects_table

Vectors = npt.NDArray[np.float32]

# Rows of a row group: hosted copies of so many photos are held until it is written.
_GROUP_ROWS = 1_024


class PartFile(NamedTuple):
    """Where a part goes, and under which identity it is finished."""

    folder: Path
    part: str
    identity: str


class EmbeddedPart:
    """`PART.parquet`, `PART.SPACE.f16`, `PART.rejects.parquet` and `PART.json` in the making."""

    def __init__(self, file: PartFile, dims: dict[str, int]) -> None:
        """Open the files; `dims` by space, in the order of their names."""
        self._file = file
        self._dims = dims
        self._stack = ExitStack()
        self._rows_in = 0
        self._rows_out = 0
        self._vectors = dict.fromkeys(dims, 0)
        self._rejects: list[Reject] = []
        self._tables: list[pa.Table] = []
        self._kept: list[Kept] = []
        self._complete = False
        try:
            self._writer, self._vector_files = self._open()
        except BaseException:
            self._stack.close()
            raise

    def _open(self) -> tuple[pq.ParquetWriter, dict[str, IO[bytes]]]:
        folder, part, _ = self._file
        enter = self._stack.enter_context
        table_path = enter(atomic_path(records_path(folder, part)))
        vector_files: dict[str, IO[bytes]] = {}
        for space in self._dims:
            path = enter(atomic_path(vectors_path(folder, part, space)))
            vector_files[space] = enter(path.open("wb"))
        options = parquet_options(EMBEDDED_SCHEMA)
        return enter(pq.ParquetWriter(table_path, EMBEDDED_SCHEMA, **options)), vector_files

    @property
    def name(self) -> str:
        """Name of the part."""
        return self._file.part

    def add_rows(self, records: pa.Table, outcomes: list[Outcome]) -> list[int]:
        """Take the next records with what became of their pictures; returns which are kept.

        Raises BuildError at the first fault.
        """
        for outcome in outcomes:
            if isinstance(outcome, Fault):
                raise BuildError(STAGE, outcome.problem)
        kept = [at for at, outcome in enumerate(outcomes) if isinstance(outcome, Kept)]
        self._rejects += [outcome for outcome in outcomes if isinstance(outcome, Reject)]
        self._kept += [outcome for outcome in outcomes if isinstance(outcome, Kept)]
        self._tables.append(records.take(pa.array(kept, pa.int64())))
        self._rows_in += records.num_rows
        self._rows_out += len(kept)
        if len(self._kept) >= _GROUP_ROWS:
            self._write_group()
        return kept

    def add_vectors(self, space: str, vectors: Vectors, rows: int) -> None:
        """Take the vectors of the next `rows` kept pictures; BuildError where they are not that."""
        if len(vectors) != rows:
            problem = f"the encoder of space {space!r} made {len(vectors)} vectors of {rows}"
            raise BuildError(STAGE, f"{problem} pictures")
        # A NaN fails this comparison too.
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3).all():
            raise BuildError(STAGE, f"the encoder of space {space!r} made vectors not of length 1")
        self._vector_files[space].write(vectors.astype("<f2").tobytes())
        self._vectors[space] += rows

    def complete(self) -> None:
        """Say that all rows were added."""
        self._complete = True

    @property
    def ready(self) -> bool:
        """Whether all rows are there with all their vectors."""
        return self._complete and all(rows == self._rows_out for rows in self._vectors.values())

    def finish(self) -> PartReport:
        """Make the files appear, the report last."""
        if self._kept:
            self._write_group()
        self._stack.close()
        folder, part, _ = self._file
        write_table(rejects_path(folder, part), rejects_table(self._rejects))
        return report_part(
            self._file,
            self._dims,
            rows_in=self._rows_in,
            rows_out=self._rows_out,
            rejects=len(self._rejects),
        )

    def abandon(self, error: BaseException) -> None:
        """Leave nothing behind."""
        self._stack.__exit__(type(error), error, error.__traceback__)

    def _write_group(self) -> None:
        records = pa.concat_tables(self._tables).combine_chunks()
        self._writer.write_table(_with_media(records, self._kept))
        self._tables, self._kept = [], []


def _with_media(records: pa.Table, kept: list[Kept]) -> pa.Table:
    added = {
        "media_sha256": [item.media_sha256 for item in kept],
        "media_type": [item.media_type for item in kept],
        "media": [item.media for item in kept],
    }
    columns = [
        records[field.name]
        if field.name in RECORD_SCHEMA.names
        else pa.array(added[field.name], field.type)
        for field in EMBEDDED_SCHEMA
    ]
    return pa.table(columns, schema=EMBEDDED_SCHEMA)


def report_part(
    file: PartFile,
    dims: dict[str, int],
    *,
    rows_in: int,
    rows_out: int,
    rejects: int,
    sums: Mapping[str, str] = MappingProxyType({}),
) -> PartReport:
    """Check the vector files against the rows, and write the report; `sums` are known already."""
    folder, part, identity = file
    vector_files = [vectors_path(folder, part, space) for space in dims]
    for path, dim in zip(vector_files, dims.values(), strict=True):
        if path.stat().st_size != rows_out * dim * 2:
            raise BuildError(STAGE, f"{path.name} does not hold {rows_out} vectors of {dim}")
    files = sizes_of(records_path(folder, part), rejects_path(folder, part), *vector_files)
    return write_report(
        folder,
        PartReport(
            part=part,
            stage=STAGE,
            identity=identity,
            rows_in=rows_in,
            rows_out=rows_out,
            rejects=rejects,
            dims=dims,
            files=files,
            sums={name: known for name, known in sums.items() if name in files},
        ),
    )
