"""What the ids in dumps of iNaturalist mean: taxa with the names above them, and observers.

Written once, sorted by id, and mapped into the memory of every worker, which share its pages. Knows
nothing of photos or records. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.bundle.files import atomic_path
from indexer.sources.text_columns import whole
from indexer.work import batches_of, quoted

OBSERVERS_QUERY = (
    "SELECT id, any_value(name) AS name FROM (SELECT TRY_CAST(observer_id AS BIGINT) AS id, "
    "coalesce(nullif(trim(name), ''), login, '') AS name FROM observers) "
    "WHERE id IS NOT NULL GROUP BY id ORDER BY id"
)
"""Observers by id: the name that they give, or else that of their account."""


def taxa_query(ranks: Sequence[str]) -> str:
    """Of each taxon its `name`, and the names of those above it by rank; "" for what is unnamed.

    Inactive taxa stay: observations carry them. Ancestry is written with either kind of slash.
    """
    names = ", ".join(
        f"coalesce(max(above.name) FILTER (WHERE above.rank = {quoted(rank)}), '') "
        f"AS {_column(rank)}"
        for rank in ranks
    )
    return (
        "WITH taxon AS (SELECT * FROM taxa), step AS (SELECT taxon_id, name, "
        "unnest(string_split(replace(coalesce(ancestry, ''), '\\', '/'), '/') || [taxon_id]) "
        "AS above_id FROM taxon) SELECT TRY_CAST(step.taxon_id AS BIGINT) AS id, "
        f"coalesce(any_value(step.name), '') AS name{', ' if names else ''}{names} FROM step "
        "JOIN taxon AS above ON above.taxon_id = step.above_id "
        "WHERE TRY_CAST(step.taxon_id AS BIGINT) IS NOT NULL GROUP BY step.taxon_id ORDER BY id"
    )


def write_named(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write what a query finds, `id` and names, sorted by `id`, whole or not at all."""
    found = batches_of(connection, query)
    with atomic_path(path) as temporary, pa.OSFile(str(temporary), "wb") as file:
        # Texts of one batch have to fit offsets of 32 bits each; one batch is looked up in.
        table = found.read_all().combine_chunks()
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)


class Named:
    """A table of ids and names, as `write_named` wrote it."""

    def __init__(self, path: Path) -> None:
        """Map the file; it is read where it is asked for."""
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        ids = self._table["id"].combine_chunks()
        self._ids: npt.NDArray[np.int64] = ids.to_numpy()

    def of(self, ids: pa.Array) -> dict[str, pa.DictionaryArray]:
        """The names of each id, int64 or null, by column; "" for an id that is not there.

        All columns have the same indices, so that what is done to one distinct id is done once.
        """
        found, at = np.unique(ids.fill_null(-1).to_numpy(), return_inverse=True)
        place = np.searchsorted(self._ids, found)
        place[place == len(self._ids)] = 0
        known = self._ids[place] == found if len(self._ids) else np.zeros(len(found), bool)
        rows = pa.array(place, mask=~known)
        indices = pa.array(at.astype(np.int32))
        names = self._table.drop_columns(["id"]).take(rows)
        return {
            name: pa.DictionaryArray.from_arrays(indices, whole(names[name]).fill_null(""))
            for name in names.column_names
        }


def _column(rank: str) -> str:
    """A rank's column; ranks may be any words, `order` included."""
    return '"rank ' + rank.replace('"', '""') + '"'
