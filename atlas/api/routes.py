"""Which addresses the server answers, and what their handlers may ask for by name.

Knows the parts of an open atlas by name only; `following` says which state a request holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Scope

from atlas.api.basemaps import BasemapController
from atlas.api.following import SERVED
from atlas.api.gaps import GapsController
from atlas.api.images import ImagesController
from atlas.api.maps import MapsController
from atlas.api.openapi import static_pages
from atlas.api.operations import AtlasController, HealthController, metrics
from atlas.api.page import home, page_assets
from atlas.api.reading import ReadingController
from atlas.api.search import SearchController
from atlas.api.taxa import TaxaController
from atlas.api.tiles import LegendController, TilesController

# Fields of the atlas that is served, by the names that handlers ask by.
_PARTS = (
    "questions",
    "understanding",
    "gazetteer",
    "names",
    "taxon_pages",
    "maps",
    "gap_questions",
    "records",
    "description",
    "serving",
    "basemap_choice",
)


def route_handlers() -> list[ControllerRouterHandler]:
    """Every handler of the server."""
    return [
        SearchController,
        ReadingController,
        ImagesController,
        TaxaController,
        MapsController,
        TilesController,
        LegendController,
        GapsController,
        AtlasController,
        HealthController,
        metrics,
        BasemapController,
        home,
        static_pages(),
        *page_assets(),
    ]


def dependencies(
    *, exposition: Callable[[], Callable[[], bytes]], refused: Callable[[], str | None]
) -> dict[str, Provide]:
    """What handlers may ask for, by the name they ask by.

    `exposition` gives what writes the metrics, `refused` the newer state that cannot be served.
    """
    return {name: _of_request(name) for name in _PARTS} | {
        "exposition": _given(exposition),
        "refused": _given(refused),
    }


def nothing_to_ask_for() -> dict[str, Provide]:
    """The same names with nothing behind them: enough to describe the handlers."""
    described = dependencies(exposition=lambda: bytes, refused=lambda: None)
    return {name: _given(lambda: None) for name in described}


def _of_request(name: str) -> Provide:
    """A part of the atlas that the request holds: never of two states in one answer."""

    def provide(scope: Scope) -> Any:  # noqa: ANN401 - each name has its own type
        return getattr(scope["state"][SERVED], name)

    return Provide(provide, sync_to_thread=False)


def _given(give: Callable[[], object]) -> Provide:
    return Provide(give, sync_to_thread=False)
