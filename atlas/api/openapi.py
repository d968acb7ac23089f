"""The OpenAPI document and its page, whose scripts are served from here: no outside request."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import License, Tag
from litestar.static_files import create_static_files_router

if TYPE_CHECKING:
    from litestar import Router

# The version of the interface, which is not that of the program.
API_VERSION = "1.0"
STATIC_PATH = "/schema/static"


def openapi_config() -> OpenAPIConfig:
    """What the document says of the whole, and the page at `/schema`."""
    return OpenAPIConfig(
        title="Biodiversity atlas",
        version=API_VERSION,
        description="Photos of organisms, searchable by words, by picture and by place, with maps "
        "of where species are observed. Every refusal is a problem document (RFC 9457).",
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        use_handler_docstrings=True,
        path="/schema",
        tags=[
            Tag(name="search", description="Photos by words, by picture, by vector"),
            Tag(name="images", description="One photo and its record"),
            Tag(name="taxa", description="Names, lineages, distributions"),
            Tag(name="maps", description="Vector tiles"),
            Tag(name="atlas", description="What this atlas is"),
            Tag(name="operations", description="Health and metrics"),
        ],
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{STATIC_PATH}/swagger-ui-bundle.js",
                css_url=f"{STATIC_PATH}/swagger-ui.css",
                standalone_preset_js_url=f"{STATIC_PATH}/swagger-ui-standalone-preset.js",
                favicon=f"<link rel='icon' href='{STATIC_PATH}/favicon-32x32.png'>",
                path="/",
            )
        ],
    )


def static_pages() -> Router:
    """The page's scripts and styles, from the installed package that carries them."""
    return create_static_files_router(path=STATIC_PATH, directories=[_swagger_folder()])


def _swagger_folder() -> Path:
    # Found, not imported: importing the package would load its adapters for other frameworks.
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("swagger_ui")
    return Path(spec.origin).parent / "static"
