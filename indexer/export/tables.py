"""Chosen rows as one table, Parquet with vectors or CSV: a photo a row.

Batches go straight to the file. One thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from indexer.export.rows import NUMBERS, Batch
from indexer.work import ROW_GROUP_ROWS

# Names in the Parquet files that BioCLIP 2's vectors were published in, where they differ from
# Darwin Core's: a plan reads them without being told.
_PUBLISHED = {
    "occurrenceID": "source_id",
    "scientificName": "scientific_name",
    "vernacularName": "common_name",
    "mediaURL": "url",
}
_TERMS = (
    "eventDate",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "informationWithheld",
    "dataGeneralizations",
    "recordedBy",
    "basisOfRecord",
    "occurrenceStatus",
    "license",
    "mediaLicense",
    "rightsHolder",
    "references",
    "source",
    "datasetKey",
    "datasetName",
    "bibliographicCitation",
    "flags",
)
# Vectors of a row group: what a reader holds at once, and what is held here.
_GROUP_BYTES = 64 << 20


def write_csv(path: Path, ranks: Sequence[str], batches: Iterable[Batch]) -> int:
    """Write rows as UTF-8 CSV with a header line of Darwin Core terms; returns their number.

    Text stands in double quotes (RFC 4180), what is unknown is an empty field without them.
    """
    names = (
        "uuid",
        "occurrenceID",
        "scientificName",
        *ranks,
        "vernacularName",
        "mediaURL",
        *_TERMS,
    )
    schema = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in names])
    rows = 0
    with pyarrow.csv.CSVWriter(path, schema) as writer:
        for batch in batches:
            writer.write_batch(
                pa.record_batch([batch.columns[name] for name in names], schema=schema)
            )
            rows += len(batch.positions)
    return rows


def write_parquet(
    path: Path, ranks: Sequence[str], batches: Iterable[Batch], *, space: str | None, dim: int
) -> int:
    """Write rows as Parquet: `uuid`, `emb` (list of `dim` float32), ranks, `url`, further terms.

    Without a `space` there is no `emb`. Row groups hold 64 MiB of vectors at most. Returns rows.
    """
    terms = (
        "uuid",
        *ranks,
        "mediaURL",
        "occurrenceID",
        "scientificName",
        "vernacularName",
        *_TERMS,
    )
    fields = [
        pa.field(_PUBLISHED.get(name, name), NUMBERS.get(name, pa.string())) for name in terms
    ]
    vectors = [] if space is None else [pa.field("emb", pa.list_(pa.float32()))]
    schema = pa.schema([fields[0], *vectors, *fields[1:]])
    group_rows = ROW_GROUP_ROWS
    if space is not None:
        group_rows = max(1, min(group_rows, _GROUP_BYTES // (4 * dim)))
    unique = {"uuid", "emb", "url", "source_id"}  # a dictionary of them would save nothing
    repeated = [name for name in schema.names if name not in unique]
    waiting: list[pa.RecordBatch] = []
    held = rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeated) as writer:
        for batch in batches:
            columns = [batch.columns[name] for name in terms]
            if space is not None:
                columns.insert(1, _lists(batch.segment.vectors(space)[batch.positions]))
            waiting.append(pa.record_batch(columns, schema=schema))
            held += len(batch.positions)
            if held >= group_rows:
                writer.write_table(pa.Table.from_batches(waiting), row_group_size=held)
                rows, held, waiting = rows + held, 0, []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting), row_group_size=held)
    return rows + held


def _lists(vectors: npt.NDArray[np.float16]) -> pa.Array:
    """Vectors, (n, dim) float16, as lists of float32, which hold them exactly."""
    rows, dim = vectors.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(dim))
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.astype(np.float32).ravel()))
