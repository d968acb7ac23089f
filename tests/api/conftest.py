"""The whole application on a tiny bundle that the indexer built, once for all API tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import Atlas, create_app, open_atlas
from atlas.settings import Settings, override


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
