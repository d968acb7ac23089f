"""Finds the rows of a bundle that a query set's relevant images are. One thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from atlas.bundle.bundle import Bundle
from atlas.bundle.image_ids import form_of_ids, rows_of_ids
from indexer.evaluation.query_set import Query
from indexer.evaluation.searched import RowIds
from indexer.evaluation.settings import Match


class Matching(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by the image that the query set names.

    `rows` holds those that a search can answer with; `hidden` are images of which the bundle has
    only rows that it cannot; `unknown` are images that the bundle does not have.
    """

    rows: dict[str, tuple[int, ...]]
    hidden: frozenset[str]
    unknown: frozenset[str]

    def relevant_rows(self, query: Query) -> RowIds:
        """Sorted distinct rows that are right answers to a query."""
        found = {row for image in query.images for row in self.rows.get(image, ())}
        return np.array(sorted(found), np.int64)

    def missing(self, query: Query) -> int:
        """How many images of a query are hidden or unknown."""
        return sum(image not in self.rows for image in query.images)


def match_images(
    bundle: Bundle, queries: Iterable[Query], match: Match, hidden: RowIds
) -> Matching:
    """Compare every image that the queries name with column `match` of the bundle's images."""
    named = sorted({image for query in queries for image in query.images})
    wanted = pa.table({"name": pa.array(named, pa.string())})
    with duckdb.connect(str(bundle.catalog_path), read_only=True) as connection:
        connection.register("wanted", wanted)
        found, name = "image", "wanted.name"
        if match == "image_id":
            # The few names are cast, not the many ids.
            name = "wanted.name::UUID"
            ids = "SELECT name::UUID AS image_id FROM wanted"
            found = f"({rows_of_ids(ids, form_of_ids(connection))})"
        pairs = connection.execute(
            f"SELECT wanted.name, found.row_id FROM {found} AS found "
            f"JOIN wanted ON found.{match} = {name} ORDER BY found.row_id"
        ).fetchall()
    hides = set(hidden.tolist())
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for name, row in pairs:
        if row not in hides:
            rows[name].append(row)
    known = {name for name, _ in pairs}
    return Matching(
        rows={name: tuple(found) for name, found in rows.items()},
        hidden=frozenset(known - rows.keys()),
        unknown=frozenset(named) - known,
    )
