"""`/v1/taxa`: completion of names, one taxon, and where it is recorded."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from atlas.api.geojson import GEOJSON, feature_collection
from atlas.api.params import BoxText, parse_box
from atlas.api.problems import refusals
from atlas.api.schemas import FeatureCollection, Taxon, TaxonMatches
from atlas.api.taxon_pages import TaxonPages
from atlas.species.distribution import Distribution, Distributions
from atlas.species.names import TaxonNames

JSON = "application/json"


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

    @get(
        "/{taxon_id:int}/distribution",
        operation_id="getDistribution",
        summary="Where a taxon was recorded",
        responses=refusals(404),
        sync_to_thread=True,
    )
    def distribution(
        self,
        request: Request[Any, Any, Any],
        distributions: NamedDependency[Distributions],
        taxon_id: FromPath[int],
        resolution: Annotated[
            int, QueryParameter(ge=0, le=15, description="H3 resolution of the cells")
        ] = 4,
        bbox: BoxText = None,
        group: Annotated[
            int | None, QueryParameter(description="taxon whose records count as effort")
        ] = None,
        searched: Annotated[
            bool,
            QueryParameter(description="list cells searched for the group without a record, too"),
        ] = False,
    ) -> Response[Distribution | FeatureCollection]:
        """Cells with records, beside the effort of the target group (the taxon's class).

        JSON, or GeoJSON when `Accept` asks for `application/geo+json`. A cell that is not listed
        was not searched. Records too uncertain for the resolution stand in coarser cells of their
        own, marked `coarse`.
        """
        found = distributions.read(
            taxon_id, resolution, box=parse_box(bbox), group_id=group, searched=searched
        )
        if request.accept.best_match([JSON, GEOJSON], default=JSON) == GEOJSON:
            return Response(feature_collection(found), media_type=GEOJSON)
        return Response(found, media_type=JSON)
