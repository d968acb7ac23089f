"""Catalog stage: segment rows and the taxon tree in, one DuckDB file out.

Every table is made by CREATE TABLE AS from files of the bundle, so the catalog can be rebuilt at
any time. Counts on maps are of records (distinct occurrences), not of photos, and leave out what
the default quality filter holds back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from atlas.bundle.files import atomic_path
from atlas.bundle.flags import FLAGS, held_back_mask
from atlas.geo.cells import parent_sql
from indexer.licences import Licence, normalise_licence

STEPS = 5


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
        connection = duckdb.connect(str(temporary), config={"temp_directory": str(scratch)})
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
    all time only.
    """
    connection.execute(
        "CREATE TEMP TABLE placed AS SELECT taxon_id, cell, cell_resolution, occurrence_id, "
        "source_id, coalesce(observer, '') AS observer, observed_from, observed_to, "
        "CASE WHEN year(observed_from) = year(observed_to) THEN year(observed_from)::SMALLINT END "
        "AS period, CASE WHEN observed_from = observed_to THEN observed_from END AS day, "
        f"uncertainty_m FROM image WHERE cell IS NOT NULL AND flags & {held_back_mask()} = 0"
    )
    parts = []
    for resolution in range(finest + 1):
        roll_up = (
            f"SELECT ancestor_id AS taxon_id, {resolution}::TINYINT AS resolution, "
            f"{parent_sql('cell', resolution)} AS rolled, placed.* EXCLUDE (taxon_id) "
            "FROM placed JOIN taxon_ancestor USING (taxon_id) "
            f"WHERE cell_resolution >= {resolution}"
        )
        parts += [
            _count_sql(roll_up, "0::SMALLINT", "TRUE", resolution, finest),
            _count_sql(roll_up, "period", "period IS NOT NULL", resolution, finest),
        ]
    connection.execute(
        "CREATE TABLE occupancy AS "
        + " UNION ALL ".join(parts)
        + " ORDER BY taxon_id, resolution, period, cell"
    )


def _count_sql(rows: str, period: str, condition: str, resolution: int, finest: int) -> str:
    occurrences = "count(DISTINCT (source_id, occurrence_id))"
    coarse = f"cell_resolution = {resolution} AND {resolution} < {finest}"
    return (
        f"SELECT taxon_id, resolution, {period} AS period, rolled AS cell, "
        f"{occurrences}::INTEGER AS n, ({occurrences} FILTER ({coarse}))::INTEGER AS n_coarse, "
        "count(DISTINCT observer)::INTEGER AS observers, "
        "(count(DISTINCT (day, observer)) FILTER (day IS NOT NULL))::INTEGER AS visits, "
        "min(observed_from) AS first_day, max(observed_to) AS last_day, "
        f"min(uncertainty_m) AS min_uncertainty_m FROM ({rows}) WHERE {condition} "
        f"GROUP BY taxon_id, resolution, {period}, rolled"
    )
