"""The page at `/` and the ground of its map, as the server gives them out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.api import page

Client = TestClient[Litestar]


def test_root_is_the_page(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who opens the server's address must get the page, and never an old one."""
    (tmp_path / "index.html").write_text("<p>the page</p>")
    monkeypatch.setattr(page, "BUILT", tmp_path)
    answer = client.get("/")
    assert answer.text == "<p>the page</p>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_without_a_page_root_leads_to_the_api(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout where nobody could build the page should still land people somewhere useful."""
    monkeypatch.setattr(page, "BUILT", tmp_path)
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/schema")


def test_the_built_page_is_whole(client: Client) -> None:
    """Every script and style that the page names must be here, kept for good: it works offline."""
    text = client.get("/").text
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", text)
    assets = [address for address in addresses if address.startswith(page.ASSETS_PATH)]
    assert [address.rsplit(".", 1)[1] for address in assets]
    assert not [address for address in addresses if "://" in address or address.startswith("//")]
    for address in assets:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_basemap(client: Client) -> None:
    """Clients draw features in their order; a copy that is current must not be sent again."""
    answer = client.get("/v1/basemap/coarse")
    assert answer.headers["content-type"].startswith("application/geo+json")
    kinds = [feature["properties"]["kind"] for feature in answer.json()["features"]]
    assert kinds == ["land", "lake", "land", "river", "border"]
    again = client.get("/v1/basemap/coarse", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/v1/basemap/finest").status_code == 404
