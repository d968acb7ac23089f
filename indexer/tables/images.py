"""The tables with one row a photo: `image` and its second order by cell. One thread.

Rows are read and written some million at a time, so that memory follows neither their number nor
the length of their texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.flags import held_back_mask
from atlas.errors import BuildError
from indexer.work import quoted, quoted_list

# Ten of DuckDB's row groups: a table that is written so has no short ones in between.
CHUNK_ROWS = 10 * 122_880
_PLACED = f"cell IS NOT NULL AND flags & {held_back_mask()} = 0"
_HELD_BACK_SCHEMA = pa.schema(
    [("taxon_id", pa.int32()), ("flags", pa.int32()), ("records", pa.int64())]
)

Numbers = npt.NDArray[np.int64]


class _Run(NamedTuple):
    """The rows of one taxon in one segment; `first` and `last` are row ids."""

    taxon_id: int
    first: int
    last: int
    rows: int


def view_stored(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[Path], living: Path | None
) -> None:
    """Make the view `stored`: all rows that count, with the taxon ids and flags that hold now."""
    connection.execute(f"CREATE TEMP VIEW stored AS {_stored(rows, living)}")


def _stored(rows: Sequence[Path], living: Path | None) -> str:
    written = _written(rows)
    if living is None:
        return f"SELECT * FROM {written}"
    return (
        "SELECT written.* REPLACE (living.taxon_id AS taxon_id, living.flags AS flags) "
        f"FROM {written} AS written JOIN read_parquet({quoted(living)}) AS living USING (row_id)"
    )


def _written(rows: Sequence[Path]) -> str:
    """The rows of segments; those of older bundles have no column of data sets."""
    listed = quoted_list(rows)
    having = ["dataset_key" in pq.read_schema(path).names for path in rows]
    if all(having):
        return f"read_parquet({listed})"
    if any(having):
        return f"read_parquet({listed}, union_by_name = true)"
    return f"(SELECT *, NULL::VARCHAR AS dataset_key FROM read_parquet({listed}))"


def write_images(
    connection: duckdb.DuckDBPyConnection,
    rows: Sequence[Path],
    living: Path | None,
) -> None:
    """Write `observer`, `held_back` and `image`. `source` and `licence_read` are there."""
    connection.execute(
        "CREATE TABLE observer AS SELECT (row_number() OVER (ORDER BY name) - 1)::INTEGER AS "
        "observer_id, name FROM (SELECT '' AS name UNION SELECT observer FROM stored "
        "WHERE observer IS NOT NULL) ORDER BY name"
    )
    counted = _find_counted(connection, rows, living)
    for first in range(0, max(1, len(counted)), CHUNK_ROWS):
        chunk = counted[first : first + CHUNK_ROWS]
        numbers = np.arange(first, first + len(chunk))
        connection.register("counted_arrow", pa.table({"row_id": numbers, "counted": chunk}))
        into = "INSERT INTO image" if first else "CREATE TABLE image AS"
        connection.execute(f"{into} {_image(first, first + CHUNK_ROWS - 1)}")
    connection.unregister("counted_arrow")
    (there,), (wanted,) = connection.execute(
        "SELECT count(row_id) FROM image UNION ALL SELECT count(*) FROM stored"
    ).fetchall()
    if there != wanted:
        raise BuildError("catalog", f"{wanted} rows are stored, {there} came into the catalog")


def _image(first: int, last: int) -> str:
    inside = f"(SELECT * FROM stored WHERE row_id BETWEEN {first} AND {last})"
    return (
        "SELECT row_id, occurrence_id, taxon_id, scientific_name, cell, "
        "((cell >> 52) & 15)::TINYINT AS cell_resolution, latitude, longitude, "
        "uncertainty_m::FLOAT AS uncertainty_m, observed_from, observed_to, "
        "CASE WHEN date_trunc('month', observed_from) = date_trunc('month', observed_to) "
        "THEN month(observed_from)::TINYINT END AS month, "
        "observer_id, basis_of_record, dataset_key, source_id, record.licence_id AS licence_id, "
        "photo.licence_id AS media_licence_id, rights_holder, reference_url, media_url, "
        f"media_type, flags, counted FROM {inside} AS stored JOIN counted_arrow USING (row_id) "
        "JOIN source ON source.key = stored.source_key "
        "JOIN observer ON observer.name = coalesce(stored.observer, '') "
        "LEFT JOIN licence_read AS record ON record.written = stored.licence "
        "LEFT JOIN licence_read AS photo ON photo.written = stored.media_licence "
        "ORDER BY row_id"
    )


def write_by_cell(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `image_by_cell`: the same rows by cell."""
    connection.execute(
        "CREATE TABLE image_by_cell AS SELECT cell, row_id, taxon_id, observed_from, "
        "(observed_to - observed_from)::INTEGER AS span_days, observer_id, uncertainty_m, "
        "source_id, counted FROM image WHERE cell IS NOT NULL ORDER BY cell, taxon_id, row_id"
    )


