"""The target group of a taxon: those whose observers would have recorded it too.

Counting records maps observers, so each map of a taxon stands beside the records of its group.
Reads the catalog, one cursor a call; any thread.
"""

from __future__ import annotations

import msgspec
import numpy as np

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.species.table_rows import table_rows
from atlas.species.taxa import ROOT_RANK

_LINEAGE = """
    SELECT a.taxon_id, a.rank, a.scientific_name
    FROM taxon t JOIN taxon a ON a.taxon_id <= t.taxon_id AND a.last_descendant >= t.taxon_id
    WHERE t.taxon_id = ?
    ORDER BY a.depth DESC
"""


class TargetGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The taxon whose records count as effort."""

    taxon_id: int
    scientific_name: str
    rank: str


class TargetGroups:
    """Finds target groups: the ancestor of one rank, such as the class."""

    def __init__(self, catalog: Catalog, rank: str) -> None:
        """Read the taxa of that rank, some thousands: every tile asks for a group."""
        self._catalog = catalog
        found = catalog.table(
            "SELECT taxon_id, last_descendant, scientific_name FROM taxon WHERE rank = ? "
            "OR taxon_id = 0 ORDER BY taxon_id",
            [rank],
        )
        self._rank = rank
        self._first = np.asarray(found["taxon_id"], np.int64)
        self._last = np.asarray(found["last_descendant"], np.int64)
        self._names: list[str] = found["scientific_name"].tolist()

    def of(self, taxon_id: int, group_id: int | None = None) -> TargetGroup:
        """The group asked for, else the nearest ancestor of the settled rank, else the root.

        The taxon itself counts as its own ancestor, so a class is its own group. NotFound for an
        unknown taxon; InvalidQuery when the group does not hold the taxon.
        """
        if group_id is not None:
            return self._named(taxon_id, group_id)
        # Ancestors come before their descendants: the nearest one is the last that holds the taxon.
        holders = np.flatnonzero((self._first <= taxon_id) & (self._last >= taxon_id))
        if not len(holders):
            raise NotFound("taxon", str(taxon_id))
        nearest = int(holders[-1])
        first = int(self._first[nearest])
        rank = self._rank if first else ROOT_RANK
        return TargetGroup(taxon_id=first, scientific_name=self._names[nearest], rank=rank)

    def _named(self, taxon_id: int, group_id: int) -> TargetGroup:
        rows = table_rows(self._catalog.table(_LINEAGE, [taxon_id]))
        if not rows:
            raise NotFound("taxon", str(taxon_id))
        for row in rows:
            if row["taxon_id"] == group_id:
                return msgspec.convert(row, TargetGroup)
        raise InvalidQuery("group", f"taxon {group_id} does not hold taxon {taxon_id}")
