"""`/v1/taxa`: completion of names, and one taxon."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from atlas.api.problems import refusals
from atlas.api.taxon_pages import TaxonPages
from atlas.api.taxon_schemas import Taxon, TaxonMatches
from atlas.species.names import TaxonNames


class TaxaController(Controller):
    """Taxa by name and by number."""

    path = "/v1/taxa"
    tags = ("taxa",)

    @get(
        "/",
        operation_id="completeTaxonName",
        summary="Complete a name",
        responses=refusals(),
        sync_to_thread=True,
    )
    def complete(
        self,
        names: NamedDependency[TaxonNames],
        q: Annotated[
            str,
            QueryParameter(max_length=200, description="beginning of a scientific or common name"),
        ],
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
    ) -> TaxonMatches:
        """Taxa whose scientific or common name fits what was typed.

        Names that begin so come first, then names with a word that begins so, then, if there is
        neither, names within a typing error or two. Case, accents and plurals do not matter.
        """
        return TaxonMatches(taxa=names.complete(q, limit))

    @get(
        "/{taxon_id:int}",
        operation_id="getTaxon",
        summary="One taxon",
        responses=refusals(404),
        sync_to_thread=True,
    )
    def taxon(
        self,
        taxon_pages: NamedDependency[TaxonPages],
        taxon_id: FromPath[int],
        children: Annotated[int, QueryParameter(ge=0, le=1000)] = 200,
    ) -> Taxon:
        """One taxon with its lineage (empty ranks are null), its children and its counts."""
        return taxon_pages.read(taxon_id, most_children=children)
