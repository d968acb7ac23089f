"""The page for people at `/`. Its files are built from web/.

Without them the way in leads to the API's page, which says what there is to ask.
"""

from __future__ import annotations

from pathlib import Path

from litestar import Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from atlas.api.serving import Serving

API_PAGE = "/schema"
ASSETS_PATH = "/assets"
BUILT = Path(__file__).resolve().parent.parent / "web"
# Names of assets carry a checksum of their content.
_FOREVER = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)


@get("/", include_in_schema=False, sync_to_thread=True)
def home(serving: NamedDependency[Serving]) -> Response[bytes] | Redirect:
    """The page where it was built, else the way to the API's."""
    index = BUILT / "index.html"
    if not index.is_file():
        return Redirect(API_PAGE)
    return Response(
        index.read_bytes(),
        media_type="text/html",
        headers={"Cache-Control": "no-cache", "Content-Security-Policy": serving.content_policy},
    )


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
