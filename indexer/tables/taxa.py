"""The tables of taxa and their names, with the photos of each. One thread."""

from __future__ import annotations

from pathlib import Path

import duckdb


def write_taxa(connection: duckdb.DuckDBPyConnection, taxa: Path, names: Path) -> None:
    """Write `taxon` and `taxon_name`; photos are counted in `image`."""
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
