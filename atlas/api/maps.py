"""`/v1/taxa/{taxon_id}/distribution`, `/range` and `/map.png`: where a taxon was recorded."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from atlas.api.geojson import feature_collection
from atlas.api.map_schemas import FeatureCollection
from atlas.api.media import NOT_MODIFIED, cache_headers, entity_tag, is_current, not_modified
from atlas.api.media_types import CSV, GEOJSON, JSON, PARQUET, accepted
from atlas.api.params import BoxText, parse_box
from atlas.api.problems import refusals
from atlas.api.record_filters import records_that_count
from atlas.api.serving import Serving
from atlas.species.distribution import Distribution
from atlas.species.distribution_table import csv_of, parquet_of
from atlas.species.maps import Maps
from atlas.species.occupancy import RecordFilter
from atlas.species.picture import NARROWEST, WIDEST
from atlas.species.range import Range

PNG = "image/png"
_FILES = {CSV: (csv_of, "csv"), PARQUET: (parquet_of, "parquet")}

Resolution = Annotated[int, QueryParameter(ge=0, le=15, description="H3 resolution of the cells")]


class MapsController(Controller):
    """Maps of one taxon. Filters apply to the target group as they do to the taxon."""

    path = "/v1/taxa/{taxon_id:int}"
    tags = ("taxa",)
    dependencies = {"only": Provide(records_that_count, sync_to_thread=False)}  # noqa: RUF012

    @get(
        "/distribution",
        operation_id="getDistribution",
        summary="Where a taxon was recorded",
        responses=refusals(404, 406),
        sync_to_thread=True,
    )
    def distribution(
        self,
        request: Request[Any, Any, Any],
        maps: NamedDependency[Maps],
        only: NamedDependency[RecordFilter],
        taxon_id: FromPath[int],
        resolution: Resolution = 4,
        bbox: BoxText = None,
        group: Annotated[
            int | None, QueryParameter(description="taxon whose records count as effort")
        ] = None,
        searched: Annotated[
            bool,
            QueryParameter(description="list cells searched for the group without a record, too"),
        ] = False,
    ) -> Response[Distribution | FeatureCollection | bytes]:
        """Cells with records, beside the effort of the target group (the taxon's class).

        JSON, or as `Accept` asks: `application/geo+json`, `text/csv` or
        `application/vnd.apache.parquet`. A cell that is not listed was not searched. Records too
        uncertain for the resolution stand in coarser cells of their own, marked `coarse`.
        """
        form = accepted(request, (JSON, GEOJSON, CSV, PARQUET))
        found = maps.distributions.read(
            taxon_id,
            resolution,
            box=parse_box(bbox),
            group_id=group,
            searched=searched,
            only=only,
        )
        if form in _FILES:
            write, extension = _FILES[form]
            name = f"taxon-{taxon_id}-resolution-{resolution}.{extension}"
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
            return Response(write(found), media_type=form, headers=headers)
        listed = found.listed()
        content = feature_collection(listed) if form == GEOJSON else listed
        return Response(content, media_type=form, headers={"Vary": "Accept"})

    @get(
        "/range",
        operation_id="getRange",
        summary="How large a taxon's range is, and when it was recorded",
        responses=refusals(404),
        sync_to_thread=True,
    )
    def range(
        self,
        maps: NamedDependency[Maps],
        only: NamedDependency[RecordFilter],
        taxon_id: FromPath[int],
        resolution: Resolution = 5,
    ) -> Range:
        """Extent of occurrence, area of occupancy, occupied cells, latitudes, months, years.

        Preliminary figures, not an IUCN assessment. `basis` says what they were read from.
        """
        return maps.ranges.read(taxon_id, resolution, only=only)

    @get(
        "/map.png",
        operation_id="getMapPicture",
        summary="A map of a taxon as a picture",
        media_type=PNG,
        responses=refusals(404) | NOT_MODIFIED,
        sync_to_thread=True,
        no_compression=True,
    )
    def picture(
        self,
        request: Request[Any, Any, Any],
        maps: NamedDependency[Maps],
        serving: NamedDependency[Serving],
        only: NamedDependency[RecordFilter],
        taxon_id: FromPath[int],
        width: Annotated[
            int, QueryParameter(ge=NARROWEST, le=WIDEST, description="width in pixels")
        ] = 1000,
        bbox: BoxText = None,
    ) -> Response[bytes]:
        """Coastline, cells with records in colour over the effort in grey, legend and credit.

        The map shows the taxon's range with a margin, or `bbox`.
        """
        tag = entity_tag(serving.bundle_tag, "picture", taxon_id, width, bbox, only)
        headers = cache_headers(tag, serving.tile_cache_s)
        if is_current(request, tag):
            return not_modified(headers)
        drawn = maps.pictures.draw(taxon_id, width=width, box=parse_box(bbox), only=only)
        return Response(drawn, headers=headers, media_type=PNG)
