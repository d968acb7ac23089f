"""The small tables of a catalog: sources, licences, flags. One thread."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import msgspec
import pyarrow as pa

from atlas.bundle.flags import FLAGS
from indexer.licences import Licence, normalise_licence


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One source as the catalog lists it."""

    key: str
    kind: str
    title: str
    citation: str
    licence: str
    url: str


def write_sources(connection: duckdb.DuckDBPyConnection, sources: Sequence[SourceRow]) -> None:
    """Write `source`; its rows are counted in the view `stored`."""
    source = pa.table(
        {
            "source_id": pa.array(range(len(sources)), pa.int16()),
            **{
                field: pa.array([getattr(row, field) for row in sources], pa.string())
                for field in SourceRow.__struct_fields__
            },
        }
    )
    connection.register("source_arrow", source)
    connection.execute(
        "CREATE TABLE source AS SELECT source_arrow.*, coalesce(counted.rows, 0) AS rows "
        "FROM source_arrow LEFT JOIN (SELECT source_key AS key, count(*) AS rows FROM stored "
        "GROUP BY ALL) AS counted USING (key) ORDER BY source_id"
    )


def write_licences(connection: duckdb.DuckDBPyConnection, hosted: Sequence[str]) -> None:
    """Write `licence`, and `licence_read` (temporary): the licence of each text in `stored`."""
    written = connection.execute(
        "SELECT DISTINCT written FROM (SELECT licence AS written FROM stored UNION ALL "
        "SELECT media_licence FROM stored) WHERE written IS NOT NULL ORDER BY written"
    ).fetchall()
    readings: dict[str, Licence] = {
        text: licence for (text,) in written if (licence := normalise_licence(text)) is not None
    }
    known = {licence.code: licence for licence in readings.values()}
    codes = sorted(known)
    number = {code: i for i, code in enumerate(codes)}
    licence = pa.table(
        {
            "licence_id": pa.array(range(len(codes)), pa.int16()),
            "code": pa.array(codes, pa.string()),
            "title": pa.array([known[code].title for code in codes], pa.string()),
            "url": pa.array([known[code].url for code in codes], pa.string()),
            "hosting": pa.array([code in hosted for code in codes], pa.bool_()),
        }
    )
    read = pa.table(
        {
            "written": pa.array(list(readings), pa.string()),
            "licence_id": pa.array([number[r.code] for r in readings.values()], pa.int16()),
        }
    )
    connection.register("licence_arrow", licence)
    connection.register("read_arrow", read)
    connection.execute("CREATE TABLE licence AS SELECT * FROM licence_arrow")
    connection.execute("CREATE TEMP TABLE licence_read AS SELECT * FROM read_arrow")


def write_flags(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `flag`: what each bit means."""
    flag = pa.table(
        {
            "bit": pa.array([int(meaning.flag) for meaning in FLAGS], pa.int32()),
            "name": [meaning.name for meaning in FLAGS],
            "meaning": [meaning.meaning for meaning in FLAGS],
            "held_back": [meaning.held_back for meaning in FLAGS],
        }
    )
    connection.register("flag_arrow", flag)
    connection.execute("CREATE TABLE flag AS SELECT * FROM flag_arrow")
