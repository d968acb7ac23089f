"""TreeOfLife-200M: a catalog of pictures whose files lie in shards.

Works on whole columns of a part. One picture is one row. Parts may be read in any process once
`parts` has joined catalog and shards; pictures may be read from any thread.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.files import atomic_write
from atlas.errors import PictureError, PlanError
from indexer.darwin_core import Defaults, with_cells
from indexer.plan_sections import TreeOfLifeSection
from indexer.records import RejectReason
from indexer.sources.input_file import changed, stamp_of
from indexer.sources.parquet_shard import ParquetPictures
from indexer.sources.parquet_table import read_rows, row_group_sizes, runs_of_row_groups
from indexer.sources.shard_catalog import (
    CATALOG_COLUMNS,
    PROVENANCE_COLUMNS,
    TextColumns,
    columns_of,
    join_catalog,
)
from indexer.sources.shard_files import ShardFile, ShardFiles
from indexer.sources.shard_index import index_shards
from indexer.sources.shard_records import records_of_pictures
from indexer.sources.source import FileRun, ReadPart, SourcePart, Start, defaults_of, parts_of
from indexer.sources.table_runs import RefusedRow, refused_rows
from indexer.sources.text_columns import Passing, passing_of
from indexer.written import taken_over

# Raised by hand when a change of the code joins the same files to other rows.
_VERSION = 1
_ID = "uuid"
# Where a picture lies: `SHARD@BYTE+LENGTH` in a tar, `SHARD@ROW` in a table.
_REFERENCE = re.compile(r"(?P<shard>.+)@(?P<at>\d+)(?:\+(?P<size>\d+))?")


class TreeOfLifeSource:
    """The pictures of `settings.catalog` and its shards."""

    def __init__(
        self,
        settings: TreeOfLifeSection,
        *,
        ranks: Sequence[str],
        resolution: int,
        part_rows: int,
        with_pictures: bool,
        max_file_bytes: int,
        scratch: Path,
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells.

        `with_pictures`: every row needs a picture of the shards; else they are not opened, and rows
        keep addresses only. `scratch` is a folder of this source alone.
        """
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows
        self._with_pictures = with_pictures
        self._max_file_bytes = max_file_bytes
        self._scratch = scratch
        self._files = ShardFiles(settings.shards or str(settings.catalog.with_name("shards")))
        self._tables = ParquetPictures(self._files, settings.image_column)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process needs: the list of the shards may be long, and lies on disk."""
        return {name: value for name, value in self.__dict__.items() if name not in _LOOKED_UP}

    @property
    def settings(self) -> TreeOfLifeSection:
        """The plan's entry."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Indexes the shards, joins them with the catalog, and cuts the outcome into runs.

        Raises PlanError where the catalog cannot be used, or a shard is damaged: with its name and
        the byte or row.
        """
        joined = self._joined()
        runs = runs_of_row_groups(
            row_group_sizes(joined), least=self._part_rows, most=self._part_rows
        )
        return parts_of(
            self._settings.key,
            (FileRun(joined, Start(*start), stamp=joined.stem) for start in runs),
        )

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        shards = [ShardFile(name, stamp) for name, stamp in self._stamps.items()]
        if self._state(shards) != part.stamp:
            raise changed(self._settings.catalog)
        names = pq.read_schema(part.file).names
        table = read_rows(part.file, first_row=part.first_row, rows=part.rows, columns=names)
        passing, refused = self._checked(table)
        records = records_of_pictures(
            table.filter(pa.array(passing)), self._ranks, self._defaults, self._with_pictures
        )
        records = with_cells(records, self._resolution)
        rejects = refused_rows(part, self._settings.catalog.name, refused)
        return ReadPart(records, rejects, table.num_rows)

    def picture(self, media_ref: str) -> bytes:
        """The bytes of a picture, or its pixels as a BMP.

        Raises PictureError, and BuildError where its shard is no longer as it was indexed.
        """
        shard, at, size_bytes = _place_of(media_ref)
        if shard not in self._stamps:
            raise PictureError(RejectReason.FILE_MISSING, f"{media_ref}: there is no such shard")
        self._check_unchanged(shard)
        if size_bytes is not None and size_bytes > self._max_file_bytes:
            raise self._too_large(media_ref, size_bytes)
        if size_bytes is None:
            data = self._tables.picture(shard, at)
        else:
            data = self._files.read(shard, at, size_bytes)
            if len(data) != size_bytes:
                raise PictureError(
                    RejectReason.IMAGE_DAMAGED, f"{media_ref}: the shard ends before"
                )
        if len(data) > self._max_file_bytes:
            raise self._too_large(media_ref, len(data))
        return data

    def picture_stamp(self, media_ref: str) -> str:
        """The place of a picture with the state of its shard, "" where that is missing."""
        try:
            shard, _, _ = _place_of(media_ref)
        except PictureError:
            return ""
        stamp = self._stamps.get(shard, "")
        return f"{media_ref} {stamp}" if stamp else ""

    def _too_large(self, media_ref: str, size_bytes: int) -> PictureError:
        detail = f"{media_ref} has {size_bytes} bytes; the plan allows {self._max_file_bytes}"
        return PictureError(RejectReason.IMAGE_TOO_LARGE, detail)

    def _check_unchanged(self, shard: str) -> None:
        """Once a process for shards elsewhere, where asking takes as long as reading."""
        if shard in self._seen and not self._files.is_local:
            return
        if not self._files.is_unchanged(ShardFile(shard, self._stamps[shard])):
            raise changed(self._files.path_of(shard), "embed")
        self._seen.add(shard)

    @cached_property
    def _seen(self) -> set[str]:
        return set()

    @cached_property
    def _stamps(self) -> dict[str, str]:
        """The shards as they were indexed, by name."""
        if not self._with_pictures:
            return {}
        found: dict[str, str] = json.loads(self._listing.read_bytes())
        return found

    @property
    def _listing(self) -> Path:
        return self._scratch / "shards.json"

    @property
    def _provenance(self) -> Path | None:
        if self._settings.provenance is not None:
            return self._settings.provenance
        usual = self._settings.catalog.parent / "metadata" / "provenance.parquet"
        return usual if usual.is_file() else None

    def _state(self, shards: Sequence[ShardFile]) -> str:
        """What the joined table follows from."""
        tables = [self._settings.catalog, *filter(None, [self._provenance])]
        settings = self._settings
        state = repr(
            (
                _VERSION,
                [stamp_of(table) for table in tables],
                [tuple(shard) for shard in shards],
                self._ranks,
                sorted(settings.columns.items()),
                settings.rows,
                settings.image_column,
            )
        )
        return hashlib.sha256(state.encode()).hexdigest()[:16]

    def _joined(self) -> Path:
        catalog = TextColumns(self._settings.catalog, self._catalog_columns())
        provenance = None
        if self._provenance is not None:
            wanted = {_ID: (_ID,), **PROVENANCE_COLUMNS}
            renamed = {n: c for n, c in self._settings.columns.items() if n in PROVENANCE_COLUMNS}
            found = columns_of(self._provenance, wanted, renamed, [_ID])
            provenance = TextColumns(self._provenance, found)
        shards = self._files.listed() if self._with_pictures else []
        # Apart from the index, which takes far longer to make again.
        joined = self._scratch / "joined"
        path = joined / f"{self._state(shards)}.parquet"
        written = taken_over(joined)
        index = index_shards(
            self._files,
            shards,
            self._scratch / "index",
            id_column=_ID,
            image_column=self._settings.image_column,
        )
        listing = json.dumps({shard.name: shard.stamp for shard in shards}, sort_keys=True)
        atomic_write(self._listing, listing.encode())
        for name in _LOOKED_UP:
            self.__dict__.pop(name, None)
        if not written.is_whole(path):
            for older in joined.glob("*.parquet"):
                older.unlink()
            with written.noting():
                join_catalog(catalog, provenance, index, self._settings.rows, path, self._scratch)
        return path

    def _catalog_columns(self) -> dict[str, str]:
        file = self._settings.catalog
        ranks = {f"rank {rank}": (rank,) for rank in self._ranks}
        known = {*CATALOG_COLUMNS, *PROVENANCE_COLUMNS, *self._ranks}
        unknown = sorted(set(self._settings.columns) - known)
        if unknown:
            raise PlanError(file, f"`columns` maps {unknown[0]!r}, which the atlas never reads")
        renamed = {
            f"rank {name}" if name in self._ranks else name: column
            for name, column in self._settings.columns.items()
            if name not in PROVENANCE_COLUMNS
        }
        return columns_of(file, {**CATALOG_COLUMNS, **ranks}, renamed, [_ID])

    def _checked(self, table: pa.Table) -> tuple[Passing, list[RefusedRow]]:
        """Which rows can be records, and why the others cannot."""
        picture = table["size_bytes"].fill_null(-2).to_numpy()
        in_catalog = passing_of(table["row"].is_valid())
        identified = passing_of(table["id"].is_valid())
        passing = in_catalog & identified
        if self._with_pictures:
            passing &= picture >= 0
        columns = ("row", "uuid", "key", "shard", "name", "place", "again")
        refused = []
        for at in np.flatnonzero(~passing).tolist():
            row = {name: table[name][at].as_py() for name in columns}
            refused.append(_refusal(row, bool(identified[at]), int(picture[at])))
        return passing, refused

    @property
    def _defaults(self) -> Defaults:
        return defaults_of(self._settings, self._settings.catalog)


_LOOKED_UP = ("_stamps", "_seen")


def _refusal(row: dict[str, Any], identified: bool, picture: int) -> RefusedRow:
    """Why a row of the catalog, or a picture of a shard, is none of the atlas's."""
    number = row["row"] or row["place"] + 1
    where = "" if row["shard"] is None else f"{row['name']} of {row['shard']}"
    if not identified:
        written = row["uuid"] if row["row"] is not None else row["key"]
        return RefusedRow(
            number, RejectReason.ID_INVALID, f"{written!r} is no UUID {where}".strip()
        )
    if row["again"]:
        detail = f"{where} is one more picture of a UUID that has one"
        return RefusedRow(number, RejectReason.DUPLICATE_IMAGE_ID, detail)
    if row["row"] is None:
        return RefusedRow(number, RejectReason.NO_SUCH_RECORD, f"{where} is not in the catalog")
    if picture == -1:
        detail = f"its sample in {row['shard']} has no picture"
        return RefusedRow(number, RejectReason.FILE_MISSING, detail)
    return RefusedRow(
        number, RejectReason.MEDIA_NOT_AT_HAND, "its picture is in none of the shards"
    )


def _place_of(media_ref: str) -> tuple[str, int, int | None]:
    """Shard, byte and length; or shard and row. PictureError for what is no such place."""
    match = _REFERENCE.fullmatch(media_ref)
    if match is None:
        raise PictureError(RejectReason.FILE_MISSING, f"{media_ref!r} is no place in a shard")
    size = match["size"]
    return match["shard"], int(match["at"]), None if size is None else int(size)
