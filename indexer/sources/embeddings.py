"""Ready image vectors with taxonomy, in Parquet files as published with BioCLIP 2.

Has no pictures; place and date where the plan maps them. Works on whole columns of a part: vectors
are checked and made unit vectors, and texts are read once for each distinct value. Parts may be
read in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from indexer.darwin_core import clean, clean_name, with_cells
from indexer.plan_sections import EmbeddingsSection
from indexer.records import HYPHENATED, LOOSE_UUID, REJECT_SCHEMA, RejectReason
from indexer.sources.darwin_columns import licence_codes, lineages, record_table
from indexer.sources.day_columns import days_of_column
from indexer.sources.input_file import check_unchanged, stamp_of, written_on
from indexer.sources.parquet_table import (
    column_names,
    read_rows,
    row_group_sizes,
    runs_of_row_groups,
)
from indexer.sources.place_columns import or_unknown, places_of
from indexer.sources.ready_vectors import check_vector_column, likely_dim, unit_vectors
from indexer.sources.source import (
    FileRun,
    ReadPart,
    SourcePart,
    Start,
    WithoutPictures,
    parts_of,
)
from indexer.sources.text_columns import is_empty, or_null, text_of, tidied

# A row group has to be decoded whole, so parts follow row groups: small ones are put together,
# larger ones are cut only where a part's memory would pass some 200 MB at 768 dimensions.
_LEAST_PART_ROWS = 32_768
_MOST_PART_ROWS = 65_536

# Column by default for each field; fields without one are read only where the plan maps them.
_DEFAULT_COLUMNS = {
    "occurrence_id": "source_id",
    "scientific_name": "scientific_name",
    "common_name": "common_name",
    "media_url": "identifier",
    "basis_of_record": "basisOfRecord",
    "dataset_key": "",
    "observer": "",
    "licence": "",
    "media_licence": "",
    "rights_holder": "",
    "reference_url": "",
    "decimal_latitude": "",
    "decimal_longitude": "",
    "coordinate_uncertainty_m": "",
    "event_date": "",
}
_KEPT_TEXTS = (
    "observer",
    "basis_of_record",
    "dataset_key",
    "rights_holder",
    "reference_url",
    "media_url",
)


class EmbeddingsSource(WithoutPictures):
    """The rows of one or more Parquet files with a vector column."""

    def __init__(
        self,
        settings: EmbeddingsSection,
        *,
        ranks: Sequence[str],
        dim: int | None,
        resolution: int,
    ) -> None:
        """Nothing is opened yet. `dim` is the length of the vectors, None to take the files'.

        `resolution` is that of the finest cells.
        """
        self._settings = settings
        self._ranks = tuple(ranks)
        self._given_dim = dim
        self._resolution = resolution

    @property
    def settings(self) -> EmbeddingsSection:
        """The plan's entry."""
        return self._settings

    @cached_property
    def dim(self) -> int:
        """Length of the vectors: the plan's, the column type's, or that of most first rows."""
        if self._given_dim is not None:
            return self._given_dim
        return likely_dim(self._files()[0], self._settings.vector_column)

    def parts(self) -> list[SourcePart]:
        """Parts of each file in turn, along its row groups.

        Raises PlanError where no file matches, or one lacks a column or is no Parquet file.
        """
        runs: list[FileRun] = []
        for file in self._files():
            self._columns(file)
            stamp = stamp_of(file)
            starts = runs_of_row_groups(
                row_group_sizes(file), least=_LEAST_PART_ROWS, most=_MOST_PART_ROWS
            )
            runs += (FileRun(file, Start(*start), stamp) for start in starts)
        return parts_of(self._settings.key, runs)

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part, with the unit vectors of its records in float16; see `Source.read`."""
        check_unchanged(part.file, part.stamp)
        columns = self._columns(part.file)
        vector_column = self._settings.vector_column
        table = read_rows(
            part.file,
            first_row=part.first_row,
            rows=part.rows,
            columns=sorted({*columns.values(), vector_column}),
        )
        rows = table.num_rows
        vectors = unit_vectors(table[vector_column], self.dim)
        table = table.drop_columns([vector_column])
        written = pc.utf8_lower(
            pc.utf8_trim_whitespace(_text(part.file, table, columns["image_id"]))
        )
        valid = pc.match_substring_regex(written, LOOSE_UUID).to_numpy(zero_copy_only=False)
        ids = pc.replace_substring_regex(written, pattern=LOOSE_UUID, replacement=HYPHENATED)
        bad_id = (RejectReason.ID_INVALID, f"{self._settings.id_column} is not a UUID")
        problems = {**vectors.problems, **{int(at): bad_id for at in np.flatnonzero(~valid)}}
        good_vector = np.ones(rows, dtype=bool)
        good_vector[list(vectors.problems)] = False
        keep = good_vector & valid
        numbers = np.arange(part.first_row + 1, part.first_row + rows + 1)
        records = self._records(
            self._texts(part.file, table.filter(pa.array(keep)), columns),
            ids.filter(pa.array(keep)),
            numbers[keep],
            self._settings.as_of or written_on(part.file),
        )
        rejects = self._rejects(part, table, columns, dict(sorted(problems.items())))
        unit = vectors.unit if valid.all() else vectors.unit[valid[good_vector]]
        return ReadPart(records, rejects, rows, {self._settings.space: unit})

    def _files(self) -> list[Path]:
        path = self._settings.path
        if path.is_file():
            return [path]
        root = Path(path.anchor)
        found = sorted(root.glob(str(path.relative_to(root))))
        if not found:
            raise PlanError(path, "no such Parquet file")
        return found

    def _columns(self, file: Path) -> dict[str, str]:
        """The file's column for each field; PlanError where one that the plan names is missing."""
        header = column_names(file)
        wanted = {**_DEFAULT_COLUMNS, **{rank: rank for rank in self._ranks}}
        unknown = sorted(set(self._settings.columns) - set(wanted))
        if unknown:
            raise PlanError(file, f"`columns` maps {unknown[0]!r}, which the atlas never reads")
        wanted |= self._settings.columns
        named = [wanted[name] for name in self._settings.columns]
        for column in (self._settings.id_column, self._settings.vector_column, *named):
            if column not in header:
                raise PlanError(file, f"has no column {column!r}")
        check_vector_column(file, self._settings.vector_column)
        found = {name: column for name, column in wanted.items() if column in header}
        return {**found, "image_id": self._settings.id_column}

    def _texts(
        self, file: Path, table: pa.Table, columns: Mapping[str, str]
    ) -> dict[str, pa.Array]:
        """Cleaned text of every field, "" where empty; a missing rank column is an empty rank."""
        texts: dict[str, pa.Array] = {}
        for name in (*_DEFAULT_COLUMNS, *self._ranks):
            if name in columns:
                is_name = name == "scientific_name" or name in self._ranks
                raw = _text(file, table, columns[name])
                texts[name] = tidied(raw, clean_name if is_name else clean)
            else:
                texts[name] = pa.repeat(pa.scalar("", pa.string()), table.num_rows)
        return texts

    def _records(
        self,
        texts: Mapping[str, pa.Array],
        ids: pa.Array,
        numbers: npt.NDArray[np.int64],
        as_of: date,
    ) -> pa.Table:
        count = len(ids)
        ranks = [texts[rank] for rank in self._ranks]
        licences, _ = licence_codes(texts["licence"], self._settings.licence)
        media, known = licence_codes(texts["media_licence"], self._settings.media_licence)
        nameless = is_empty(pc.binary_join_element_wise(texts["scientific_name"], *ranks, ""))
        made_id = is_empty(texts["occurrence_id"])
        place = places_of(
            texts["decimal_latitude"],
            texts["decimal_longitude"],
            texts["coordinate_uncertainty_m"],
        )
        days = days_of_column(texts["event_date"], as_of)
        flags = place.flags | days.flags
        for wrong, flag in (
            (nameless, Flag.NAME_MISSING),
            (made_id, Flag.OCCURRENCE_ID_MADE),
            (~known, Flag.MEDIA_LICENCE_UNKNOWN),
        ):
            flags = flags | np.where(wrong, np.int32(flag), np.int32(0))
        columns = {
            "image_id": ids,
            "occurrence_id": pc.if_else(
                pa.array(made_id),
                pc.binary_join_element_wise("urn:uuid:", ids, ""),
                texts["occurrence_id"],
            ),
            "lineage": lineages(ranks, count),
            "latitude": or_unknown(place.latitude),
            "longitude": or_unknown(place.longitude),
            "uncertainty_m": or_unknown(place.uncertainty_m),
            "observed_from": days.first,
            "observed_to": days.last,
            "licence": licences,
            "media_licence": media,
            "flags": pa.array(flags, pa.int32()),
            "source_key": pa.repeat(pa.scalar(self._settings.key, pa.string()), count),
            "row": pa.array(numbers, pa.int64()),
        }
        for name in ("scientific_name", "common_name"):
            columns[name] = texts[name]
        for name in _KEPT_TEXTS:
            columns[name] = or_null(texts[name])
        return with_cells(record_table(columns, count), self._resolution)

    def _rejects(
        self,
        part: SourcePart,
        table: pa.Table,
        columns: Mapping[str, str],
        problems: Mapping[int, tuple[RejectReason, str]],
    ) -> pa.Table:
        refused = table.take(pa.array(list(problems), pa.int64()))
        occurrence_ids = self._texts(part.file, refused, columns)["occurrence_id"].to_pylist()
        first = part.first_row + 1
        return pa.Table.from_pylist(
            [
                {
                    "source_key": self._settings.key,
                    "part": part.name,
                    "row": first + at,
                    "occurrence_id": occurrence_id or None,
                    "stage": "read",
                    "reason": str(reason),
                    "detail": f"{part.file.name}, row {first + at}: {problem}",
                }
                for (at, (reason, problem)), occurrence_id in zip(
                    problems.items(), occurrence_ids, strict=True
                )
            ],
            schema=REJECT_SCHEMA,
        )


def _text(file: Path, table: pa.Table, column: str) -> pa.Array:
    """A column's text. Raises PlanError where it is none, with the column."""
    try:
        return text_of(table[column])
    except ValueError as error:
        raise PlanError(file, f"column {column!r} holds text that is not UTF-8") from error
