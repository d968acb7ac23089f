"""Image ids in a catalog: which follow from their records, and how an id leads to its row.

An id that follows from source, occurrence and the photo's address is not stored; the others are.
Knows no rows. Any thread.
"""

from __future__ import annotations

import uuid
from typing import Literal

import duckdb

# Namespace of all ids that the indexer makes; made once with uuid4, never to change.
NAMESPACE = uuid.UUID("6a1c9f0e-2b7d-4c1e-9a55-0d6f3b8e7c42")
SEPARATOR = "\x1f"

# Rows whose keys are sorted together: 2^24 row ids take three bytes each where 2^27 take four, and
# an id is looked for in each of these runs.
KEY_RUN_BITS = 24
# One in sixteen other ids of a run has the same number, so that the next number is less than 256
# away and takes one byte.
_NUMBER_MASK = (1 << (KEY_RUN_BITS + 4)) - 1

# `followed`: ids are made where they follow and looked up by number; `listed`: as in bundles of
# format 2, a column `image.image_id` and a table of ids and rows.
IdForm = Literal["followed", "listed"]


def image_id_of(source_key: str, occurrence_id: str, media_ref: str) -> str:
    """UUID of one image: the same source, occurrence and file always give the same id.

    All three count, since file names alone collide between occurrences and between sources.
    """
    return str(
        uuid.uuid5(NAMESPACE, SEPARATOR.join(("image", source_key, occurrence_id, media_ref)))
    )


def following_id(source_key: str, occurrence_id: str, media_url: str) -> str:
    """SQL for the id that follows from three columns: `image_id_of`, "" where there is no photo.

    NULL where the occurrence id is. SHA-1 with the version and the variant of RFC 9562 put in.
    """
    namespace = "".join(f"\\x{byte:02X}" for byte in NAMESPACE.bytes)
    text = f"|| chr({ord(SEPARATOR)}) || ".join(
        ("'image' ", f"{source_key} ", f"{occurrence_id} ", f"coalesce({media_url}, '')")
    )
    digest = f"sha1('{namespace}'::BLOB || encode({text}))"
    variant = "substr('89ab', 1 + (('0x' || substr(x, 17, 1))::UTINYINT & 3), 1)"
    told = f"substr(x, 1, 12) || '5' || substr(x, 14, 3) || {variant} || substr(x, 18, 15)"
    return f"list_transform([{digest}], lambda x: ({told})::UUID)[1]"


def id_number(image_id: str) -> str:
    """SQL for the number by which a UUID is looked for: of MD5, which spreads any kind of UUID."""
    return f"(md5_number_lower(({image_id})::VARCHAR) & {_NUMBER_MASK})::UINTEGER"


def form_of_ids(connection: duckdb.DuckDBPyConnection, database: str | None = None) -> IdForm:
    """The form of a catalog: the connection's own, or an attached `database`."""
    found = connection.execute(
        "SELECT 1 FROM duckdb_columns() WHERE table_name = 'image_key' "
        "AND column_name = 'id_number' AND database_name = coalesce(?, current_database())",
        [database],
    ).fetchall()
    return "followed" if found else "listed"


def key_order() -> str:
    """SQL for the order of `image_key`."""
    return f"row_id >> {KEY_RUN_BITS}, id_number, row_id"


def ids_of_rows(rows: str, form: IdForm, database: str = "") -> str:
    """SQL for `row_id` and `image_id` of the rows that the query `rows` gives.

    `database` is the name of an attached one with a full stop. Rows are picked before the join,
    which would read the whole table of stored ids else.
    """
    if form == "listed":
        return f"SELECT row_id, image_id FROM {database}image WHERE row_id IN ({rows})"
    follows = following_id("source.key", "here.occurrence_id", "here.media_url")
    return (
        "WITH here AS MATERIALIZED (SELECT row_id, source_id, occurrence_id, media_url "
        f"FROM {database}image WHERE row_id IN ({rows})), "
        "stored AS MATERIALIZED (SELECT row_id, image_id "
        f"FROM {database}image_stored_id WHERE row_id IN ({rows})) "
        f"SELECT here.row_id, coalesce(stored.image_id, {follows}) AS image_id FROM here "
        f"JOIN {database}source AS source USING (source_id) LEFT JOIN stored USING (row_id)"
    )


def rows_of_number(form: IdForm) -> str:
    """SQL for `row_id` of the few rows that may have the image id `$image_id`.

    Compared with one number, DuckDB reads one block of each run; with a query's numbers it reads
    all: 1.5 milliseconds and 30 for ten million rows.
    """
    if form == "listed":
        return "SELECT row_id FROM image_key WHERE image_id = $image_id::UUID"
    return f"SELECT row_id FROM image_key WHERE id_number = {id_number('$image_id::UUID')}"


def rows_of_ids(ids: str, form: IdForm, database: str = "") -> str:
    """SQL for `row_id` and `image_id` of the images whose ids the query `ids` gives.

    `ids` has one column, `image_id`, of UUIDs.
    """
    if form == "listed":
        return f"SELECT row_id, image_id FROM {database}image_key WHERE image_id IN ({ids})"
    numbers = f"SELECT {id_number('image_id')} FROM ({ids})"
    rows = f"SELECT row_id FROM {database}image_key WHERE id_number IN ({numbers})"
    return f"SELECT * FROM ({ids_of_rows(rows, form, database)}) WHERE image_id IN ({ids})"
