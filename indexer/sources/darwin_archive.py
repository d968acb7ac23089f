"""Darwin Core Archives and downloads of GBIF: occurrences with the photos that they list.

Works on whole columns of a part. One photo is one row; see `DwcaSection` for what else is. Parts
may be read in any process; pictures may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from indexer.darwin_core import TERMS, Defaults, with_cells
from indexer.plan_sections import DwcaSection
from indexer.records import RejectReason, image_ids_of
from indexer.sources.archive import Archive, open_archive
from indexer.sources.archived_media import Media, MediaTable, joined, read_ids
from indexer.sources.citations import citation_of
from indexer.sources.columns import Columns
from indexer.sources.completion import completed
from indexer.sources.darwin_columns import licence_codes, records_of, with_columns
from indexer.sources.header import check_constant, columns_by_name
from indexer.sources.input_file import changed, stamp_of
from indexer.sources.media_blocks import MediaBlocks, Places
from indexer.sources.media_files import MediaFiles
from indexer.sources.source import FileRun, ReadPart, SourcePart, Start, defaults_of, parts_of
from indexer.sources.table_runs import RefusedRow, Run, TextReader, refused_rows
from indexer.sources.text_columns import Passing, distinct, filled, or_null

_ADDRESS = r"^[A-Za-z][A-Za-z0-9+.-]*:"


class _Rows(NamedTuple):
    """The rows that a part makes: for each its occurrence, and its medium or -1.

    `refused_media` are by the number of their table.
    """

    occurrence: Places
    medium: Places
    refused: list[RefusedRow]
    refused_media: dict[int, list[RefusedRow]]


class DwcaSource:
    """The rows of `settings.path`."""

    def __init__(
        self,
        settings: DwcaSection,
        *,
        ranks: Sequence[str],
        resolution: int,
        part_rows: int,
        with_pictures: bool,
        max_file_bytes: int,
    ) -> None:
        """Nothing is opened yet. `resolution` is that of the finest cells.

        `with_pictures`: every row needs a picture, which is read; else rows keep addresses only.
        """
        self._settings = settings
        self._ranks = tuple(ranks)
        self._resolution = resolution
        self._part_rows = part_rows
        self._with_pictures = with_pictures
        folder = settings.path if settings.path.is_dir() else settings.path.parent
        self._files = MediaFiles(settings.media_folder or folder, settings.mirrors, max_file_bytes)

    @property
    def settings(self) -> DwcaSection:
        """The plan's entry; after `parts`, with the citation that the archive asks for."""
        return self._settings

    def parts(self) -> list[SourcePart]:
        """Runs of occurrences, each with the blocks of media that show them.

        All tables are read through once. Media of no occurrence make a part of their own, of which
        every row is refused. Raises PlanError where the archive cannot be used.
        """
        stamp = self._stamp()
        self._columns()
        if not self._settings.citation:
            citation = citation_of(self._settings.path, self._archive)
            self._settings = msgspec.structs.replace(self._settings, citation=citation)
        starts = list(self._reader.starts(self._part_rows))
        blocks, strays = self._media.of_runs(starts)
        runs = [
            FileRun(self._archive.core.table, start, stamp, tuple(blocks[number]))
            for number, start in enumerate(starts)
        ]
        runs += [
            FileRun(self._archive.media[number].table, Start(0, rows), stamp, lost)
            for number, (rows, lost) in strays.items()
        ]
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; see `Source.read`."""
        if self._stamp() != part.stamp:
            raise changed(self._settings.path)
        if part.file != self._archive.core.table:
            return self._read_strays(part)
        run = self._reader.read(part.start, self._columns())
        ids = self._ids_of(run)
        media, of = joined(list(self._media.media(part.joined)), ids)
        rows = self._rows(run, media, of)
        records = self._records(run, ids, media, rows)
        refused = [
            refused_rows(part, part.file.name, [*run.refused, *rows.refused]),
            *(
                refused_rows(part, self._archive.media[number].table.name, some)
                for number, some in sorted(rows.refused_media.items())
            ),
        ]
        rejects = pa.concat_tables(refused)
        return ReadPart(records, rejects, records.num_rows + rejects.num_rows)

    def picture(self, media_ref: str) -> bytes:
        """The bytes of a picture; see `MediaFiles.read`."""
        return self._files.read(media_ref)

    def picture_stamp(self, media_ref: str) -> str:
        """The state of a picture; see `MediaFiles.stamp`."""
        return self._files.stamp(media_ref)

    @cached_property
    def _archive(self) -> Archive:
        return open_archive(self._settings.path, self._settings.encoding)

    @cached_property
    def _reader(self) -> TextReader:
        return TextReader(self._archive.core)

    @cached_property
    def _media(self) -> MediaBlocks:
        core, media = self._archive.core, self._archive.media
        for table in (core, *media) if media else ():
            if not table.joining:
                raise PlanError(table.table, "has no column that joins occurrences and media")
        tables = [MediaTable(table, number) for number, table in enumerate(media)]
        return MediaBlocks(self._reader, core.joining, tables)

    def _stamp(self) -> str:
        tables = (self._archive.core, *self._archive.media)
        return " ".join(stamp_of(table.table) for table in tables)

    def _columns(self) -> dict[str, str]:
        """The file's column for each name that the atlas reads; PlanError where it has none."""
        core = self._archive.core
        wanted = {name: name for name in (*TERMS, *self._ranks)}
        check_constant(self._settings.path, self._settings.constant, wanted)
        found = columns_by_name(core.table, core.columns, wanted, self._settings.columns)
        if not found and not core.constant:
            raise PlanError(core.table, "has no column that the atlas reads", 1)
        return found | ({"id": core.joining} if core.joining else {})

    def _ids_of(self, run: Run) -> pa.Array:
        if "id" in run.columns:
            return read_ids(run)
        return pa.repeat(pa.scalar("", pa.string()), len(run.row))

    def _read_strays(self, part: SourcePart) -> ReadPart:
        """Refuse the media that show no occurrence, and those that cannot be read."""
        starts = list(self._reader.starts(self._part_rows))
        refused = self._media.strays(starts, part.joined)
        rejects = refused_rows(part, part.file.name, refused)
        nothing = Run(np.empty(0, np.int64), {}, [])
        media, of = joined([], pa.array([], pa.string()))
        rows = self._rows(nothing, media, of)
        records = self._records(nothing, pa.array([], pa.string()), media, rows)
        return ReadPart(records, rejects, rejects.num_rows)

    def _rows(self, run: Run, media: Media, of: Places) -> _Rows:
        """Which rows the occurrences and media of a part make."""
        usable, refused_media = self._usable(media)
        with_media = np.bincount(of, minlength=len(run.row)) > 0
        with_row = np.bincount(of[usable], minlength=len(run.row)) > 0
        refused: list[RefusedRow] = []
        bare = np.flatnonzero(~with_row)
        if self._with_pictures:
            refused = [
                RefusedRow(int(line), RejectReason.NO_FILE_NAMED, "has no photo")
                for line in run.row[~with_media]
            ]
            bare = bare[:0]
        occurrence = np.concatenate([of[usable], bare])
        medium = np.concatenate([np.flatnonzero(usable), np.full(len(bare), -1)])
        order = np.argsort(occurrence, kind="stable")
        return _Rows(occurrence[order], medium[order], refused, refused_media)

    def _usable(self, media: Media) -> tuple[Passing, dict[int, list[RefusedRow]]]:
        """Which media can be rows, and why the others cannot, by the number of their table."""
        addresses = media.texts["address"]
        pictures = media.pictures()
        found = distinct(addresses)
        problems = [self._problem(address) for address in found.values]
        problem_of = found.at.to_pylist()
        refused: dict[int, list[RefusedRow]] = {}
        usable = pictures.copy()
        for at, which in enumerate(problem_of):
            problem = problems[which]
            if not pictures[at]:
                kind = media.texts["format"][at].as_py() or media.texts["type"][at].as_py()
                problem = (RejectReason.NOT_AN_IMAGE, f"is {kind}, no picture")
            if problem is not None:
                usable[at] = False
                row = RefusedRow(int(media.line[at]), *problem)
                refused.setdefault(int(media.table[at]), []).append(row)
        return usable, refused

    def _problem(self, address: str) -> tuple[RejectReason, str] | None:
        if self._with_pictures or not address:
            return self._files.problem(address)
        return None

    def _records(self, run: Run, ids: pa.Array, media: Media, rows: _Rows) -> pa.Table:
        """The records of rows: what the occurrence says, and of its photo what the medium says."""
        taken = pa.array(rows.occurrence)
        given = {name: column.take(taken) for name, column in run.columns.items() if name != "id"}
        ids = ids.take(taken)
        of = {name: _or_empty(text, rows.medium) for name, text in media.texts.items()}
        count = len(rows.occurrence)
        given["occurrenceID"] = filled(given.get("occurrenceID"), ids, count)
        given["mediaURL"] = pc.if_else(
            pc.match_substring_regex(of["address"], _ADDRESS), of["address"], ""
        )
        for name, term in (("references", "references"), ("rights_holder", "rightsHolder")):
            stated = given.get(term)
            given[term] = of[name] if stated is None else filled(of[name], stated, count)
        constant = {**self._archive.core.constant, **self._settings.constant}
        known = {name: text for name, text in constant.items() if name in (*TERMS, *self._ranks)}
        columns = completed(
            given,
            count,
            constant=known,
            genus_from_name=self._settings.genus_from_name and "genus" in self._ranks,
        )
        records = records_of(
            Columns(columns, count), pa.array(run.row[rows.occurrence]), self._ranks, self._defaults
        )
        return with_cells(self._with_media(records, ids, of, rows.medium >= 0), self._resolution)

    def _with_media(
        self,
        records: pa.Table,
        ids: pa.Array,
        media: Mapping[str, pa.Array],
        has_medium: Passing,
    ) -> pa.Table:
        """The records with what is known of the photo, and ids that differ by it."""
        codes, recognised = licence_codes(media["licence"], self._settings.media_licence)
        unknown = np.where(has_medium & ~recognised, np.int32(Flag.MEDIA_LICENCE_UNKNOWN), 0)
        own = filled(ids, records["occurrence_id"].combine_chunks(), records.num_rows)
        address = media["address"]
        of_photos = {
            "image_id": image_ids_of(self._settings.key, own, address),
            "media_licence": pc.if_else(pa.array(has_medium), codes, pa.scalar(None, pa.string())),
            "flags": pa.array((records["flags"].to_numpy() | unknown).astype(np.int32)),
        }
        if self._with_pictures:
            of_photos["media_ref"] = or_null(address)
        return with_columns(records, of_photos)

    @property
    def _defaults(self) -> Defaults:
        return defaults_of(self._settings, self._archive.core.table)


def _or_empty(text: pa.Array, at: Places) -> pa.Array:
    """The text at each place, "" at -1."""
    return text.take(pa.array(at, mask=at < 0)).fill_null("")
