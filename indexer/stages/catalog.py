"""Catalog stage: segment rows and the taxon tree in, one DuckDB file out.

Every table is made by CREATE TABLE AS from files of the bundle, so the catalog can be rebuilt at
any time. Counts on maps are of records (distinct occurrences), not of photos, and leave out what
the default quality filter holds back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.bundle.files import atomic_path
from atlas.bundle.flags import FLAGS, held_back_mask
from atlas.errors import BuildError
from indexer.licences import Licence, normalise_licence
from indexer.occupancy import NEVER, OCCUPANCY_SCHEMA, Sightings, count_occupancy
from indexer.work import open_database

STEPS = 5
Numbers = npt.NDArray[np.int64]
# Rows counted at once, each as often as it has ancestors among the taxa counted. Every one may
# become a row at each resolution, for all time and for its year: 500 MB while they are sorted.
_EXPLODED_ROWS = 100_000
_NO_VISIT = -(2**62)


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One source as the catalog lists it."""

    key: str
    kind: str
    title: str
    citation: str
    licence: str
    url: str


class CatalogInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog is made of.

    `rows` are the segments' row files in order, `finest` is the storage resolution of cells,
    `hosted_licences` are the codes of the photo licences whose pictures the bundle may hold.
    `living` lists the rows that count, with the taxon ids and flags that hold now; without it
    every row counts as it was written.
    """

    rows: tuple[Path, ...]
    taxa: Path
    names: Path
    sources: tuple[SourceRow, ...]
    hosted_licences: tuple[str, ...]
    finest: int
    living: Path | None = None


def write_catalog(
    given: CatalogInput, path: Path, scratch: Path, progress: Callable[[int], None]
) -> None:
    """Write the catalog to `path`; `progress` is called with 1 after each of `STEPS` steps.

    DuckDB spills into `scratch`, which is removed afterwards.
    """
    if path.exists():
        progress(STEPS)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        connection = open_database(scratch, temporary)
        try:
            _fill(connection, given, progress)
        finally:
            connection.close()
            Path(f"{temporary}.wal").unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    connection: duckdb.DuckDBPyConnection, given: CatalogInput, progress: Callable[[int], None]
) -> None:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in given.rows)
    stored = f"SELECT * FROM read_parquet([{listed}])"
    if given.living is not None:
        living = str(given.living).replace("'", "''")
        stored = (
            "SELECT written.* REPLACE (living.taxon_id AS taxon_id, living.flags AS flags) "
            f"FROM read_parquet([{listed}]) AS written "
            f"JOIN read_parquet('{living}') AS living USING (row_id)"
        )
    connection.execute(f"CREATE TEMP VIEW stored AS {stored}")
    _write_small_tables(connection, given.sources, given.hosted_licences)
    progress(1)
    _write_images(connection)
    progress(1)
    connection.execute(
        "CREATE TABLE image_key AS SELECT image_id, row_id FROM image ORDER BY image_id"
    )
    connection.execute(
        "CREATE TABLE image_by_cell AS SELECT cell, row_id FROM image WHERE cell IS NOT NULL "
        "ORDER BY cell, row_id"
    )
    progress(1)
    _write_taxa(connection, given.taxa, given.names)
    progress(1)
    _write_occupancy(connection, given.finest)
    progress(1)


def _write_small_tables(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[SourceRow],
    hosted_licences: Sequence[str],
) -> None:
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
            "hosting": pa.array([code in hosted_licences for code in codes], pa.bool_()),
        }
    )
    read = pa.table(
        {
            "written": pa.array(list(readings), pa.string()),
            "licence_id": pa.array([number[r.code] for r in readings.values()], pa.int16()),
        }
    )
    flag = pa.table(
        {
            "bit": pa.array([int(meaning.flag) for meaning in FLAGS], pa.int32()),
            "name": [meaning.name for meaning in FLAGS],
            "meaning": [meaning.meaning for meaning in FLAGS],
            "held_back": [meaning.held_back for meaning in FLAGS],
        }
    )
    source = pa.table(
        {
            "source_id": pa.array(range(len(sources)), pa.int16()),
            **{
                field: pa.array([getattr(row, field) for row in sources], pa.string())
                for field in SourceRow.__struct_fields__
            },
        }
    )
    connection.register("licence_arrow", licence)
    connection.register("read_arrow", read)
    connection.register("flag_arrow", flag)
    connection.register("source_arrow", source)
    connection.execute("CREATE TABLE licence AS SELECT * FROM licence_arrow")
    connection.execute("CREATE TEMP TABLE licence_read AS SELECT * FROM read_arrow")
    connection.execute("CREATE TABLE flag AS SELECT * FROM flag_arrow")
    connection.execute(
        "CREATE TABLE source AS SELECT source_arrow.*, coalesce(counted.rows, 0) AS rows "
        "FROM source_arrow LEFT JOIN (SELECT source_key AS key, count(*) AS rows FROM stored "
        "GROUP BY ALL) AS counted USING (key) ORDER BY source_id"
    )


def _write_images(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE image AS SELECT row_id, stored.image_id::UUID AS image_id, occurrence_id, "
        "taxon_id, scientific_name, cell, "
        "((cell >> 52) & 15)::TINYINT AS cell_resolution, latitude, longitude, "
        "uncertainty_m::FLOAT AS uncertainty_m, observed_from, observed_to, "
        "CASE WHEN date_trunc('month', observed_from) = date_trunc('month', observed_to) "
        "THEN month(observed_from)::TINYINT END AS month, "
        "observer, basis_of_record, source_id, record.licence_id AS licence_id, "
        "photo.licence_id AS media_licence_id, rights_holder, reference_url, media_url, "
        "media_type, flags "
        "FROM stored JOIN source ON source.key = stored.source_key "
        "LEFT JOIN licence_read AS record ON record.written = stored.licence "
        "LEFT JOIN licence_read AS photo ON photo.written = stored.media_licence ORDER BY row_id"
    )


def _write_taxa(connection: duckdb.DuckDBPyConnection, taxa: Path, names: Path) -> None:
    connection.execute(
        "CREATE TEMP TABLE taxon_bare AS SELECT * FROM read_parquet(?) ORDER BY taxon_id",
        [str(taxa)],
    )
    connection.execute(
        "CREATE TEMP TABLE taxon_ancestor AS SELECT taxon_id, unnest(list_append(lineage, "
        "taxon_id)) AS ancestor_id FROM taxon_bare"
    )
    connection.execute(
        "CREATE TABLE taxon AS WITH here AS (SELECT taxon_id, count(*) AS images FROM image "
        "GROUP BY taxon_id), below AS (SELECT ancestor_id AS taxon_id, sum(images)::BIGINT AS "
        "images FROM here JOIN taxon_ancestor USING (taxon_id) GROUP BY ancestor_id) "
        "SELECT taxon_bare.*, coalesce(below.images, 0) AS images, "
        "coalesce(here.images, 0) AS images_here FROM taxon_bare "
        "LEFT JOIN below USING (taxon_id) LEFT JOIN here USING (taxon_id) ORDER BY taxon_id"
    )
    connection.execute(
        "CREATE TABLE taxon_name AS SELECT * FROM read_parquet(?) "
        "ORDER BY folded, taxon_id, kind, name",
        [str(names)],
    )


def _write_occupancy(connection: duckdb.DuckDBPyConnection, finest: int) -> None:
    """Count records, observers and visits of every taxon in every cell, for all time and by year.

    A visit is one cell, day and observer, so a record without a day is no visit. Records without
    an observer's name count as one unnamed observer. A record whose dates span years counts for
    all time only. Taxa are counted a few at a time, in order, so that memory follows neither the
    rows nor the table, which is many times larger.
    """
    connection.execute(
        "CREATE TEMP TABLE observer_number AS SELECT observer, row_number() OVER () AS number "
        "FROM (SELECT DISTINCT coalesce(observer, '') AS observer FROM image)"
    )
    connection.execute(
        "CREATE TEMP TABLE record_number AS SELECT source_id, occurrence_id, row_number() OVER () "
        "AS number FROM (SELECT DISTINCT source_id, occurrence_id FROM image)"
    )
    connection.execute(
        "CREATE TEMP TABLE placed AS SELECT taxon_id, cell, record_number.number AS record, "
        "observer_number.number AS observer, "
        "CASE WHEN observed_from = observed_to THEN date_diff('day', DATE '1970-01-01', "
        "observed_from) * (SELECT max(number) + 1 FROM observer_number) + observer_number.number "
        f"ELSE {_NO_VISIT} END AS visit, "
        "CASE WHEN year(observed_from) = year(observed_to) THEN year(observed_from)::SMALLINT "
        "ELSE 0 END AS period, "
        f"coalesce(date_diff('day', DATE '1970-01-01', observed_from), {NEVER})::INTEGER AS first, "
        f"coalesce(date_diff('day', DATE '1970-01-01', observed_to), -{NEVER})::INTEGER AS last, "
        "coalesce(uncertainty_m, 'inf'::FLOAT) AS uncertainty_m, "
        "((cell >> 45) & 127)::TINYINT AS base_cell FROM image "
        "JOIN observer_number ON observer_number.observer = coalesce(image.observer, '') "
        "JOIN record_number USING (source_id, occurrence_id) "
        f"WHERE cell IS NOT NULL AND flags & {held_back_mask()} = 0 ORDER BY taxon_id"
    )
    connection.execute("DROP TABLE observer_number")
    connection.execute("DROP TABLE record_number")
    connection.register("occupancy_arrow", OCCUPANCY_SCHEMA.empty_table())
    connection.execute("CREATE TABLE occupancy AS SELECT * FROM occupancy_arrow")
    last, rows = _subtrees(connection)
    # Never in one transaction: beside a temporary table that was replaced in it, DuckDB 2.0 lost
    # 61 million rows without an error. Therefore they are also counted.
    written = 0
    for first, stop in _runs_of_taxa(rows, _EXPLODED_ROWS):
        pieces = _count_taxa(connection, first, last[first:stop], finest)
        if rows[first:stop].sum() <= _EXPLODED_ROWS:
            written += _insert(connection, "occupancy", pieces)
            continue
        # A taxon with many rows came in pieces, which DuckDB sorts together, spilling if it must.
        connection.execute("CREATE OR REPLACE TEMP TABLE piece AS SELECT * FROM occupancy LIMIT 0")
        written += _insert(connection, "piece", pieces)
        connection.execute(
            "INSERT INTO occupancy SELECT * FROM piece ORDER BY taxon_id, resolution, period, cell"
        )
    connection.execute("DROP TABLE IF EXISTS piece")
    found = connection.execute("SELECT count(cell) FROM occupancy").fetchall()[0][0]
    if found != written:
        raise BuildError("catalog", f"{written} rows of occupancy were written, {found} are there")
    connection.unregister("occupancy_arrow")


def _insert(connection: duckdb.DuckDBPyConnection, table: str, pieces: Iterable[pa.Table]) -> int:
    """Append pieces to a table; returns their rows."""
    rows = 0
    for piece in pieces:
        connection.register("occupancy_arrow", piece)
        connection.execute(f"INSERT INTO {table} SELECT * FROM occupancy_arrow")
        rows += piece.num_rows
    return rows


def _subtrees(connection: duckdb.DuckDBPyConnection) -> tuple[Numbers, Numbers]:
    """The last descendant of every taxon, and the placed rows of it with all below."""
    found = connection.execute(
        "SELECT last_descendant, coalesce(counted.rows, 0) AS rows FROM taxon LEFT JOIN "
        "(SELECT taxon_id, count(*) AS rows FROM placed GROUP BY taxon_id) AS counted "
        "USING (taxon_id) ORDER BY taxon_id"
    ).fetchnumpy()
    last = found["last_descendant"].astype(np.int64)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(found["rows"].astype(np.int64))])
    return last, before[last + 1] - before[:-1]


def _runs_of_taxa(rows: Numbers, most: int) -> Iterator[tuple[int, int]]:
    """Runs of taxa, first and one past the last, with `most` rows at most or one taxon."""
    first = held = 0
    for taxon, count in enumerate(rows.tolist()):
        if taxon > first and held + count > most:
            yield first, taxon
            first, held = taxon, 0
        held += count
    if len(rows):
        yield first, len(rows)


def _count_taxa(
    connection: duckdb.DuckDBPyConnection, first: int, last: Numbers, finest: int
) -> Iterator[pa.Table]:
    """Occupancy of the taxa from `first` on, whose last descendants are `last`.

    Rows come by H3 base cell, which no cell of any resolution straddles: a taxon with many rows
    comes in pieces, all others in one.
    """
    inside = "FROM placed WHERE taxon_id BETWEEN ? AND ?"
    bounds = [first, int(last.max())]
    per_base = connection.execute(
        f"SELECT base_cell, count(*) {inside} GROUP BY base_cell ORDER BY base_cell", bounds
    ).fetchall()
    counts = np.array([rows for _, rows in per_base], np.int64)
    # Taxa that are counted together may together have twice the rows; they stay in one piece.
    most = _EXPLODED_ROWS if len(last) == 1 else int(counts.sum())
    for start, stop in _runs_of_taxa(counts, most):
        span = [per_base[start][0], per_base[stop - 1][0]]
        found = connection.execute(
            "SELECT taxon_id, cell, record, observer, visit, period, first, last, uncertainty_m "
            f"{inside} AND base_cell BETWEEN ? AND ?",
            [*bounds, *span],
        ).fetchnumpy()
        sightings = _with_ancestors(found, first, last)
        counted = count_occupancy(sightings, finest)
        taxon = pa.array(counted["taxon_id"].to_numpy() + first, pa.int32())
        yield counted.set_column(0, OCCUPANCY_SCHEMA.field(0), taxon)


def _with_ancestors(found: dict[str, Any], first: int, last: Numbers) -> Sightings:
    """Each row once for every taxon of a run that it belongs to; taxa count from `first`."""
    order = np.argsort(found["taxon_id"], kind="stable")
    taxon = np.asarray(found["taxon_id"])[order]
    begin = np.searchsorted(taxon, np.arange(first, first + len(last)))
    count = np.searchsorted(taxon, last, side="right") - begin
    counted_for = np.repeat(np.arange(len(last)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows = order[np.repeat(begin, count) + within]
    _, visit = np.unique(found["visit"], return_inverse=True)
    # The number of no visit is the least there is.
    visit = visit - 1 if (found["visit"] == _NO_VISIT).any() else visit
    return Sightings(
        taxon=counted_for,
        cell=found["cell"][rows],
        record=found["record"][rows],
        observer=found["observer"][rows],
        visit=visit[rows],
        period=found["period"].astype(np.int64)[rows],
        first=found["first"][rows],
        last=found["last"][rows],
        uncertainty_m=found["uncertainty_m"][rows],
    )