def _find_counted(
    connection: duckdb.DuckDBPyConnection,
    rows: Sequence[Path],
    living: Path | None,
) -> npt.NDArray[np.bool_]:
    """Whether each row id is the first photo of its record; writes `held_back` on the way.

    A record is one source's occurrence id within one taxon and cell, so that records add up over
    taxa and over cells. Taxa are taken some at a time: in each segment they are one run of rows.
    """
    runs = [list(_runs(connection, _stored([path], living))) for path in rows]
    end = max((run.last + 1 for found in runs for run in found), default=0)
    counted = np.zeros(end, np.bool_)
    connection.register("held_back_arrow", _HELD_BACK_SCHEMA.empty_table())
    connection.execute("CREATE TABLE held_back AS SELECT * FROM held_back_arrow")
    for low, high in _taxon_chunks(runs, CHUNK_ROWS):
        inside = _inside(runs, low, high)
        found = connection.execute(
            f"SELECT min(row_id) AS row_id FROM stored WHERE {_PLACED} AND {inside} "
            "GROUP BY taxon_id, cell, source_key, occurrence_id"
        ).fetchnumpy()
        counted[found["row_id"]] = True
        connection.execute(
            f"INSERT INTO held_back SELECT taxon_id, flags & {held_back_mask()} AS bits, "
            "count(DISTINCT (source_key, occurrence_id)) FROM stored "
            f"WHERE bits <> 0 AND {inside} GROUP BY taxon_id, bits ORDER BY taxon_id, bits"
        )
    return counted


def _runs(connection: duckdb.DuckDBPyConnection, stored: str) -> Iterator[_Run]:
    found = connection.execute(
        "SELECT taxon_id, min(row_id), max(row_id), count(*) "
        f"FROM ({stored}) GROUP BY taxon_id ORDER BY taxon_id"
    )
    yield from map(_Run._make, found.fetchall())


def _taxon_chunks(runs: Sequence[Sequence[_Run]], most: int) -> Iterator[tuple[int, int]]:
    """Intervals of taxa with `most` rows at most, or of one taxon; first and last taxon id."""
    rows: dict[int, int] = {}
    for run in (run for found in runs for run in found):
        rows[run.taxon_id] = rows.get(run.taxon_id, 0) + run.rows
    taxa = sorted(rows)
    low, held = 0, 0
    for place, taxon_id in enumerate(taxa):
        if place > low and held + rows[taxon_id] > most:
            yield taxa[low], taxa[place - 1]
            low, held = place, 0
        held += rows[taxon_id]
    if taxa:
        yield taxa[low], taxa[-1]


def _inside(runs: Sequence[Sequence[_Run]], low: int, high: int) -> str:
    """SQL for the rows of an interval of taxa; the row ids are there to skip blocks of rows."""
    spans = []
    for found in runs:
        own = [run for run in found if low <= run.taxon_id <= high]
        if own:
            spans.append(f"row_id BETWEEN {own[0].first} AND {own[-1].last}")
    return f"taxon_id BETWEEN {low} AND {high} AND ({' OR '.join(spans)})"
