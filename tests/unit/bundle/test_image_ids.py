"""Image ids in SQL against those that the indexer makes, and the numbers they are found by."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.image_ids import (
    following_id,
    form_of_ids,
    id_number,
    ids_of_rows,
    image_id_of,
    rows_of_ids,
)

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """A database in memory."""
    return duckdb.connect()


@given(source=TEXTS, occurrence=TEXTS, address=st.none() | TEXTS)
def test_an_id_follows_in_sql_as_it_was_made(
    database: duckdb.DuckDBPyConnection, source: str, occurrence: str, address: str | None
) -> None:
    """Would break: links to records lead nowhere once their catalog is written anew."""
    followed = following_id("$source", "$occurrence", "$address")
    bound = {"source": source, "occurrence": occurrence, "address": address}
    (found,) = database.execute(f"SELECT {followed}", bound).fetchall()[0]
    assert str(found) == image_id_of(source, occurrence, address or "")


def test_no_id_follows_without_an_occurrence(database: duckdb.DuckDBPyConnection) -> None:
    """Would break: every record without an occurrence id gets the same image id."""
    assert database.execute(
        f"SELECT {following_id('$s', 'NULL', 'NULL')}", {"s": "a"}
    ).fetchall() == [(None,)]


def test_numbers_of_ids_never_change(database: duckdb.DuckDBPyConnection) -> None:
    """Would break: another version of the database finds no image in the bundles of this one."""
    ids = [uuid.UUID(int=0), uuid.UUID("6a1c9f0e-2b7d-4c1e-9a55-0d6f3b8e7c42")]
    found = [database.execute(f"SELECT {id_number('?')}", [one]).fetchall()[0][0] for one in ids]
    digests = [hashlib.md5(str(one).encode(), usedforsecurity=False).digest() for one in ids]
    assert found == [int.from_bytes(one[8:12], "little") % 2**28 for one in digests]
    assert found == [142_582_838, 257_207_569]


def test_ids_with_one_number_are_told_apart(tmp_path: Path) -> None:
    """Would break: among a hundred million records a link now and then shows another record."""
    ids = [uuid.UUID(int=number) for number in range(3)]
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE image (row_id BIGINT, source_id SMALLINT, occurrence_id VARCHAR, "
            "media_url VARCHAR); INSERT INTO image VALUES (0, 0, 'a', NULL), (1, 0, 'b', NULL), "
            "(2, 0, 'c', NULL); CREATE TABLE source (source_id SMALLINT, key VARCHAR);"
            "INSERT INTO source VALUES (0, 'museum');"
            "CREATE TABLE image_stored_id (row_id BIGINT, image_id UUID);"
            "CREATE TABLE image_key (id_number UINTEGER, row_id BIGINT);"
        )
        followed = uuid.UUID(image_id_of("museum", "c", ""))
        connection.executemany(
            "INSERT INTO image_stored_id VALUES (?, ?)", list(enumerate(ids[:2]))
        )
        # As if all three had the number of the second.
        connection.execute(
            f"INSERT INTO image_key SELECT {id_number('?')}, unnest([0, 1, 2])", [ids[1]]
        )
        form = form_of_ids(connection)
        asked = rows_of_ids("SELECT $image_id::UUID AS image_id", form)
        assert connection.execute(asked, {"image_id": ids[1]}).fetchall() == [(1, ids[1])]
        named = connection.execute(f"{ids_of_rows('SELECT unnest([2, 0])', form)} ORDER BY 1")
        assert named.fetchall() == [(0, ids[0]), (2, followed)]
