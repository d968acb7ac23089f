"""The page for people at `/`, and the ground of its map. Its files are built from web/.

Without them the way in leads to the API's page, which says what there is to ask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from atlas.api.media import cache_headers, entity_tag, is_current, not_modified
from atlas.api.media_types import GEOJSON
from atlas.api.problems import refusals
from atlas.geo.basemap import basemap

API_PAGE = "/schema"
ASSETS_PATH = "/assets"
BUILT = Path(__file__).resolve().parent.parent / "web"
_BASEMAP_CACHE_S = 604_800
# Names of assets carry a checksum of their content.
_FOREVER = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)
# Pictures may be shown from their source when a person asks for it; all else comes from here.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob: https:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@get("/", include_in_schema=False, sync_to_thread=True)
def home() -> Response[bytes] | Redirect:
    """The page where it was built, else the way to the API's."""
    index = BUILT / "index.html"
    if not index.is_file():
        return Redirect(API_PAGE)
    return Response(
        index.read_bytes(),
        media_type="text/html",
        headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY},
    )


@get(
    "/v1/basemap/{detail:str}",
    operation_id="getBasemap",
    summary="Land, lakes, rivers and borders",
    tags=["maps"],
    media_type=GEOJSON,
    responses=refusals(404),
    sync_to_thread=True,
)
def basemap_of(request: Request[Any, Any, Any], detail: FromPath[str]) -> Response[bytes]:
    """The ground to draw maps on, as GeoJSON; `detail` is `coarse` (25 km) or `fine` (5 km).

    Features say in `kind` what they are: land, lake, river, border; in the order of drawing.
    """
    content = basemap(detail)
    tag = entity_tag("basemap", detail, len(content))
    headers = cache_headers(tag, _BASEMAP_CACHE_S)
    if is_current(request, tag):
        return not_modified(headers)
    return Response(content, headers=headers, media_type=GEOJSON)


def page_assets() -> list[Router]:
    """Scripts, styles and words of the page; none where it was not built."""
    assets = BUILT / "assets"
    if not assets.is_dir():
        return []
    return [
        create_static_files_router(
            path=ASSETS_PATH, directories=[assets], cache_control=_FOREVER, include_in_schema=False
        )
    ]
