"""Target groups: the nearest ancestor of a rank, else all life."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.species.target_group import TargetGroups
from tests.catalog_factory import TAXA, write_catalog


@pytest.mark.parametrize("rank", ["root", "kingdom", "genus", "species", "class"])
def test_nearest_ancestor_of_the_rank(tmp_path: Path, rank: str) -> None:
    """A frog beside the effort for birds, or of nobody, would be a wrong map: by brute force."""
    catalog = Catalog.open(write_catalog(tmp_path / "c.duckdb", []))
    groups = TargetGroups(catalog, rank)
    by_id = {taxon.taxon_id: taxon for taxon in TAXA}
    for taxon in TAXA:
        holders = [by_id[i] for i in (*taxon.lineage, taxon.taxon_id)]
        expected = next((t for t in reversed(holders) if t.rank == rank), TAXA[0])
        found = groups.of(taxon.taxon_id)
        assert (found.taxon_id, found.rank) == (expected.taxon_id, expected.rank)
        assert found.scientific_name == expected.scientific_name
        for holder in holders:
            assert groups.of(taxon.taxon_id, holder.taxon_id).rank == holder.rank
    with pytest.raises(InvalidQuery, match="does not hold"):
        groups.of(3, 5)
    for unknown in (-1, 9):
        with pytest.raises(NotFound):
            groups.of(unknown)
        with pytest.raises(NotFound):
            groups.of(unknown, 0)
    catalog.close()
