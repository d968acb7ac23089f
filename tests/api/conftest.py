"""The whole application on a tiny bundle that the indexer built, once for all API tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import Atlas, create_app, open_atlas
from atlas.settings import Settings, override
from indexer.layers.add import add_layer
from indexer.layers.section import LayerSection
from indexer.progress import Silent

RIVERS = """{"type": "FeatureCollection", "features": [
{"type": "Feature", "properties": {"order": 2, "name": "Reventazon"},
 "geometry": {"type": "LineString", "coordinates": [[-83.8, 9.7], [-83.9, 10.3], [-83.6, 10.6]]}},
{"type": "Feature", "properties": {"order": 1, "name": "Amstel"},
 "geometry": {"type": "LineString", "coordinates": [[4.8, 52.2], [4.9, 52.37]]}}]}"""


@pytest.fixture(scope="session")
def settings(tiny_bundle: Path) -> Settings:
    """Defaults, serving the tiny bundle."""
    return override(Settings(), "bundle", path=str(tiny_bundle))


@pytest.fixture(scope="session")
def atlas(settings: Settings) -> Atlas:
    """The open atlas; its life is that of the client."""
    return open_atlas(settings)


@pytest.fixture(scope="session")
def client(atlas: Atlas) -> Iterator[TestClient[Litestar]]:
    """A client of the running application."""
    with TestClient(create_app(atlas), raise_server_exceptions=False) as running:
        yield running


@pytest.fixture(scope="session")
def hits(client: TestClient[Litestar]) -> list[dict[str, Any]]:
    """Every photo of the bundle as a search shows it, with nothing held back."""
    body = {"text": "something green", "limit": 200, "filter": {"flags": "all"}}
    found: list[dict[str, Any]] = client.post("/v1/search", json=body).json()["hits"]
    return found


@pytest.fixture(scope="session")
def twin_client(twin_bundle: Path) -> Iterator[TestClient[Litestar]]:
    """A client of an atlas with two spaces, `tiny` and `wide`."""
    opened = open_atlas(override(Settings(), "bundle", path=str(twin_bundle)))
    with TestClient(create_app(opened), raise_server_exceptions=False) as running:
        yield running


@pytest.fixture(scope="session")
def placed_client(
    tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient[Litestar]]:
    """A client of an atlas with a place layer: rivers of two orders."""
    folder = tmp_path_factory.mktemp("placed")
    bundle = Path(shutil.copytree(tiny_bundle, folder / "bundle"))
    rivers = folder / "rivers.geojson"
    rivers.write_text(RIVERS, encoding="utf-8")
    section = LayerSection(
        name="river", file=rivers, order_column="order", name_column="name", citation="Nobody"
    )
    add_layer(bundle, section, Silent())
    opened = open_atlas(override(Settings(), "bundle", path=str(bundle)))
    with TestClient(create_app(opened), raise_server_exceptions=False) as running:
        yield running
