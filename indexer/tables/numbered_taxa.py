"""The taxa of a build or a revision: numbered in preorder from names, and written as files.

Reads names in DuckDB; knows neither parts nor segments. One thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from atlas.species.taxa import CommonName, TaxonName, TaxonTree, build_tree, fold
from indexer.work import write_batches

TAXA_SCHEMA = pa.schema(
    [
        ("taxon_id", pa.int32()),
        ("last_descendant", pa.int32()),
        ("parent_id", pa.int32()),
        ("depth", pa.int16()),
        ("rank", pa.string()),
        ("scientific_name", pa.string()),
        ("common_name", pa.string()),
        ("lineage", pa.list_(pa.int32())),
        ("path", pa.list_(pa.string())),
    ]
)
NAMES_SCHEMA = pa.schema(
    [
        ("folded", pa.string()),
        ("name", pa.string()),
        ("taxon_id", pa.int32()),
        ("kind", pa.string()),
        ("language", pa.string()),
    ]
)


def number_taxa(connection: duckdb.DuckDBPyConnection, ranks: Sequence[str]) -> TaxonTree:
    """Build the tree and the table `assigned` (lineage, scientific name -> taxon id).

    Reads lineage, scientific_name and common_name of the connection's view `incoming`.
    """
    return number_names(connection, ranks, "SELECT *, 1 AS uses FROM incoming")


def number_names(
    connection: duckdb.DuckDBPyConnection, ranks: Sequence[str], names: str
) -> TaxonTree:
    """`number_taxa` of the names that a query finds, each with its number of uses."""
    found = connection.execute(
        "SELECT lineage, scientific_name, list(common_name ORDER BY uses DESC, common_name) FROM ("
        f"  SELECT lineage, scientific_name, common_name, sum(uses) AS uses FROM ({names})"
        "  GROUP BY ALL) GROUP BY lineage, scientific_name ORDER BY lineage, scientific_name"
    ).fetchall()
    inputs = [
        TaxonName(
            lineage=tuple(lineage),
            scientific_name=scientific,
            common_names=tuple(CommonName(name=name, language="en") for name in common if name),
        )
        for lineage, scientific, common in found
    ]
    tree = build_tree(inputs, ranks)
    table = pa.table(
        {
            "lineage": pa.array([row[0] for row in found], pa.list_(pa.string())),
            "scientific_name": pa.array([row[1] for row in found], pa.string()),
            "taxon_id": pa.array(tree.assignment, pa.int32()),
        }
    )
    connection.register("assigned_arrow", table)
    connection.execute("CREATE TABLE assigned AS SELECT * FROM assigned_arrow")
    return tree


def write_taxa(tree: TaxonTree, taxa: Path, names: Path) -> None:
    """Write every taxon to `taxa`, and every name to `names`."""
    count = len(tree.scientific_name)
    lineages: list[list[int]] = []
    for taxon_id in range(count):
        parent = int(tree.parent_id[taxon_id])
        lineages.append([] if taxon_id == 0 else [*lineages[parent], parent])
    table = pa.table(
        {
            "taxon_id": range(count),
            "last_descendant": tree.last_descendant,
            "parent_id": [None if i == 0 else int(tree.parent_id[i]) for i in range(count)],
            "depth": tree.depth,
            "rank": tree.rank,
            "scientific_name": tree.scientific_name,
            "common_name": [common[0].name if common else None for common in tree.common_names],
            "lineage": lineages,
            "path": [list(lineage) for lineage in tree.lineage],
        },
        TAXA_SCHEMA,
    )
    write_batches(taxa, TAXA_SCHEMA, table.to_batches())
    rows: list[tuple[str, str, int, str, str]] = [
        (fold(name), name, taxon_id, "scientific", "")
        for taxon_id, name in enumerate(tree.scientific_name)
    ]
    rows += [
        (fold(common.name), common.name, taxon_id, "common", common.language)
        for taxon_id, every in enumerate(tree.common_names)
        for common in every
    ]
    rows.sort(key=lambda row: (row[0], row[2], row[3], row[1]))
    columns = list(zip(*rows, strict=True))
    table = pa.table(dict(zip(NAMES_SCHEMA.names, columns, strict=True)), NAMES_SCHEMA)
    write_batches(names, NAMES_SCHEMA, table.to_batches())
