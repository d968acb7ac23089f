"""`/v1/tiles` and `/v1/legend`: vector tiles of the map layers, and what their colours mean."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from atlas.api.map_schemas import MapCapabilities, MapLayer
from atlas.api.media import NOT_MODIFIED, cache_headers, entity_tag, is_current, not_modified
from atlas.api.problems import refusals
from atlas.api.record_filters import records_that_count
from atlas.api.serving import Serving
from atlas.geo.tiles import EXTENT, MAX_ZOOM, Tile, resolution_for_zoom
from atlas.species.layers import LAYERS, layer_named
from atlas.species.legend import Breaks, Legend
from atlas.species.maps import Maps
from atlas.species.occupancy import RecordFilter
from atlas.species.states import MAP_STATES

VECTOR_TILE = "application/vnd.mapbox-vector-tile"
_PARAMETERS = ["taxon", "from", "to", "months", "sources", "max_uncertainty_m"]

TaxonNumber: TypeAlias = Annotated[
    int, QueryParameter(ge=0, description="taxon_id; all by default")
]


class TilesController(Controller):
    """Tiles in the web mercator pyramid."""

    path = "/v1/tiles"
    tags = ("maps",)
    dependencies = {"only": Provide(records_that_count, sync_to_thread=False)}  # noqa: RUF012

    @get(
        "/",
        operation_id="getMapCapabilities",
        summary="Layers, their fields and zooms",
        responses=refusals(),
        sync_to_thread=False,
    )
    def capabilities(self, serving: NamedDependency[Serving]) -> MapCapabilities:
        """What there is to draw: layers with their fields, zooms with their H3 resolution."""
        finest = serving.cell_resolution
        zooms = range(MAX_ZOOM + 1)
        return MapCapabilities(
            min_zoom=0,
            max_zoom=MAX_ZOOM,
            extent=EXTENT,
            resolutions=[min(resolution_for_zoom(zoom), finest) for zoom in zooms],
            parameters=_PARAMETERS,
            states=list(MAP_STATES),
            layers=[
                MapLayer(
                    name=layer.name,
                    title=layer.title,
                    meaning=layer.meaning,
                    whose=layer.whose,
                    shown=layer.shown,
                    tiles=f"/v1/tiles/{layer.name}/{{z}}/{{x}}/{{y}}",
                    legend=f"/v1/legend/{layer.name}",
                    fields=list(layer.fields),
                )
                for layer in LAYERS.values()
            ],
        )

    @get(
        "/{layer:str}/{z:int}/{x:int}/{y:int}",
        operation_id="getTile",
        summary="A layer as a vector tile",
        media_type=VECTOR_TILE,
        responses=refusals(404)
        | NOT_MODIFIED
        | {
            204: ResponseSpec(
                None, description="The layer has no cell in this tile", generate_examples=False
            )
        },
        sync_to_thread=True,
        no_compression=True,
    )
    def tile(
        self,
        request: Request[Any, Any, Any],
        maps: NamedDependency[Maps],
        serving: NamedDependency[Serving],
        only: NamedDependency[RecordFilter],
        layer: FromPath[str],
        z: FromPath[int],
        x: FromPath[int],
        y: FromPath[int],
        taxon: TaxonNumber = 0,
    ) -> Response[bytes]:
        """Mapbox vector tile with one layer of H3 cells; `/v1/tiles` lists its fields.

        `effort`, `completeness` and `gaps` are of the target group of `taxon`. Filters apply to the
        group as they do to the taxon. 204 when empty.
        """
        name, tile = layer_named(layer).name, Tile(z, x, y)
        tag = entity_tag(serving.bundle_tag, name, z, x, y, taxon, only)
        headers = cache_headers(tag, serving.tile_cache_s)
        if is_current(request, tag):
            return not_modified(headers)
        content = maps.tiles.encode(name, tile, taxon, only)
        status = 200 if content else 204
        return Response(content, status_code=status, headers=headers, media_type=VECTOR_TILE)


class LegendController(Controller):
    """What the colours of a layer mean."""

    path = "/v1/legend"
    tags = ("maps",)
    dependencies = {"only": Provide(records_that_count, sync_to_thread=False)}  # noqa: RUF012

    @get(
        "/{layer:str}",
        operation_id="getLegend",
        summary="The legend of a layer",
        responses=refusals(404),
        sync_to_thread=True,
    )
    def legend(
        self,
        maps: NamedDependency[Maps],
        only: NamedDependency[RecordFilter],
        layer: FromPath[str],
        taxon: TaxonNumber = 0,
        zoom: Annotated[int, QueryParameter(ge=0, le=MAX_ZOOM, description="zoom of the map")] = 3,
        breaks: Annotated[
            Breaks,
            QueryParameter(description="log: fixed steps, for comparing; quantile: of this taxon"),
        ] = "log",
    ) -> Legend:
        """Classes with their colours for one taxon at one zoom, of the field that is coloured."""
        return maps.legends.read(layer_named(layer).name, taxon, zoom, breaks, only)
