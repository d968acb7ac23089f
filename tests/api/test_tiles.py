"""Vector tiles, decoded: what a map would draw."""

from __future__ import annotations

import math
from typing import Any

import mapbox_vector_tile
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.geo.tiles import resolution_for_zoom

Client = TestClient[Litestar]


def features(client: Client, z: int, x: int, y: int, query: str = "") -> list[dict[str, Any]]:
    """The features of one tile; none for 204."""
    answer = client.get(f"/v1/tiles/occurrence/{z}/{x}/{y}{query}")
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert "content-encoding" not in answer.headers
    layers = mapbox_vector_tile.decode(answer.content)
    assert list(layers) == ["occurrence"]
    found: list[dict[str, Any]] = layers["occurrence"]["features"]
    return found


@pytest.mark.parametrize("zoom", [0, 1, 2, 3, 4])
def test_all_tiles_together_hold_every_cell(client: Client, zoom: int) -> None:
    """Reading only a tile's own cells must not lose one: all tiles together give the whole map."""
    resolution = min(resolution_for_zoom(zoom), 7)
    cells = client.get(f"/v1/taxa/0/distribution?resolution={resolution}").json()["cells"]
    expected = {cell["cell"]: cell["n"] for cell in cells if not cell["coarse"]}
    drawn: dict[str, int] = {}
    for x in range(1 << zoom):
        for y in range(1 << zoom):
            for feature in features(client, zoom, x, y):
                drawn[feature["properties"]["cell"]] = feature["properties"]["n"]
    # The pole itself lies beyond a web map; its cells are drawn at coarse resolutions only.
    missing = {cell for cell in expected if cell not in drawn}
    assert {cell: n for cell, n in expected.items() if cell not in missing} == drawn
    in_reach = {c["cell"] for c in cells if not c["coarse"]} - missing
    assert len(in_reach) >= len(expected) - 8


def test_deep_tile_holds_its_cells(client: Client, hits: list[dict[str, Any]]) -> None:
    """A tile at a street's scale draws the record that lies in it."""
    hit = next(h for h in hits if h["uncertainty_m"] == 25 and abs(h["lat"]) < 80)
    zoom = 11
    x = int((hit["lon"] + 180) / 360 * (1 << zoom))
    share = math.asinh(math.tan(math.radians(hit["lat"]))) / math.pi
    y = int((1 - share) / 2 * (1 << zoom))
    query = f"?taxon={hit['taxon']['taxon_id']}"
    cells = {feature["properties"]["cell"] for feature in features(client, zoom, x, y, query)}
    assert hit["cell"] in cells


def test_effort_beside_the_count(client: Client) -> None:
    """Each feature has the group's records too: never fewer than the taxon's own."""
    frog = client.get("/v1/taxa", params={"q": "Rana temporaria"}).json()["taxa"][0]["taxon_id"]
    found = features(client, 0, 0, 0, f"?taxon={frog}")
    assert found
    for feature in found:
        properties = feature["properties"]
        assert set(properties) == {"cell", "n", "observers", "effort"}
        assert properties["effort"] >= properties["n"] >= properties["observers"] >= 1


def test_empty_tile_is_204(client: Client) -> None:
    """A map asks for many empty tiles; they cost neither a body nor an error."""
    answer = client.get("/v1/tiles/occurrence/6/0/20")
    assert answer.status_code == 204
    assert answer.content == b""
    assert "etag" in answer.headers


def test_current_tile_is_304(client: Client) -> None:
    """A map that comes back is told that its copy is good; another taxon's tag is not."""
    first = client.get("/v1/tiles/occurrence/2/1/1")
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/v1/tiles/occurrence/2/1/1", headers={"If-None-Match": given})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    other = client.get("/v1/tiles/occurrence/2/1/1?taxon=1", headers={"If-None-Match": tag})
    assert other.status_code == 200
