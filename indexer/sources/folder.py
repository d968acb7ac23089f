"""A folder of images with a CSV or Parquet table of Darwin Core columns.

Reads rows and image files, never outside its folder. Parts may be read in any process; pictures
may be read from any thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from atlas.errors import PictureError, PlanError
from indexer.darwin_core import TERMS, record_of, with_cells
from indexer.plan_sections import FolderSection
from indexer.records import Reject, RejectReason, records_table, rejects_table
from indexer.sources.header import columns_by_name
from indexer.sources.input_file import check_unchanged, stamp_of
from indexer.sources.parquet_table import as_text, column_names, read_rows, row_group_sizes
from indexer.sources.source import FileRun, ReadPart, SourcePart, Start, defaults_of, parts_of
from indexer.sources.text_table import TextTable

_FILE = "file"
_MEDIA_LICENCE = "mediaLicense"
_STAGE = "read"


class InputRow(NamedTuple):
    """A row as its file gives it: text by the atlas's names, or why it cannot be used."""

    number: int
    values: dict[str, str]
    reason: RejectReason | None = None
    detail: str = ""


class FolderSource:
    """The rows of `settings.records`, whose pictures lie in `settings.path`."""

    def __init__(
        self,
        settings: FolderSection,
        *,
        ranks: Sequence[str],
        resolution: int,
        part_rows: int,
        max_file_bytes: int,
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells."""
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows
        self._max_file_bytes = max_file_bytes
        self._is_parquet = settings.records.suffix.lower() in {".parquet", ".pq"}

    @property
    def settings(self) -> FolderSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Runs of `part_rows` rows; a text table is read through once to find where they begin.

        Raises PlanError where the table or the folder is missing or a needed column is.
        """
        if not self._settings.path.is_dir():
            raise PlanError(self._settings.path, "is not a folder of images")
        stamp = stamp_of(self._settings.records)
        starts = self._parquet_starts() if self._is_parquet else self._text_starts()
        runs = (FileRun(self._settings.records, start, stamp) for start in starts)
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        check_unchanged(part.file, part.stamp)
        defaults = defaults_of(self._settings, part.file)
        records: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        rows_in = 0
        for row in self._parquet_rows(part) if self._is_parquet else self._text_rows(part):
            rows_in += 1
            checked = _checked(row)
            if checked.reason is not None:
                rejects.append(self._reject(part, checked))
                continue
            media_ref = checked.values.pop(_FILE)
            records.append(
                record_of(
                    checked.values,
                    media_ref=media_ref,
                    row=row.number,
                    ranks=self._ranks,
                    defaults=defaults,
                )
            )
        table = with_cells(records_table(records), self._resolution)
        return ReadPart(table, rejects_table(rejects), rows_in)

    def picture(self, media_ref: str) -> bytes:
        """The bytes of an image file of the folder.

        Raises PictureError `path_outside_folder` (a link that leads out), `file_missing`, or
        `image_too_large`.
        """
        path = self._settings.path / media_ref
        try:
            resolved = path.resolve(strict=True)
            if not resolved.is_relative_to(self._settings.path.resolve()):
                raise PictureError(
                    RejectReason.PATH_OUTSIDE_FOLDER, f"{media_ref} leads out of the folder"
                )
            if not resolved.is_file():
                raise PictureError(RejectReason.FILE_MISSING, f"{media_ref} is not a file")
            size_bytes = resolved.stat().st_size
            if size_bytes > self._max_file_bytes:
                raise PictureError(
                    RejectReason.IMAGE_TOO_LARGE,
                    f"{media_ref} has {size_bytes} bytes; the plan allows {self._max_file_bytes}",
                )
            return resolved.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            # ValueError: a NUL in the name; RuntimeError: links in a circle (before Python 3.13).
            # Not the error's own text, which names folders of this machine.
            problem = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise PictureError(RejectReason.FILE_MISSING, f"{media_ref}: {problem}") from error

    def picture_stamp(self, media_ref: str) -> str:
        """Size and time of an image file, "" where it is missing."""
        try:
            state = (self._settings.path / media_ref).stat()
        except (OSError, ValueError):
            return ""
        return f"{state.st_size}:{state.st_mtime_ns}"

    def _reject(self, part: SourcePart, row: InputRow) -> Reject:
        return Reject(
            source_key=self._settings.key,
            part=part.name,
            row=row.number,
            occurrence_id=_sound(row.values.get("occurrenceID", "")),
            media_ref=_sound(row.values.get(_FILE, "")),
            stage=_STAGE,
            reason=str(row.reason),
            detail=f"{self._settings.records.name}:{row.number}: {row.detail}",
        )

    def _columns(self, header: Sequence[str]) -> dict[str, str]:
        """The file's column for each name that the atlas reads.

        Raises PlanError where a column that the plan names, or the file column, is not there.
        """
        wanted = {name: name for name in (*TERMS, *self._ranks)}
        wanted |= {_FILE: self._settings.file_column}
        wanted |= {_MEDIA_LICENCE: self._settings.media_licence_column}
        return columns_by_name(
            self._settings.records, header, wanted, self._settings.columns, [_FILE]
        )

    def _text_starts(self) -> Iterator[Start]:
        table = TextTable(self._settings)
        self._columns(table.columns)
        rows = table.rows()
        for first_row in itertools.count(0, self._part_rows):
            run = list(itertools.islice(rows, self._part_rows))
            if not run:
                return
            yield Start(first_row, len(run), run[0].offset, run[0].line)

    def _text_rows(self, part: SourcePart) -> Iterator[InputRow]:
        table = TextTable(self._settings)
        columns = self._columns(table.columns)
        places = {name: table.columns.index(column) for name, column in columns.items()}
        rows = table.rows(offset=part.offset, line=part.first_line)
        for row in itertools.islice(rows, part.rows):
            values = {} if row.reason else {name: row.fields[at] for name, at in places.items()}
            yield InputRow(row.line, values, row.reason, row.detail)

    def _parquet_starts(self) -> Iterator[Start]:
        self._columns(column_names(self._settings.records))
        total = sum(row_group_sizes(self._settings.records))
        for first_row in range(0, total, self._part_rows):
            yield Start(first_row, min(self._part_rows, total - first_row))

    def _parquet_rows(self, part: SourcePart) -> Iterator[InputRow]:
        columns = self._columns(column_names(part.file))
        table = read_rows(
            part.file,
            first_row=part.first_row,
            rows=part.rows,
            columns=sorted(set(columns.values())),
        )
        texts = {name: as_text(table[column]) for name, column in columns.items()}
        for at in range(table.num_rows):
            values = {name: column[at] for name, column in texts.items()}
            yield InputRow(part.first_row + at + 1, values)


def _checked(row: InputRow) -> InputRow:
    """The row with its file's path made plain, or with the reason to refuse it."""
    if row.reason is not None:
        return row
    if any(_sound(text) is None for text in row.values.values() if text):
        detail = "holds bytes that are not in the file's encoding; declare it in the plan"
        return row._replace(reason=RejectReason.TEXT_UNDECODABLE, detail=detail)
    name = row.values[_FILE].strip()
    if not name:
        return row._replace(reason=RejectReason.NO_FILE_NAMED, detail="names no image file")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        return row._replace(
            reason=RejectReason.PATH_OUTSIDE_FOLDER, detail=f"{name!r} is not inside the folder"
        )
    values: Mapping[str, str] = {**row.values, _FILE: str(path)}
    return row._replace(values=dict(values))


def _sound(text: str) -> str | None:
    """The text, or None where it is empty or holds undecodable bytes."""
    if not text or not (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)):
        return None
    return text
