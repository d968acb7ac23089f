"""What the rows of all parts are ordered and compared by, in DuckDB, which spills what is too much.

Texts are left in the parts: a row is its part and position, its names are a number, and what makes
two records one is a hash. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.errors import BuildError
from indexer.repeats import IS_PLACED, RECORD, SEEN
from indexer.work import PartFiles

NAMES = ("lineage", "scientific_name", "common_name")
_READ = (
    *NAMES,
    "cell",
    "latitude",
    "longitude",
    "observed_from",
    "observed_to",
    "observer",
    "image_id",
    "media_sha256",
    "source_key",
    "occurrence_id",
    "flags",
)
_DICTIONARIES = ["lineage.list.element", "lineage.list.item", "scientific_name", "common_name"]
_NAMED_SCHEMA = pa.schema(
    [
        ("named", pa.int64()),
        ("lineage", pa.list_(pa.string())),
        ("scientific_name", pa.string()),
        ("common_name", pa.string()),
        ("uses", pa.int64()),
    ]
)
# No cleaned name holds it.
_SEPARATOR = "\x1f"
_MOST_CODES = 1 << 62

Codes = npt.NDArray[np.int64]


def read_keys(connection: duckdb.DuckDBPyConnection, parts: Sequence[PartFiles]) -> None:
    """Make the tables `keyed`, one row a record, and `named`, the distinct names of all parts.

    `keyed` has part, position, named, cell, observed_from, image_id, media_sha256, and of records
    that may repeat another the hashes `seen` and `record`, else null.
    """
    found = _Names()
    schema = pa.schema(
        [("part", pa.int32()), ("position", pa.int64()), ("named", pa.int64())]
        + [pq.read_schema(parts[0].records).field(name) for name in _READ[len(NAMES) :]]
    )
    reader = pa.RecordBatchReader.from_batches(schema, _batches(parts, schema, found))
    connection.register("keys_arrow", reader)
    connection.execute(
        "CREATE TABLE keyed AS SELECT part, position, named, cell, observed_from, "
        f"image_id::UUID AS image_id, media_sha256, CASE WHEN {IS_PLACED} THEN hash({SEEN}) END "
        f"AS seen, CASE WHEN {IS_PLACED} THEN {RECORD} END AS record FROM keys_arrow"
    )
    connection.unregister("keys_arrow")
    connection.register("named_arrow", found.table())
    connection.execute("CREATE TABLE named AS SELECT * FROM named_arrow")
    connection.unregister("named_arrow")


def _batches(
    parts: Sequence[PartFiles], schema: pa.Schema, found: _Names
) -> Iterator[pa.RecordBatch]:
    """The keys of each part; `found` takes its names."""
    for number, part in enumerate(parts):
        records = pq.read_table(
            part.records, columns=list(_READ), read_dictionary=_DICTIONARIES, use_threads=False
        )
        names, at = distinct_names(records)
        rows = records.num_rows
        named = found.numbers(names)[at]
        columns = [pa.repeat(pa.scalar(number, pa.int32()), rows), np.arange(rows), named]
        columns += [records[name] for name in schema.names[3:]]
        yield from pa.table(columns, schema=schema).to_batches()


class _Names:
    """The distinct names of the parts so far, each with its number: they grow with the taxa."""

    def __init__(self) -> None:
        self._keys = pa.array([], pa.string())
        self._uses = np.zeros(0, np.int64)
        self._tables = [_NAMED_SCHEMA.empty_table().drop_columns(["named", "uses"])]

    def numbers(self, names: pa.Table) -> Codes:
        """The number of each name of a part, new ones included."""
        texts = names.select(NAMES).cast(self._tables[0].schema).combine_chunks()
        above = pc.binary_join(texts["lineage"], _SEPARATOR)
        keys = pc.binary_join_element_wise(
            above, texts["scientific_name"], texts["common_name"], _SEPARATOR
        )
        place = pc.index_in(keys, value_set=self._keys).fill_null(-1)
        known: Codes = place.to_numpy().astype(np.int64)
        new = np.flatnonzero(known < 0)
        known[new] = np.arange(len(self._keys), len(self._keys) + len(new))
        self._tables.append(texts.take(pa.array(new)))
        self._keys = pa.concat_arrays([self._keys, *keys.take(pa.array(new)).chunks])
        self._uses = np.concatenate([self._uses, np.zeros(len(new), np.int64)])
        self._uses[known] += names["uses"].to_numpy()
        return known

    def table(self) -> pa.Table:
        """Every name with its number and its uses."""
        names = pa.concat_tables(self._tables)
        columns = [np.arange(names.num_rows), *names.columns, self._uses]
        return pa.table(columns, schema=_NAMED_SCHEMA)


def distinct_names(records: pa.Table) -> tuple[pa.Table, Codes]:
    """The distinct `NAMES` of a part with their `uses`, and which of them each row has.

    Raises BuildError where lineages differ in length.
    """
    names = records.select(NAMES).unify_dictionaries().combine_chunks()
    rows = names.num_rows
    columns = [_codes(names[name]) for name in NAMES[1:]]
    lineage = [chunk.flatten() for chunk in names["lineage"].chunks]
    codes = np.concatenate([_codes(pa.chunked_array([piece])) for piece in lineage] or [columns[0]])
    if rows and len(codes) % rows:
        raise BuildError("sort", "lineages of one part differ in length")
    columns += list(codes.reshape(rows, -1).T) if rows else []
    _, first, at, uses = np.unique(
        combined(columns), return_index=True, return_inverse=True, return_counts=True
    )
    distinct = names.take(pa.array(first)).append_column("uses", pa.array(uses.astype(np.int64)))
    return distinct, at.astype(np.int64)


def _codes(column: pa.ChunkedArray) -> Codes:
    """A number for each value of a column of dictionaries or texts."""
    joined = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    encoded = joined.dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(), np.int64)


def combined(columns: Sequence[Codes]) -> Codes:
    """One number a row, the same for two rows where all columns (n,) of codes from -1 are."""
    key = np.zeros(len(columns[0]), np.int64)
    size = 1
    for codes in columns:
        width = int(codes.max(initial=0)) + 2
        if size * width > _MOST_CODES:
            _, key = np.unique(key, return_inverse=True)
            size = len(key)
        key = key * width + (codes + 1)
        size *= width
    return key
