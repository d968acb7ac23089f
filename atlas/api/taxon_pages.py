"""One taxon as the API shows it: lineage, children, counts, names.

Reads the catalog; any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from atlas import catalog as tables
from atlas.api.taxon_schemas import ChildTaxon, CommonName, RankName, Taxon, TaxonCounts
from atlas.catalog import Catalog
from atlas.species.table_rows import table_rows

_CHILDREN = """
    SELECT taxon_id, scientific_name, common_name, rank, images FROM taxon
    WHERE parent_id = ? ORDER BY images DESC, scientific_name, taxon_id LIMIT ?
"""
_COUNT_CHILDREN = "SELECT count(*) AS n FROM taxon WHERE parent_id = ?"


class TaxonPages:
    """Reads taxa of a catalog whose lineages have these `ranks`, highest first."""

    def __init__(self, catalog: Catalog, ranks: Sequence[str]) -> None:
        self._catalog = catalog
        self._ranks = tuple(ranks)

    def read(self, taxon_id: int, *, most_children: int) -> Taxon:
        """One taxon, with those of its children that hold most images; NotFound if unknown."""
        taxon = self._catalog.taxon(taxon_id)
        children = self._catalog.table(_CHILDREN, [taxon_id, most_children])
        return Taxon(
            taxon_id=taxon_id,
            parent_id=taxon.parent_id,
            scientific_name=taxon.scientific_name,
            common_name=taxon.common_name or None,
            common_names=[
                CommonName(name=row.name, language=row.language or "")
                for row in self._catalog.taxon_names(taxon_id)
                if row.kind == "common"
            ],
            rank=taxon.rank,
            lineage=self._lineage(taxon),
            children=msgspec.convert(table_rows(children), list[ChildTaxon]),
            counts=TaxonCounts(
                images=taxon.images,
                images_here=taxon.images_here,
                taxa=taxon.last_descendant - taxon_id,
                children=int(self._catalog.table(_COUNT_CHILDREN, [taxon_id])["n"][0]),
            ),
        )

    def _lineage(self, taxon: tables.Taxon) -> list[RankName]:
        ids = {label.rank: label.taxon_id for label in taxon.lineage}
        ids[taxon.rank] = taxon.taxon_id
        return [
            RankName(
                rank=rank,
                scientific_name=name or None,
                taxon_id=ids.get(rank) if name else None,
            )
            for rank, name in zip(self._ranks, taxon.path, strict=True)
        ]
