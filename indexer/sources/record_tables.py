"""Tables of Darwin Core records without pictures: text, alone or in a zip, or Parquet.

Works on whole columns of a part. One row is one record. Parts may be read in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import pyarrow as pa

from atlas.errors import PlanError
from indexer.darwin_core import TERMS, with_cells
from indexer.plan_sections import RecordsSection
from indexer.sources.columns import Columns
from indexer.sources.completion import completed
from indexer.sources.darwin_columns import records_of
from indexer.sources.header import check_constant, columns_by_name
from indexer.sources.input_file import check_unchanged, stamp_of
from indexer.sources.source import (
    FileRun,
    ReadPart,
    SourcePart,
    WithoutPictures,
    defaults_of,
    parts_of,
)
from indexer.sources.table_runs import TableReader, reader_of, refused_rows

# A part of so many rows takes half a second, and some 200 MB.
PART_ROWS = 65_536


class RecordTable(WithoutPictures):
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
        starts = self._reader.starts(self._part_rows)
        runs = (FileRun(self._settings.path, start, stamp) for start in starts)
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        check_unchanged(part.file, part.stamp)
        run = self._reader.read(part.start, self._columns())
        defaults = defaults_of(self._settings, part.file)
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

    @cached_property
    def _reader(self) -> TableReader:
        return reader_of(self._settings)

    def _columns(self) -> dict[str, str]:
        """The file's column for each name that the atlas reads; PlanError where it has none."""
        wanted = {name: name for name in (*TERMS, *self._ranks)}
        check_constant(self._settings.path, self._settings.constant, wanted)
        found = columns_by_name(
            self._settings.path, self._reader.header, wanted, self._settings.columns
        )
        if not found:
            raise PlanError(self._settings.path, "has no column that the atlas reads", 1)
        return found
