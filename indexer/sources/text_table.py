"""Reads CSV and other delimited text strictly: each row with its line, each broken row named.

Knows nothing of Darwin Core. A row that cannot be read costs that row and no other: where a stray
quote swallows lines, reading starts again at the next line. One reader a thread.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from atlas.errors import PlanError
from indexer.records import RejectReason
from indexer.sources.input_file import open_bytes

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = (",", ";", "\t", "|")


class TextLayout(Protocol):
    """How a text table is written: a plan's entry says it, or an archive."""

    @property
    def table(self) -> Path:
        """The file, which may lie in a zip."""

    @property
    def encoding(self) -> str:
        """Name of a character encoding in which ASCII stays as it is."""

    @property
    def delimiter(self) -> str:
        """One character, or `auto`."""

    @property
    def quoting(self) -> str:
        """`double`: fields may stand in quotes; `none`; `auto`: not where tabs delimit."""

    @property
    def quote(self) -> str:
        """The character around quoted fields."""

    @property
    def header(self) -> tuple[str, ...] | None:
        """Names of the columns, "" for one without; None: the first line has them."""

    @property
    def skipped_lines(self) -> int:
        """Lines before the first row, where `header` is given."""


class TextRow(NamedTuple):
    """One row: `line` (from 1) and byte `offset` of its start, and its fields.

    A row that cannot be used has a `reason` and a `detail` instead of fields. Undecodable bytes
    stand in the fields as lone surrogates.
    """

    line: int
    offset: int
    fields: list[str]
    reason: RejectReason | None = None
    detail: str = ""


class _Lines:
    """Physical lines as text, with the place in the file; what a csv reader is fed from."""

    def __init__(self, file: BinaryIO, encoding: str, offset: int, line: int) -> None:
        self._file = file
        self._encoding = encoding
        self.move(offset, line)

    def move(self, offset: int, line: int) -> None:
        """Go on at `offset`, which begins line `line`."""
        self._file.seek(offset)
        self.offset, self.line = offset, line
        self.begin_row()

    def begin_row(self) -> None:
        """Count lines from here."""
        self.taken = 0
        self.after_first = self.offset

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline()
        if not raw:
            raise StopIteration
        self.offset += len(raw)
        self.line += 1
        self.taken += 1
        if self.taken == 1:
            self.after_first = self.offset
        # Undecodable bytes cost their row, not the file.
        return raw.decode(self._encoding, errors="surrogateescape")


class TextTable:
    """A delimited text file, with a header line or with names of columns from elsewhere.

    Blank lines are no rows. Lines end in LF or CR LF.
    """

    def __init__(self, settings: TextLayout) -> None:
        """Read the header. Raises PlanError where there is none, or it names a column twice."""
        self._path = settings.table
        self._encoding = settings.encoding
        self._data_offset = 0
        first = self._first_bytes()
        if first.startswith(_UTF16_MARKS):
            raise PlanError(self._path, "is UTF-16; save it as UTF-8", 1)
        start = len(_UTF8_MARK) if first.startswith(_UTF8_MARK) else 0
        self._choose_dialect(first[start:], settings)
        self._quote = settings.quote
        if settings.header is None:
            self.columns = self._read_header(start)
        else:
            self.columns = settings.header
            self._skip_lines(start, settings.skipped_lines)

    def rows(self, *, offset: int | None = None, line: int | None = None) -> Iterator[TextRow]:
        """All rows from `offset`, which begins line `line`; by default from the first row."""
        with open_bytes(self._path) as file:
            if offset is None or line is None:
                offset, line = self._data_offset, self._data_line
            yield from self._rows(_Lines(file, self._encoding, offset, line), len(self.columns))

    def _first_bytes(self) -> bytes:
        try:
            with open_bytes(self._path) as file:
                return file.readline(1 << 20)
        except OSError as error:
            raise PlanError(self._path, f"cannot be read: {error.strerror}") from error

    def _choose_dialect(self, header: bytes, settings: TextLayout) -> None:
        self._delimiter = settings.delimiter
        if settings.delimiter == "auto":
            text = header.decode(self._encoding, errors="replace")
            self._delimiter = max(_DELIMITERS, key=text.count)
        unquoted = settings.quoting == "none" or (
            settings.quoting == "auto" and self._delimiter == "\t"
        )
        self._unquoted = unquoted

    @property
    def delimiter(self) -> str:
        """The character between columns."""
        return self._delimiter

    @property
    def unquoted(self) -> bool:
        """Whether a double quote is a character like any other."""
        return self._unquoted

    @property
    def data(self) -> tuple[int, int]:
        """Byte offset and line at which the rows begin."""
        return self._data_offset, self._data_line

    @property
    def quote(self) -> str:
        """The character around quoted fields, which means nothing where `unquoted`."""
        return self._quote

    def _skip_lines(self, start: int, count: int) -> None:
        with open_bytes(self._path) as file:
            file.seek(start)
            skipped = sum(len(file.readline()) for _ in range(count))
        self._data_offset, self._data_line = start + skipped, 1 + count

    def _read_header(self, start: int) -> tuple[str, ...]:
        with open_bytes(self._path) as file:
            lines = _Lines(file, self._encoding, start, 1)
            header = next(self._rows(lines, None), None)
            self._data_offset, self._data_line = lines.offset, lines.line
        if header is None:
            raise PlanError(self._path, "is empty: it needs a header line", 1)
        if header.reason is not None:
            raise PlanError(self._path, f"its header cannot be read: {header.detail}", header.line)
        names = tuple(name.strip() for name in header.fields)
        for name in names:
            if name and names.count(name) > 1:
                raise PlanError(self._path, f"its header names column {name!r} twice", header.line)
        return names

    def _reader(self, lines: _Lines) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self._delimiter,
            quotechar=self._quote,
            quoting=csv.QUOTE_NONE if self._unquoted else csv.QUOTE_MINIMAL,
            strict=True,
        )

    def _rows(self, lines: _Lines, width: int | None) -> Iterator[TextRow]:
        reader = self._reader(lines)
        while True:
            line, offset = lines.line, lines.offset
            lines.begin_row()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields, problem = [], f"not readable as a row: {error}"
            else:
                problem = _width_problem(fields, width)
                if not fields:
                    continue
            if not problem:
                yield TextRow(line, offset, fields)
                continue
            if lines.taken > 1:
                problem = f"{problem} (a quote opened here stays open over {lines.taken} lines)"
            # One line is refused; those that its quote swallowed are read again on their own.
            lines.move(lines.after_first, line + 1)
            reader = self._reader(lines)
            yield TextRow(line, offset, [], RejectReason.RAGGED_ROW, problem)


def _width_problem(fields: list[str], width: int | None) -> str:
    if width is None or len(fields) == width:
        return ""
    return f"{len(fields)} fields where the header has {width}"
