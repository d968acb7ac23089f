"""The ground of the page's map: the atlas's own with names, or the one that an operator set.

Knows the page's settings and the gazetteer, no records. Any thread.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from atlas.api.media import cache_headers, entity_tag, is_current, not_modified
from atlas.api.media_types import GEOJSON
from atlas.api.problems import refusals
from atlas.geo.basemap import basemap
from atlas.reading.place_labels import place_labels
from atlas.reading.places import Gazetteer
from atlas.settings import PageSettings

_CACHE_S = 604_800


class OperatorBasemap(msgspec.Struct, frozen=True, kw_only=True):
    """A basemap of the operator's own; all empty where the atlas's own ground is shown."""

    tiles: Annotated[str, Meta(description="address of picture tiles with {z}, {x} and {y}")] = ""
    style: Annotated[str, Meta(description="address of a MapLibre style")] = ""
    attribution: Annotated[str, Meta(description="whom the map credits, as text")] = ""
    max_zoom: Annotated[int, Meta(description="greatest zoom that has tiles")] = 19

    @classmethod
    def of(cls, page: PageSettings) -> OperatorBasemap:
        """What the operator set for the page."""
        return cls(
            tiles=page.tiles,
            style=page.style,
            attribution=page.attribution,
            max_zoom=page.max_zoom,
        )


def content_policy(chosen: OperatorBasemap, hosts: tuple[str, ...]) -> str:
    """The Content-Security-Policy of the page.

    Everything comes from this server, but for what the operator's basemap and its `hosts` give.
    Photos that are only at their source are linked and never fetched.
    """
    addresses = (chosen.tiles, chosen.style, *hosts)
    origins = dict.fromkeys(
        f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, addresses) if parts.netloc
    )
    outside = "".join(f" {origin}" for origin in origins)
    return (
        f"default-src 'self'; connect-src 'self'{outside}; img-src 'self' data: blob:{outside}; "
        "worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )


class BasemapController(Controller):
    """What maps are drawn on."""

    path = "/v1/basemap"
    tags = ("maps",)

    @get(
        "/",
        operation_id="getBasemapChoice",
        summary="Which basemap the page shows",
        responses=refusals(),
        sync_to_thread=False,
    )
    def choice(self, basemap_choice: NamedDependency[OperatorBasemap]) -> OperatorBasemap:
        """The operator's own basemap; every address empty where the atlas's own ground is shown."""
        return basemap_choice

    @get(
        "/{detail:str}",
        operation_id="getBasemap",
        summary="Land, lakes, rivers and borders",
        media_type=GEOJSON,
        responses=refusals(404),
        sync_to_thread=True,
    )
    def ground(self, request: Request[Any, Any, Any], detail: FromPath[str]) -> Response[bytes]:
        """The ground to draw maps on, as GeoJSON; `detail` is `coarse` (25 km) or `fine` (5 km).

        Features say in `kind` what they are: land, lake, river, border; in the order of drawing.
        """
        return _kept(request, basemap(detail), "basemap", detail)

    @get(
        "/{detail:str}/labels",
        operation_id="getBasemapLabels",
        summary="Names of countries and towns",
        media_type=GEOJSON,
        responses=refusals(404),
        sync_to_thread=True,
    )
    def labels(
        self,
        request: Request[Any, Any, Any],
        gazetteer: NamedDependency[Gazetteer],
        detail: FromPath[str],
        language: Annotated[
            str,
            QueryParameter(description="of the names, where they are known in it", max_length=8),
        ] = "en",
    ) -> Response[bytes]:
        """Points with `name`, `kind` (country, town), and `from_zoom`: show it from there on.

        `coarse` has what is shown below zoom 4, `fine` everything; the most important come first.
        """
        content = place_labels(gazetteer, detail, language)
        return _kept(request, content, "labels", detail, language)


def _kept(request: Request[Any, Any, Any], content: bytes, *named: str) -> Response[bytes]:
    """The content, or that what the client keeps of it is current."""
    tag = entity_tag(*named, len(content))
    headers = cache_headers(tag, _CACHE_S)
    if is_current(request, tag):
        return not_modified(headers)
    return Response(content, headers=headers, media_type=GEOJSON)
