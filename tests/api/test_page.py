"""The page at `/` and the ground of its map, as the server gives them out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.api import page
from atlas.api.basemaps import OperatorBasemap, content_policy

Client = TestClient[Litestar]


def test_root_is_the_page(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who opens the server's address must get the page, and never an old one."""
    (tmp_path / "index.html").write_text("<p>the page</p>")
    monkeypatch.setattr(page, "BUILT", tmp_path)
    answer = client.get("/")
    assert answer.text == "<p>the page</p>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


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


def test_labels(client: Client) -> None:
    """Names must be where their places are, in the language asked for, important ones first."""
    answer = client.get("/v1/basemap/coarse/labels", params={"language": "es"})
    assert answer.headers["content-type"].startswith("application/geo+json")
    named = {each["properties"]["name"]: each for each in answer.json()["features"]}
    assert named["Alemania"]["properties"]["kind"] == "country"
    assert "Germany" not in named
    west, south = named["Costa Rica"]["geometry"]["coordinates"]
    assert -86 < west < -82
    assert 8 < south < 11.5
    assert all(each["properties"]["from_zoom"] < 4 for each in named.values())
    fine = client.get("/v1/basemap/fine/labels").json()["features"]
    assert len(fine) > 4 * len(named)
    towns = [each for each in fine if each["properties"]["kind"] == "town"]
    zooms = [each["properties"]["from_zoom"] for each in towns]
    assert zooms == sorted(zooms)
    tag = {"If-None-Match": answer.headers["etag"]}
    again = client.get("/v1/basemap/coarse/labels", params={"language": "es"}, headers=tag)
    assert again.status_code == 304
    assert client.get("/v1/basemap/finest/labels").status_code == 404


def test_without_an_own_basemap_nothing_is_named(client: Client) -> None:
    """An address here would send every visitor's browser to somebody else's server."""
    chosen = client.get("/v1/basemap").json()
    assert (chosen["tiles"], chosen["style"]) == ("", "")


def test_policy_lets_in_what_the_operator_chose() -> None:
    """An origin too few shows an empty map; one too many lets the page be watched from there."""
    chosen = OperatorBasemap(tiles="https://tiles.example.org/{z}/{x}/{y}.png", attribution="T")
    policy = content_policy(chosen, ("https://fonts.example.org",))
    for part in policy.split("; "):
        name, *allowed = part.split()
        outside = {word for word in allowed if word.startswith("http")}
        expected = {"https://tiles.example.org", "https://fonts.example.org"}
        assert outside == (expected if name in {"connect-src", "img-src"} else set())
    own = content_policy(OperatorBasemap(style="/styles/own.json"), ())
    assert "http" not in own
