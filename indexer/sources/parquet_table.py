"""Reads runs of rows from Parquet files, decoding only the row groups and columns they need.

Knows nothing of Darwin Core. Opens the file for each call, so it is safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from atlas.errors import PlanError

_BATCH_ROWS = 8_192
_BUFFER_BYTES = 1 << 20


def open_parquet(path: Path, *, buffer_bytes: int = 0) -> pq.ParquetFile:
    """Open a Parquet file, to be read whole chunks at a time or by `buffer_bytes`.

    Pages that carry a checksum are checked by it. Raises PlanError where it is no Parquet file.
    """
    try:
        return pq.ParquetFile(path, buffer_size=buffer_bytes, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise PlanError(path, f"is not a readable Parquet file: {error}") from error


def row_group_sizes(path: Path) -> list[int]:
    """Rows of each row group, in order."""
    with open_parquet(path) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def runs_of_row_groups(sizes: Sequence[int], *, least: int, most: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of runs along the row groups, which have to be decoded whole.

    Small groups are put together until a run has `least` rows; larger ones are cut at `most`.
    """
    first_row, rows = 0, 0
    for size in sizes:
        rows += size
        while rows > most:
            yield first_row, most
            first_row, rows = first_row + most, rows - most
        if rows >= least:
            yield first_row, rows
            first_row, rows = first_row + rows, 0
    if rows:
        yield first_row, rows


def column_names(path: Path) -> tuple[str, ...]:
    """Names of the top-level columns. Raises PlanError where a name comes twice."""
    with open_parquet(path) as file:
        names = tuple(file.schema_arrow.names)
    for name in names:
        if names.count(name) > 1:
            raise PlanError(path, f"names column {name!r} twice")
    return names


def read_rows(path: Path, *, first_row: int, rows: int, columns: Sequence[str]) -> pa.Table:
    """Rows `first_row` to `first_row + rows - 1` of `columns`.

    Memory follows `rows`, however large the row groups are. Raises PlanError where the file is
    damaged there.
    """
    groups: list[int] = []
    rows_before = 0
    start = 0
    with open_parquet(path, buffer_bytes=_BUFFER_BYTES) as file:
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if rows_before < first_row + rows and rows_before + size > first_row:
                if not groups:
                    start = rows_before
                groups.append(group)
            rows_before += size
        try:
            return _run_of(file, groups, first_row - start, rows, columns)
        except (OSError, pa.ArrowException) as error:
            raise PlanError(path, f"cannot be read: {error}") from error


def _run_of(
    file: pq.ParquetFile, groups: list[int], first: int, rows: int, columns: Sequence[str]
) -> pa.Table:
    """Rows `first` to `first + rows - 1` of some row groups; earlier ones are let go."""
    batches = []
    at = 0
    stream = file.iter_batches(
        _BATCH_ROWS, row_groups=groups, columns=list(columns), use_threads=False
    )
    for batch in stream:
        begin, end = max(first - at, 0), min(first + rows - at, batch.num_rows)
        if begin < end:
            batches.append(batch.slice(begin, end - begin))
        at += batch.num_rows
        if at >= first + rows:
            break
    chosen = pa.schema([file.schema_arrow.field(name) for name in columns])
    return pa.Table.from_batches(batches, schema=batches[0].schema if batches else chosen)


def as_text(column: pa.ChunkedArray) -> list[str]:
    """A column's values as text, "" for null; lists are joined with ` | ` (GBIF's recordedBy)."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [
            " | ".join(str(item) for item in values if item is not None) if values else ""
            for values in column.to_pylist()
        ]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _decoded(column)
    text = column.cast(pa.string())
    try:
        return ["" if value is None else value for value in text.to_pylist()]
    except UnicodeDecodeError:
        return _decoded(text.cast(pa.binary()))


def _decoded(column: pa.ChunkedArray) -> list[str]:
    """Bytes as UTF-8 text; what is none becomes lone surrogates, by which a row is refused."""
    return [
        "" if value is None else value.decode("utf-8", errors="surrogateescape")
        for value in column.to_pylist()
    ]
