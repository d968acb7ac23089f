"""Runs of rows of a table as whole columns: text tables and Parquet files alike.

Knows nothing of Darwin Core. Plain text is cut by pyarrow; where quotes, broken rows or foreign
bytes come in, the strict reader of `text_table` does it, and the outcome is the same. A reader may
be used in any process, one thread each.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from atlas.errors import BuildError, PlanError
from indexer.records import REJECT_SCHEMA, RejectReason
from indexer.sources.input_file import open_bytes, unpacked_name
from indexer.sources.parquet_table import (
    as_text,
    column_names,
    read_rows,
    row_group_sizes,
    runs_of_row_groups,
)
from indexer.sources.source import SourcePart, Start
from indexer.sources.text_columns import text_of
from indexer.sources.text_table import TextLayout, TextTable

_UNDECODABLE = "holds bytes that are not in the file's encoding; declare it in the plan"


class RefusedRow(NamedTuple):
    """A row that cannot be used: its line or row from 1, and why."""

    row: int
    reason: RejectReason
    detail: str


class Run(NamedTuple):
    """The sound rows of a run: line or row of each, int64, their columns, and the refused rows."""

    row: npt.NDArray[np.int64]
    columns: dict[str, pa.Array]
    refused: list[RefusedRow]


class TableReader(Protocol):
    """A table that is read in runs."""

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns."""

    def starts(self, rows: int) -> Iterator[Start]:
        """Runs of about `rows` rows, in order."""

    def read(self, start: Start, columns: Mapping[str, str]) -> Run:
        """One run; `columns` gives the file's column by the name that it is to have."""


