"""The tables of image ids: `image_stored_id`, `image_key`, the view `image_identity`. One thread.

An id that follows from its record takes no room; rows are read some million at a time.
"""

from __future__ import annotations

import duckdb

from atlas.bundle.image_ids import KEY_RUN_BITS, following_id, id_number, key_order

_FOLLOWS = following_id("source_key", "occurrence_id", "media_url")


def write_identities(connection: duckdb.DuckDBPyConnection, chunk_rows: int) -> None:
    """Write the tables of the rows in the view `stored`, about `chunk_rows` at a time."""
    (last,) = connection.execute("SELECT max(row_id) FROM stored").fetchall()[0]
    end = 0 if last is None else last + 1
    connection.execute("CREATE TABLE image_stored_id (row_id BIGINT, image_id UUID)")
    for first in range(0, end, chunk_rows):
        connection.execute(
            "INSERT INTO image_stored_id SELECT row_id, image_id::UUID AS own FROM stored "
            f"WHERE row_id BETWEEN {first} AND {first + chunk_rows - 1} "
            f"AND own IS DISTINCT FROM {_FOLLOWS} ORDER BY row_id"
        )
    connection.execute("CREATE TABLE image_key (id_number UINTEGER, row_id BIGINT)")
    run_rows = 1 << KEY_RUN_BITS
    for first in range(0, end, run_rows):
        connection.execute(
            f"INSERT INTO image_key SELECT {id_number('image_id::UUID')} AS id_number, row_id "
            f"FROM stored WHERE row_id BETWEEN {first} AND {first + run_rows - 1} "
            f"ORDER BY {key_order()}"
        )
    follows = following_id("source.key", "occurrence_id", "media_url")
    connection.execute(
        "CREATE VIEW image_identity AS SELECT row_id, "
        f"coalesce(image_stored_id.image_id, {follows}) AS image_id "
        "FROM image JOIN source USING (source_id) LEFT JOIN image_stored_id USING (row_id)"
    )
