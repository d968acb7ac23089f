"""Tables of Darwin Core records without pictures: text, alone or in a zip, or Parquet.

Works on whole columns of a part. One row is one record. Parts may be read in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import pyarrow as pa

from atlas.errors import PictureError, PlanError
from atlas.species.taxa import canonical_name
from indexer.darwin_core import TERMS, Defaults, clean_name, with_cells
from indexer.plan_sections import RecordsSection
from indexer.records import REJECT_SCHEMA, RejectReason
from indexer.sources.darwin_columns import Columns, records_of
from indexer.sources.header import columns_by_name
from indexer.sources.input_file import check_unchanged, stamp_of, unpacked_name, written_on
from indexer.sources.source import ReadPart, SourcePart, part_name
from indexer.sources.table_runs import ParquetReader, RefusedRow, Start, TableReader, TextReader
from indexer.sources.text_columns import filled, tidied

# A part of so many rows takes half a second, and some 200 MB.
PART_ROWS = 65_536


class RecordTable:
    """The rows of `settings.path`."""

    def __init__(
        self, settings: RecordsSection, *, ranks: Sequence[str], resolution: int, part_rows: int
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells."""
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows

    @property
    def settings(self) -> RecordsSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Runs of rows; a text table is read through once to find where they begin.

        Raises PlanError where the table is missing, or a column that the plan names is.
        """
        stamp = stamp_of(self._settings.path)
        self._columns()
        return [
            SourcePart(
                source_key=self._settings.key,
                name=part_name(self._settings.key, number),
                number=number,
                file=self._settings.path,
                first_row=start.first_row,
                rows=start.rows,
                offset=start.offset,
                first_line=start.line,
                stamp=stamp,
            )
            for number, start in enumerate(self._reader.starts(self._part_rows))
        ]

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        check_unchanged(part.file, part.stamp)
        start = Start(part.first_row, part.rows, part.offset, part.first_line)
        run = self._reader.read(start, self._columns())
        defaults = Defaults(
            source_key=self._settings.key,
            licence=self._settings.licence,
            media_licence="",
            as_of=self._settings.as_of or written_on(part.file),
        )
        columns = Columns(
            completed(
                run.columns,
                len(run.row),
                constant=self._settings.constant,
                genus_from_name=self._settings.genus_from_name and "genus" in self._ranks,
            ),
            len(run.row),
        )
        records = records_of(columns, pa.array(run.row, pa.int64()), self._ranks, defaults)
        return ReadPart(
            with_cells(records, self._resolution),
            refused_rows(part, part.file.name, run.refused),
            len(run.row) + len(run.refused),
        )

    def picture(self, media_ref: str) -> bytes:
        """Always raises PictureError: these records come without pictures."""
        raise PictureError(
            RejectReason.FILE_MISSING, f"{self._settings.key} has no pictures ({media_ref})"
        )

    def picture_stamp(self, media_ref: str) -> str:
        """Always "": there are no pictures, not even of `media_ref`."""
        del media_ref
        return ""

    @cached_property
    def _reader(self) -> TableReader:
        name = unpacked_name(self._settings.path)
        if not name.lower().endswith((".parquet", ".pq")):
            return TextReader(self._settings)
        if name != self._settings.path.name:
            raise PlanError(self._settings.path, "a zip may hold a text table only; unpack it")
        return ParquetReader(self._settings.path)

    def _columns(self) -> dict[str, str]:
        """The file's column for each name that the atlas reads; PlanError where it has none."""
        wanted = {name: name for name in (*TERMS, *self._ranks)}
        unknown = sorted(set(self._settings.constant) - set(wanted))
        if unknown:
            raise PlanError(
                self._settings.path, f"`constant` sets {unknown[0]!r}, which the atlas never reads"
            )
        found = columns_by_name(
            self._settings.path, self._reader.header, wanted, self._settings.columns
        )
        if not found:
            raise PlanError(self._settings.path, "has no column that the atlas reads", 1)
        return found


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


def completed(
    given: Mapping[str, pa.Array], rows: int, *, constant: Mapping[str, str], genus_from_name: bool
) -> dict[str, pa.Array]:
    """The columns with constants, and the genus of binomials, where they are empty."""
    columns = dict(given)
    for name, text in constant.items():
        columns[name] = filled(columns.get(name), pa.scalar(text, pa.string()), rows)
    if genus_from_name:
        names = Columns(columns, rows).text("scientificName", is_name=True)
        columns["genus"] = filled(columns.get("genus"), tidied(names, genus_of), rows)
    return columns


def genus_of(scientific_name: str) -> str:
    """The genus of a binomial or longer name, "" for any other ("Canis cf. lupus" included)."""
    words = canonical_name(clean_name(scientific_name)).split()
    if len(words) < 2 or not words[0][:1].isupper() or not words[0].isalpha():
        return ""
    plain = all(word.replace("-", "").isalpha() and word.islower() for word in words[1:2])
    return words[0] if plain else ""
