"""Ready image vectors with taxonomy, in Parquet files as published with BioCLIP 2.

Has no pictures and no coordinates. Vectors are checked and made unit vectors, a part at a time.
Parts may be read in any process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.errors import PictureError, PlanError
from indexer.darwin_core import clean, clean_name
from indexer.licences import normalise_licence
from indexer.plan_sections import EmbeddingsSection
from indexer.records import (
    REJECT_SCHEMA,
    RejectReason,
    schema_with_vectors,
)
from indexer.sources.input_file import check_unchanged, stamp_of
from indexer.sources.parquet_table import (
    as_text,
    column_names,
    read_rows,
    row_group_sizes,
)
from indexer.sources.ready_vectors import check_vector_column, likely_dim, unit_vectors
from indexer.sources.source import ReadPart, SourcePart, part_name

# A row group has to be decoded whole, so parts follow row groups: small ones are put together,
# larger ones are cut only where a part's memory would pass some 200 MB at 768 dimensions.
_LEAST_PART_ROWS = 8_192
_MOST_PART_ROWS = 65_536

# The published files write some ids with hyphens and some without.
_LOOSE_UUID = "^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$"
_HYPHENATED = r"\1-\2-\3-\4-\5"
# Column by default for each field; fields without one are read only where the plan maps them.
_DEFAULT_COLUMNS = {
    "occurrence_id": "source_id",
    "scientific_name": "scientific_name",
    "common_name": "common_name",
    "media_url": "identifier",
    "basis_of_record": "basisOfRecord",
    "observer": "",
    "licence": "",
    "media_licence": "",
    "rights_holder": "",
    "reference_url": "",
}


class EmbeddingsSource:
    """The rows of one or more Parquet files with a vector column."""

    def __init__(
        self, settings: EmbeddingsSection, *, ranks: Sequence[str], dim: int | None
    ) -> None:
        """Nothing is opened yet. `dim` is the length of the vectors, None to take the files'."""
        self._settings = settings
        self._ranks = tuple(ranks)
        self._given_dim = dim

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
        parts: list[SourcePart] = []
        for file in self._files():
            self._columns(file)
            stamp = stamp_of(file)
            for first_row, rows in _runs(row_group_sizes(file)):
                parts.append(
                    SourcePart(
                        source_key=self._settings.key,
                        name=part_name(self._settings.key, len(parts)),
                        number=len(parts),
                        file=file,
                        first_row=first_row,
                        rows=rows,
                        stamp=stamp,
                    )
                )
        return parts

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part; records have the column `embedding`, unit vectors in float16."""
        check_unchanged(part.file, part.stamp)
        columns = self._columns(part.file)
        table = read_rows(
            part.file,
            first_row=part.first_row,
            rows=part.rows,
            columns=sorted({*columns.values(), self._settings.vector_column}),
        )
        vectors = unit_vectors(table[self._settings.vector_column], self.dim)
        written = pa.array(as_text(table[self._settings.id_column]), pa.string())
        written = pc.utf8_lower(pc.utf8_trim_whitespace(written))
        valid = pc.match_substring_regex(written, _LOOSE_UUID).to_numpy(zero_copy_only=False)
        ids = pc.replace_substring_regex(written, pattern=_LOOSE_UUID, replacement=_HYPHENATED)
        problems = [
            vectors.problems[at]
            if valid[at]
            else (RejectReason.ID_INVALID, f"{self._settings.id_column} is not a UUID")
            for at in range(table.num_rows)
        ]
        good_vector = np.array([problem is None for problem in vectors.problems], dtype=bool)
        keep = good_vector & valid
        numbers = np.arange(part.first_row + 1, part.first_row + table.num_rows + 1)
        texts = self._texts(table, columns)
        records = self._records(
            texts, ids, keep=keep, numbers=numbers, vectors=vectors.unit[valid[good_vector]]
        )
        rejects = self._rejects(part, texts["occurrence_id"], numbers, problems)
        return ReadPart(records, rejects, table.num_rows)

    def picture(self, media_ref: str) -> bytes:
        """Always raises PictureError: this source brings vectors and no pictures."""
        raise PictureError(
            RejectReason.FILE_MISSING, f"{self._settings.key} has no pictures ({media_ref})"
        )

    def picture_stamp(self, media_ref: str) -> str:
        """Always "": there are no pictures, not even of `media_ref`."""
        del media_ref
        return ""

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

    def _texts(self, table: pa.Table, columns: dict[str, str]) -> dict[str, list[str]]:
        """Cleaned text of every field, "" where empty; a missing rank column is an empty rank."""
        texts: dict[str, list[str]] = {}
        for name in (*_DEFAULT_COLUMNS, *self._ranks):
            is_name = name == "scientific_name" or name in self._ranks
            tidy = clean_name if is_name else clean
            raw = as_text(table[columns[name]]) if name in columns else [""] * table.num_rows
            texts[name] = [tidy(text) for text in raw]
        return texts

    def _records(
        self,
        texts: dict[str, list[str]],
        ids: pa.Array,
        *,
        keep: npt.NDArray[np.bool_],
        numbers: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float16],
    ) -> pa.Table:
        at = np.flatnonzero(keep)
        ids = ids.take(pa.array(at))
        kept = {name: [column[i] for i in at] for name, column in texts.items()}
        lineages = [
            list(names) for names in zip(*(kept[rank] for rank in self._ranks), strict=True)
        ]
        licences = [_code(text or self._settings.licence) for text in kept["licence"]]
        media = [_code(text or self._settings.media_licence) for text in kept["media_licence"]]
        flags = [
            _flags(bool(name) or any(lineage), bool(occurrence), known)
            for name, lineage, occurrence, (_, known) in zip(
                kept["scientific_name"], lineages, kept["occurrence_id"], media, strict=True
            )
        ]
        schema = schema_with_vectors(self.dim)
        columns = {
            "image_id": ids,
            "occurrence_id": [
                given or f"urn:uuid:{made}"
                for given, made in zip(kept["occurrence_id"], ids.to_pylist(), strict=True)
            ],
            "scientific_name": kept["scientific_name"],
            "lineage": lineages,
            "common_name": kept["common_name"],
            "observer": _or_null(kept["observer"]),
            "basis_of_record": _or_null(kept["basis_of_record"]),
            "licence": [code for code, _ in licences],
            "media_licence": [code for code, _ in media],
            "rights_holder": _or_null(kept["rights_holder"]),
            "reference_url": _or_null(kept["reference_url"]),
            "media_url": _or_null(kept["media_url"]),
            "flags": flags,
            "source_key": [self._settings.key] * len(at),
            "row": numbers[at],
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel(), pa.float16()), self.dim
            ),
        }
        nothing = [None] * len(at)
        return pa.table(
            [
                values if isinstance(values, pa.Array) else pa.array(values, field.type)
                for field in schema
                for values in (columns.get(field.name, nothing),)
            ],
            schema=schema,
        )

    def _rejects(
        self,
        part: SourcePart,
        occurrence_ids: list[str],
        numbers: npt.NDArray[np.int64],
        problems: list[tuple[RejectReason, str] | None],
    ) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {
                    "source_key": self._settings.key,
                    "part": part.name,
                    "row": int(number),
                    "occurrence_id": occurrence_id or None,
                    "stage": "read",
                    "reason": str(problem[0]),
                    "detail": f"{part.file.name}, row {number}: {problem[1]}",
                }
                for number, occurrence_id, problem in zip(
                    numbers, occurrence_ids, problems, strict=True
                )
                if problem is not None
            ],
            schema=REJECT_SCHEMA,
        )


def _runs(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each part: row groups put together or cut to a sensible size."""
    first_row, rows = 0, 0
    for size in sizes:
        rows += size
        while rows > _MOST_PART_ROWS:
            yield first_row, _MOST_PART_ROWS
            first_row, rows = first_row + _MOST_PART_ROWS, rows - _MOST_PART_ROWS
        if rows >= _LEAST_PART_ROWS:
            yield first_row, rows
            first_row, rows = first_row + rows, 0
    if rows:
        yield first_row, rows


def _code(text: str) -> tuple[str | None, bool]:
    licence = normalise_licence(text)
    return (licence.code, licence.recognised) if licence is not None else (None, False)


def _flags(is_named: bool, has_occurrence_id: bool, licence_known: bool) -> int:
    flags = Flag(0)
    if not is_named:
        flags |= Flag.NAME_MISSING
    if not has_occurrence_id:
        flags |= Flag.OCCURRENCE_ID_MADE
    if not licence_known:
        flags |= Flag.MEDIA_LICENCE_UNKNOWN
    return int(flags)


def _or_null(texts: list[str]) -> list[str | None]:
    return [text or None for text in texts]