class ParquetReader:
    """A Parquet file; floating columns stay numbers, all others become text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.header = column_names(path)

    def starts(self, rows: int) -> Iterator[Start]:
        """Runs along the row groups; a large group is cut, but into few, for each decodes it."""
        sizes = row_group_sizes(self._path)
        for first_row, count in runs_of_row_groups(sizes, least=rows, most=4 * rows):
            yield Start(first_row, count)

    def read(self, start: Start, columns: Mapping[str, str]) -> Run:
        """See `TableReader.read`."""
        needed = sorted(set(columns.values()))
        table = read_rows(
            self._path, first_row=start.first_row, rows=start.rows, columns=needed
        ).combine_chunks()
        row = np.arange(start.first_row + 1, start.first_row + table.num_rows + 1)
        try:
            found = {name: _values_of(table[column]) for name, column in columns.items()}
        except ValueError:
            texts = {name: as_text(table[column]) for name, column in columns.items()}
            return _sound_run(row, texts, [])
        return Run(row, found, [])


class TextReader:
    """A delimited text table, in a file of its own or alone in a zip."""

    def __init__(self, settings: TextLayout) -> None:
        self._settings = settings
        self._table = TextTable(settings)
        self.header = self._table.columns

    def starts(self, rows: int) -> Iterator[Start]:
        """Runs of exactly `rows` rows; the table is read through once."""
        lines = self._row_starts()
        first_row = 0
        while run := list(itertools.islice(lines, rows)):
            yield Start(first_row, len(run), *run[0])
            first_row += len(run)

    def read(self, start: Start, columns: Mapping[str, str]) -> Run:
        """See `TableReader.read`."""
        return self._plain_run(start, columns) or self._strict_run(start, columns)

    def _row_starts(self) -> Iterator[tuple[int, int]]:
        """Byte offset and line of every row."""
        if not self._is_plain():
            yield from ((row.offset, row.line) for row in self._table.rows())
            return
        offset, line = self._table.data
        with open_bytes(self._settings.table) as file:
            file.seek(offset)
            for raw in file:
                if raw.strip(b"\r\n"):
                    yield offset, line
                offset, line = offset + len(raw), line + 1

    def _is_plain(self) -> bool:
        """Whether every line is a row: no field is quoted, no line ends in a lone CR."""
        offset, _ = self._table.data
        with open_bytes(self._settings.table) as file:
            file.seek(offset)
            return all(self._is_plain_line(raw) for raw in file)

    def _is_plain_line(self, raw: bytes) -> bool:
        return (
            self._table.unquoted or self._table.quote.encode() not in raw
        ) and b"\r" not in raw.rstrip(b"\r\n")

    def _plain_run(self, start: Start, columns: Mapping[str, str]) -> Run | None:
        """The run as pyarrow reads it; None where it holds anything but plain, whole rows."""
        row: list[int] = []
        lines: list[bytes] = []
        line = start.line
        with open_bytes(self._settings.table) as file:
            file.seek(start.offset)
            while len(lines) < start.rows and (raw := file.readline()):
                if not self._is_plain_line(raw):
                    return None
                if raw.strip(b"\r\n"):
                    row.append(line)
                    lines.append(raw)
                line += 1
        try:
            text = b"".join(lines).decode(self._settings.encoding).encode()
            table = self._cut(text, columns)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            return None
        if table.num_rows != len(lines):
            return None
        found = {name: text_of(table[f"c{self.header.index(columns[name])}"]) for name in columns}
        return Run(np.array(row, np.int64), found, [])

    def _cut(self, text: bytes, columns: Mapping[str, str]) -> pa.Table:
        """Cut UTF-8 rows into the wanted columns; ArrowInvalid for a row of another width."""
        names = [f"c{at}" for at in range(len(self.header))]
        wanted = sorted({self.header.index(column) for column in columns.values()})
        return pa_csv.read_csv(
            io.BytesIO(text),
            pa_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(len(text), 1) + 1
            ),
            pa_csv.ParseOptions(
                delimiter=self._table.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[names[at] for at in wanted],
                strings_can_be_null=False,
            ),
        )

    def _strict_run(self, start: Start, columns: Mapping[str, str]) -> Run:
        rows = self._table.rows(offset=start.offset, line=start.line)
        row: list[int] = []
        fields: list[list[str]] = []
        refused: list[RefusedRow] = []
        for found in itertools.islice(rows, start.rows):
            if found.reason is not None:
                refused.append(RefusedRow(found.line, found.reason, found.detail))
                continue
            row.append(found.line)
            fields.append(found.fields)
        if len(row) + len(refused) != start.rows:
            raise BuildError("read", f"{self._settings.table} has lost rows; start the build again")
        whole = list(zip(*fields, strict=True)) or [()] * len(self.header)
        texts = {name: whole[self.header.index(column)] for name, column in columns.items()}
        return _sound_run(np.array(row, np.int64), texts, refused)


def refused_rows(part: SourcePart, file: str, refused: Sequence[RefusedRow]) -> pa.Table:
    """Rejects of the read stage, from the rows of `file` that a part refused."""
    return pa.Table.from_pylist(
        [
            {
                "source_key": part.source_key,
                "part": part.name,
                "row": row.row,
                "stage": "read",
                "reason": str(row.reason),
                "detail": f"{file}:{row.row}: {row.detail}",
            }
            for row in refused
        ],
        schema=REJECT_SCHEMA,
    )


def reader_of(layout: TextLayout) -> TableReader:
    """A reader of a table that may be text, alone or in a zip, or Parquet. Raises PlanError."""
    name = unpacked_name(layout.table)
    if not name.lower().endswith((".parquet", ".pq")):
        return TextReader(layout)
    if name != layout.table.name:
        raise PlanError(layout.table, "a zip may hold a text table only; unpack it")
    return ParquetReader(layout.table)


def _values_of(column: pa.ChunkedArray) -> pa.Array:
    """A column as it is where it holds doubles, else as text; ValueError where it is not UTF-8."""
    if column.type != pa.float64():
        return text_of(column)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.float64())


def _sound_run(
    row: npt.NDArray[np.int64], texts: Mapping[str, Sequence[str]], refused: list[RefusedRow]
) -> Run:
    """The rows less those in which a text is undecodable, which stands there as lone surrogates."""
    try:
        columns = {name: pa.array(text, pa.string()) for name, text in texts.items()}
    except UnicodeEncodeError:
        bad = np.zeros(len(row), bool)
        for text in texts.values():
            bad |= [any("\ud800" <= sign <= "\udfff" for sign in value) for value in text]
        reason = RejectReason.TEXT_UNDECODABLE
        found = [RefusedRow(int(at), reason, _UNDECODABLE) for at in row[bad]]
        sound = {
            name: [value for value, wrong in zip(text, bad, strict=True) if not wrong]
            for name, text in texts.items()
        }
        return _sound_run(row[~bad], sound, sorted([*refused, *found]))
    return Run(row, columns, refused)
