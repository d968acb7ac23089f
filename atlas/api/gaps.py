"""`/v1/gaps`: regions that are not documented, ranked, and one cell explained."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from atlas.api.gap_forms import gap_features, gap_table
from atlas.api.gap_questions import MAX_GAPS, AskedGaps, GapQuestions
from atlas.api.gap_schemas import GapAnswer, GapCellAnswer, GapFeatures
from atlas.api.media_types import CSV, GEOJSON, JSON, accepted
from atlas.api.params import BoxText, words
from atlas.api.problems import refusals


class GapsController(Controller):
    """Where nobody has looked, or not enough."""

    path = "/v1/gaps"
    tags = ("gaps",)

    @get(
        "/",
        operation_id="rankGaps",
        summary="Where a visit would add most",
        responses=refusals(404, 406, 409, 503),
    )
    async def rank(
        self,
        request: Request[Any, Any, Any],
        gap_questions: NamedDependency[GapQuestions],
        taxon: Annotated[
            int | None, QueryParameter(ge=0, description="taxon_id; all life by default")
        ] = None,
        text: Annotated[
            str | None,
            QueryParameter(description="words: gaps for the taxa of the photos that they find"),
        ] = None,
        bbox: BoxText = None,
        polygon: Annotated[
            str | None,
            QueryParameter(
                max_length=100_000, description="a GeoJSON Polygon or MultiPolygon, as JSON"
            ),
        ] = None,
        resolution: Annotated[
            int, QueryParameter(ge=0, le=15, description="H3 resolution of the cells")
        ] = 4,
        states: Annotated[
            list[str] | None,
            QueryParameter(
                name="state",
                description="no_data, insufficient, under_sampled or well_sampled; several by "
                "repetition or with commas; all by default",
            ),
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_GAPS, description="most cells")] = 50,
    ) -> Response[GapAnswer | GapFeatures | bytes]:
        """Cells ranked by the new species that the next visit is expected to add.

        Ignorance and the time since the last visit weigh in; each cell has its score in parts and
        its reason in words. Cells without any record are ranked too, on land or at sea as the group
        lives, by what visits to the cells around them meet. JSON, GeoJSON or CSV by `Accept`.
        """
        form = accepted(request, (JSON, GEOJSON, CSV))
        answer = await gap_questions.rank(
            AskedGaps(
                taxon=taxon,
                text=text,
                bbox=bbox,
                polygon=polygon,
                resolution=resolution,
                states=tuple(words(states) or ()),
                limit=limit,
            )
        )
        # Caches may not give one client the form that another asked for.
        headers = {"Vary": "Accept"}
        if form == GEOJSON:
            return Response(gap_features(answer), media_type=GEOJSON, headers=headers)
        if form == CSV:
            return Response(gap_table(answer), media_type=CSV, headers=headers)
        return Response(answer, media_type=JSON, headers=headers)

    @get(
        "/{cell:str}",
        operation_id="explainGap",
        summary="Everything behind one cell's place",
        responses=refusals(404, 503),
    )
    async def explain(
        self,
        gap_questions: NamedDependency[GapQuestions],
        cell: FromPath[str],
        taxon: Annotated[
            int, QueryParameter(ge=0, description="taxon_id; all life by default")
        ] = 0,
    ) -> GapCellAnswer:
        """One cell: its visits and what they say, its neighbours, the score in parts.

        Also the species recorded in it, and those that its neighbourhood leads one to expect, each
        with the cells that have it, its nearest records and their photos.
        """
        return await gap_questions.explain(cell, taxon)
