"""`/v1/tiles`: vector tiles of the map layers."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from atlas.api.media import cache_headers, entity_tag, is_current, not_modified
from atlas.api.problems import refusals
from atlas.api.serving import Serving
from atlas.geo.tiles import Tile
from atlas.species.tiles import OccurrenceTiles

VECTOR_TILE = "application/vnd.mapbox-vector-tile"


class TilesController(Controller):
    """Tiles in the web mercator pyramid."""

    path = "/v1/tiles"
    tags = ("maps",)

    @get(
        "/occurrence/{z:int}/{x:int}/{y:int}",
        operation_id="getOccurrenceTile",
        summary="Where a taxon was recorded, as a vector tile",
        media_type=VECTOR_TILE,
        responses=refusals(404)
        | {
            204: ResponseSpec(
                None, description="Nothing was recorded in this tile", generate_examples=False
            ),
            304: ResponseSpec(
                None, description="The client's copy is current", generate_examples=False
            ),
        },
        sync_to_thread=True,
        no_compression=True,
    )
    def occurrence(
        self,
        request: Request[Any, Any, Any],
        occurrence_tiles: NamedDependency[OccurrenceTiles],
        serving: NamedDependency[Serving],
        z: FromPath[int],
        x: FromPath[int],
        y: FromPath[int],
        taxon: Annotated[int, QueryParameter(ge=0, description="taxon_id; all by default")] = 0,
    ) -> Response[bytes]:
        """Mapbox vector tile with one layer, `occurrence`.

        Its features are H3 cells with `cell`, `n`, `observers` and `effort` (records of the
        target group). 204 when empty.
        """
        tile = Tile(z, x, y)
        tag = entity_tag(serving.bundle_tag, "occurrence", z, x, y, taxon)
        headers = cache_headers(tag, serving.tile_cache_s)
        if is_current(request, tag):
            return not_modified(headers)
        content = occurrence_tiles.encode(tile, taxon)
        status = 200 if content else 204
        return Response(content, status_code=status, headers=headers, media_type=VECTOR_TILE)
