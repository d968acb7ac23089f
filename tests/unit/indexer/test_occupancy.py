"""The counts of maps, against one COUNT(DISTINCT) for each resolution and period."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from atlas.bundle.flags import Flag, held_back_mask
from atlas.geo.cells import parent_sql, place
from indexer.occupancy import OCCUPANCY_SCHEMA
from indexer.stages import catalog

FINEST = 4
# Preorder: taxon and last descendant.
TREE = [(0, 9), (1, 5), (2, 3), (3, 3), (4, 5), (5, 5), (6, 9), (7, 8), (8, 8), (9, 9)]


def _images(rows: int, seed: int) -> pa.Table:
    """Photos of few records, observers and places, so that every count has something to tell."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, 4, rows)
    latitude = np.array([52.0, 52.3, -17.8, 89.9])[centre] + rng.normal(0, 0.05, rows)
    longitude = np.array([4.0, 4.9, 179.9, 10.0])[centre] + rng.normal(0, 0.005, rows)
    uncertainty_m = np.where(rng.random(rows) < 0.5, np.nan, rng.choice([10, 3e4, 4e5], rows))
    cells = place(np.minimum(latitude, 90), longitude, uncertainty_m, FINEST)
    first = rng.integers(17_000, 17_900, rows)
    last = first + np.where(rng.random(rows) < 0.2, rng.integers(1, 500, rows), 0)
    dated = rng.random(rows) < 0.8
    return pa.table(
        {
            "taxon_id": pa.array(np.sort(rng.integers(0, len(TREE), rows)), pa.int32()),
            "cell": pa.array(cells, pa.uint64(), mask=rng.random(rows) < 0.1),
            "cell_resolution": pa.array(((cells >> np.uint64(52)) & np.uint64(15)).astype(np.int8)),
            "source_id": pa.array(rng.integers(0, 2, rows), pa.int16()),
            "occurrence_id": [f"o{n}" for n in rng.integers(0, max(1, rows // 3), rows)],
            "observer": [None if n == 0 else f"Observer {n}" for n in rng.integers(0, 5, rows)],
            "observed_from": pa.array(first.astype(np.int32), mask=~dated).cast(pa.date32()),
            "observed_to": pa.array(last.astype(np.int32), mask=~dated).cast(pa.date32()),
            "uncertainty_m": pa.array(uncertainty_m.astype(np.float32), from_pandas=True),
            "flags": pa.array(
                np.where(rng.random(rows) < 0.1, int(Flag.RECORDED_ABSENT), 0), pa.int32()
            ),
        }
    )


def _oracle(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    counted = []
    for resolution in range(FINEST + 1):
        for period, condition in (
            ("0::SMALLINT", "TRUE"),
            (
                "year(observed_from)::SMALLINT",
                "year(observed_from) = year(observed_to)",
            ),
        ):
            occurrences = "count(DISTINCT (source_id, occurrence_id))"
            coarse = f"cell_resolution = {resolution} AND {resolution} < {FINEST}"
            counted.append(
                f"SELECT ancestor_id AS taxon_id, {resolution}::TINYINT AS resolution, {period} "
                f"AS period, {parent_sql('cell', resolution)} AS cell, {occurrences}::INTEGER AS n,"
                f" ({occurrences} FILTER ({coarse}))::INTEGER AS n_coarse, "
                "count(DISTINCT coalesce(observer, ''))::INTEGER AS observers, "
                "(count(DISTINCT (observed_from, coalesce(observer, ''))) "
                "FILTER (observed_from = observed_to))::INTEGER AS visits, "
                "min(observed_from) AS first_day, max(observed_to) AS last_day, "
                "min(uncertainty_m) AS min_uncertainty_m FROM image "
                "JOIN (SELECT a.taxon_id AS ancestor_id, b.taxon_id FROM taxon AS a JOIN taxon AS "
                "b ON b.taxon_id BETWEEN a.taxon_id AND a.last_descendant) USING (taxon_id) "
                f"WHERE cell IS NOT NULL AND flags & {held_back_mask()} = 0 AND {condition} "
                f"AND cell_resolution >= {resolution} GROUP BY 1, 2, 3, 4"
            )
    query = " UNION ALL ".join(counted)
    return connection.sql(
        f"SELECT * FROM ({query}) ORDER BY taxon_id, resolution, period, cell"
    ).fetchall()


@pytest.mark.parametrize("exploded_rows", [1, 50, 10_000])
@pytest.mark.parametrize(("rows", "seed"), [(0, 0), (1, 1), (400, 2), (400, 3)])
def test_counts_are_those_of_distinct_values(
    monkeypatch: pytest.MonkeyPatch, rows: int, seed: int, exploded_rows: int
) -> None:
    """Would break: maps count a record or a visit twice, or not, where photos share one."""
    monkeypatch.setattr(catalog, "_EXPLODED_ROWS", exploded_rows)
    with duckdb.connect() as connection:
        images = _images(rows, seed)
        taxa = pa.table(
            {
                "taxon_id": pa.array([taxon for taxon, _ in TREE], pa.int32()),
                "last_descendant": pa.array([last for _, last in TREE], pa.int32()),
            }
        )
        connection.register("images", images)
        connection.register("taxa", taxa)
        connection.execute("CREATE TABLE image AS SELECT * FROM images")
        connection.execute("CREATE TABLE taxon AS SELECT * FROM taxa")
        catalog._write_occupancy(connection, FINEST)
        found = connection.sql("SELECT * FROM occupancy")
        assert found.columns == OCCUPANCY_SCHEMA.names
        assert found.fetchall() == _oracle(connection)
