"""Which rows of a bundle count: those without a tombstone, with the taxon ids and flags of today.

A segment's row file keeps the numbers of the day it was written. Taxa are numbered by their names
alone, so a new taxon moves numbers and never the order of those that were there: the rows of an
older segment stay sorted, and only their numbers are read anew from their names. One thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from atlas.bundle.flags import Flag
from indexer.repeats import repeat_of_earlier
from indexer.tables.numbered_taxa import number_taxa, write_taxa
from indexer.work import batches_of, quoted_list, write_batches

LIVING_SCHEMA = pa.schema([("row_id", pa.int64()), ("taxon_id", pa.int32()), ("flags", pa.int32())])
# Of several rows with one picture the one that did not carry the flag goes on without it. When it
# was removed, the first of the others takes its place: a picture is never held back for a copy
# that is gone.
# The same holds for records that repeat one another.
_FIRST = f"flags & {int(Flag.DUPLICATE_RECORD)}, row_id"
_FOUND_ANEW = int(Flag.DUPLICATE_PICTURE | Flag.DUPLICATE_RECORD)
_LIVING = f"""
    WITH named AS (SELECT incoming.*, assigned.taxon_id AS number
        FROM incoming JOIN assigned USING (lineage, scientific_name)),
    numbered AS (SELECT * EXCLUDE number REPLACE (number AS taxon_id) FROM named)
    SELECT row_id, taxon_id, (flags & ~{_FOUND_ANEW} | CASE
        WHEN media_sha256 IS NOT NULL AND row_number() OVER (PARTITION BY media_sha256
            ORDER BY flags & {int(Flag.DUPLICATE_PICTURE)}, row_id) > 1
        THEN {int(Flag.DUPLICATE_PICTURE)} ELSE 0 END | CASE WHEN {repeat_of_earlier(_FIRST)}
        THEN {int(Flag.DUPLICATE_RECORD)} ELSE 0 END)::INTEGER AS flags
    FROM numbered ORDER BY row_id
"""


class StoredRows(msgspec.Struct, frozen=True):
    """A segment's row file, the first row id in it, and the removed positions."""

    rows: Path
    first_row: int
    removed: BitMap


def list_living(
    segments: Sequence[StoredRows],
    ranks: Sequence[str],
    *,
    scratch: Path,
    living: Path,
    taxa: Path,
    names: Path,
) -> int:
    """Write the rows that count, their taxa and the taxa's names; returns the number of rows.

    `living` is written last. `scratch` is where DuckDB may spill.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        view_living(connection, segments, "incoming")
        write_taxa(number_taxa(connection, ranks), taxa, names)
        reader = batches_of(connection, _LIVING)
        return write_batches(living, LIVING_SCHEMA, (batch.cast(LIVING_SCHEMA) for batch in reader))


def view_living(
    connection: duckdb.DuckDBPyConnection, segments: Sequence[StoredRows], name: str
) -> None:
    """Make the view `name`: the stored rows less the removed ones."""
    removed = np.concatenate(
        [
            np.fromiter(segment.removed, np.int64, len(segment.removed)) + segment.first_row
            for segment in segments
        ]
    )
    connection.register(f"{name}_arrow", pa.table({"row_id": pa.array(removed, pa.int64())}))
    connection.execute(f"CREATE TABLE {name}_removed AS SELECT * FROM {name}_arrow")
    listed = quoted_list(segment.rows for segment in segments)
    connection.execute(
        f"CREATE VIEW {name} AS SELECT * FROM read_parquet({listed}) "
        f"WHERE row_id NOT IN (SELECT row_id FROM {name}_removed)"
    )
