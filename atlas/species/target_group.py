"""The target group of a taxon: those whose observers would have recorded it too.

Counting records maps observers, so each map of a taxon stands beside the records of its group.
Reads the catalog, one cursor a call; any thread.
"""

from __future__ import annotations

import msgspec

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.species.table_rows import table_rows

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
        self._catalog = catalog
        self._rank = rank

    def of(self, taxon_id: int, group_id: int | None = None) -> TargetGroup:
        """The group asked for, else the nearest ancestor of the settled rank, else the root.

        The taxon itself counts as its own ancestor, so a class is its own group. NotFound for an
        unknown taxon; InvalidQuery when the group does not hold the taxon.
        """
        rows = table_rows(self._catalog.table(_LINEAGE, [taxon_id]))
        if not rows:
            raise NotFound("taxon", str(taxon_id))
        if group_id is not None:
            rows = [row for row in rows if row["taxon_id"] == group_id]
            if not rows:
                problem = f"taxon {group_id} does not hold taxon {taxon_id}"
                raise InvalidQuery("group", problem)
        nearest = next((row for row in rows if row["rank"] == self._rank), rows[-1])
        return msgspec.convert(nearest, TargetGroup)
