"""Admit stage: the order of new rows in, the order of those that the bundle does not hold out.

An image that the bundle holds is refused as a duplicate, as one that comes twice in a build is.
Images that were removed from the bundle are not in its catalog, so they may come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.flags import HIDDEN_PLACE
from atlas.bundle.image_ids import form_of_ids, rows_of_ids
from indexer.records import REJECT_SCHEMA, RejectReason
from indexer.work import PartFiles, batches_of, quoted, quoted_list, write_batches


def admit_rows(
    parts: Sequence[PartFiles],
    catalog: Path,
    *,
    order: Path,
    first_row: int,
    scratch: Path,
    admitted: Path,
    duplicates: Path,
) -> int:
    """Write the order without what `catalog` holds, numbered from `first_row`; returns its rows.

    What is refused goes to `duplicates`. `admitted` is written last.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        _view_offered(connection, parts, order)
        connection.execute(f"ATTACH {quoted(catalog)} AS bundle (READ_ONLY)")
        offered = "SELECT image_id::UUID AS image_id FROM offered"
        known = rows_of_ids(offered, form_of_ids(connection, "bundle"), "bundle.")
        connection.execute(f"CREATE TEMP TABLE known AS SELECT image_id FROM ({known})")
        held = "offered.image_id::UUID IN (SELECT image_id FROM known)"
        refused = batches_of(
            connection,
            "SELECT source_key, stem AS part, row, occurrence_id, media_ref, 'sort' AS stage, "
            f"'{RejectReason.DUPLICATE_IMAGE_ID}' AS reason, "
            "'image ' || image_id || ' is in the bundle already' AS detail "
            f"FROM offered WHERE {held} ORDER BY offered.part, offered.position",
        )
        write_batches(duplicates, REJECT_SCHEMA, (batch.cast(REJECT_SCHEMA) for batch in refused))
        schema = pq.read_schema(order)
        kept = batches_of(
            connection,
            "SELECT ordered.* REPLACE (row_number() OVER (ORDER BY row_id) - 1 + ? AS row_id) "
            "FROM ordered JOIN offered USING (part, position) "
            f"WHERE NOT {held} ORDER BY row_id",
            [first_row],
        )
        return write_batches(admitted, schema, (batch.cast(schema) for batch in kept))


def _view_offered(
    connection: duckdb.DuckDBPyConnection, parts: Sequence[PartFiles], order: Path
) -> None:
    """The views `ordered`, as sorting wrote it, and `offered`, what its rows are."""
    connection.register(
        "part",
        pa.table(
            {
                "part": pa.array(range(len(parts)), pa.int32()),
                "filename": [str(part.records) for part in parts],
                "stem": [part.records.stem for part in parts],
            }
        ),
    )
    connection.execute(f"CREATE VIEW ordered AS SELECT * FROM read_parquet({quoted(order)})")
    listed = quoted_list(part.records for part in parts)
    connection.execute(
        "CREATE VIEW offered AS SELECT part.part, records.file_row_number AS position, stem, "
        f"records.image_id, source_key, row, occurrence_id, CASE WHEN "
        f"flags & {int(HIDDEN_PLACE)} <> 0 THEN NULL ELSE records.media_ref END AS media_ref "
        f"FROM read_parquet({listed}, filename = true, file_row_number = true) AS records "
        "JOIN part USING (filename) SEMI JOIN ordered "
        "ON ordered.part = part.part AND ordered.position = records.file_row_number"
    )
