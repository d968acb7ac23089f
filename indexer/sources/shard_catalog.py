"""Joins a catalog of pictures, their provenance and the index of their shards, by UUID.

They may be larger than memory: DuckDB joins and sorts them, and spills what it cannot hold. Knows
the columns of TreeOfLife-200M, as its card describes them
(https://huggingface.co/datasets/imageomics/TreeOfLife-200M), not what a record is. One process at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from atlas.bundle.files import atomic_path
from atlas.errors import PlanError
from indexer.records import HYPHENATED, LOOSE_UUID
from indexer.sources.parquet_table import column_names, open_parquet
from indexer.sources.shard_index import INDEX_SCHEMA
from indexer.sources.text_columns import text_of
from indexer.work import open_database, quoted, quoted_list

GROUP_ROWS = 65_536
CATALOG_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "uuid": ("uuid",),
    "source_url": ("source_url", "identifier"),
    "scientific_name": ("scientific_name",),
    "common": ("common", "common_name"),
    "data_source": ("data_source", "source_dataset"),
    "source_id": ("source_id",),
    "basisOfRecord": ("basisOfRecord", "basis_of_record"),
}
"""The columns of the catalog, less the ranks, by the names that they have had."""
PROVENANCE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "license_name": ("license_name",),
    "license_link": ("license_link", "license"),
    "copyright_owner": ("copyright_owner",),
}
"""The columns of the provenance beside `uuid`."""
_NO_CREDITS = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("uuid", *PROVENANCE_COLUMNS)),
        pa.field("row", pa.int64()),
    ]
).empty_table()
_JOINED = {
    "either": "true",
    "catalog": "catalog.row IS NOT NULL",
    "shards": "entry.place IS NOT NULL",
}


class TextColumns:
    """Columns of a Parquet file as text, with the number of each row from 1, as Arrow batches."""

    def __init__(self, file: Path, columns: Mapping[str, str]) -> None:
        """`columns` gives the file's column for each name; "" for one that it lacks."""
        self._file = file
        self._columns = columns
        self.problem: PlanError | None = None

    @property
    def schema(self) -> pa.Schema:
        """All text, but `row`."""
        texts = [pa.field(name, pa.string()) for name in self._columns]
        return pa.schema([*texts, pa.field("row", pa.int64())])

    def reader(self) -> pa.RecordBatchReader:
        """All rows. Where the file is damaged, `problem` says so after the reader has failed."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        row = 1
        needed = sorted({column for column in self._columns.values() if column})
        try:
            with open_parquet(self._file, buffer_bytes=1 << 20) as file:
                for batch in file.iter_batches(GROUP_ROWS, columns=needed, use_threads=False):
                    empty = pa.repeat(pa.scalar("", pa.string()), batch.num_rows)
                    texts = [
                        text_of(pa.chunked_array([batch.column(column)])) if column else empty
                        for column in self._columns.values()
                    ]
                    rows = pa.array(range(row, row + batch.num_rows), pa.int64())
                    yield pa.record_batch([*texts, rows], schema=self.schema)
                    row += batch.num_rows
        except (OSError, ValueError, pa.ArrowException) as error:
            self.problem = PlanError(self._file, f"cannot be read from row {row:,} on: {error}")
            raise


def columns_of(
    file: Path,
    wanted: Mapping[str, Sequence[str]],
    renamed: Mapping[str, str],
    needed: Sequence[str],
) -> dict[str, str]:
    """The file's column for each name, "" for those it lacks.

    Raises PlanError where it lacks one that the plan names, or one of `needed`.
    """
    header = column_names(file)
    found = {}
    for name, usual in wanted.items():
        asked = (renamed[name],) if name in renamed else usual
        found[name] = next((column for column in asked if column in header), "")
        if not found[name] and (name in renamed or name in needed):
            raise PlanError(file, f"has no column {asked[0]!r}")
    return found


def join_catalog(
    catalog: TextColumns,
    provenance: TextColumns | None,
    index: Sequence[Path],
    rows: str,
    path: Path,
    scratch: Path,
) -> None:
    """Write the joined table to `path`, pictures in the order of the shards, then all others.

    A row of the catalog without a picture has no `place`; a picture without a row, or one more of a
    UUID that was there already, has no `row`. Raises PlanError where a file is damaged.
    """
    with open_database(scratch) as connection:
        connection.register("catalog_file", catalog.reader())
        connection.register("credit_file", provenance.reader() if provenance else _NO_CREDITS)
        if index:
            listed = quoted_list(index)
            connection.execute(f"CREATE VIEW entry_file AS SELECT * FROM read_parquet({listed})")
        else:
            connection.register("entry_file", INDEX_SCHEMA.empty_table())
        try:
            with atomic_path(path) as temporary:
                connection.execute(
                    f"COPY ({_query(catalog.schema.names, rows)}) TO {quoted(temporary)} "
                    f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})"
                )
        except duckdb.Error as error:
            for file in (catalog, provenance):
                if file is not None and file.problem is not None:
                    raise file.problem from error
            first = str(error).splitlines()[0]
            raise PlanError(path, f"cannot be joined: {first}") from error


def _query(columns: Sequence[str], rows: str) -> str:
    given = ", ".join(f"catalog.{_named(name)}" for name in columns if name not in {"uuid", "row"})
    credit = ", ".join(f"credit.{name}" for name in PROVENANCE_COLUMNS)
    first = ", ".join(f"arg_min({name}, row) AS {name}" for name in PROVENANCE_COLUMNS)
    return (
        f"WITH catalog AS (SELECT *, {_id('uuid')} AS id FROM catalog_file), "
        f"credit AS (SELECT {_id('uuid')} AS id, {first} FROM credit_file GROUP BY 1), "
        f"keyed AS (SELECT *, {_id('key')} AS id FROM entry_file), "
        # Of a UUID that lies in several places, the first is its picture.
        "entry AS (SELECT *, CASE WHEN row_number() OVER "
        "(PARTITION BY id ORDER BY shard, place) = 1 THEN id END AS link FROM keyed) "
        f"SELECT catalog.row, catalog.uuid, coalesce(catalog.id, entry.id) AS id, {given}, "
        f"{credit}, entry.shard, entry.key, entry.name, entry.place, entry.at, entry.size_bytes, "
        "entry.id IS NOT NULL AND entry.link IS NULL AS again "
        "FROM catalog FULL OUTER JOIN entry ON catalog.id = entry.link "
        "LEFT JOIN credit ON credit.id = catalog.id "
        f"WHERE {_JOINED[rows]} "
        "ORDER BY entry.shard NULLS LAST, entry.place, catalog.row"
    )


def _id(column: str) -> str:
    """A UUID as it is written, hyphens and all; null for what is none."""
    text = f"lower(trim({column}))"
    return (
        f"CASE WHEN regexp_full_match({text}, '{LOOSE_UUID}') "
        f"THEN regexp_replace({text}, '{LOOSE_UUID}', '{HYPHENATED}') END"
    )


def _named(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
