"""Vector tiles, decoded: what a map would draw."""

from __future__ import annotations

import math
from typing import Any

import h3.api.basic_str as h3
import mapbox_vector_tile
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.geo.tiles import resolution_for_zoom

Client = TestClient[Litestar]


def features(
    client: Client, z: int, x: int, y: int, query: str = "", layer: str = "occurrence"
) -> list[dict[str, Any]]:
    """The features of one tile; none for 204."""
    answer = client.get(f"/v1/tiles/{layer}/{z}/{x}/{y}{query}")
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert "content-encoding" not in answer.headers
    layers = mapbox_vector_tile.decode(answer.content)
    assert list(layers) == [layer]
    found: list[dict[str, Any]] = layers[layer]["features"]
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


def taxon_id(client: Client, name: str) -> int:
    """The number of a taxon in this bundle."""
    return int(client.get("/v1/taxa", params={"q": name}).json()["taxa"][0]["taxon_id"])


def test_effort_beside_the_count(client: Client) -> None:
    """Each feature has the group's records too: never fewer than the taxon's own."""
    found = features(client, 0, 0, 0, f"?taxon={taxon_id(client, 'Rana temporaria')}")
    assert found
    for feature in found:
        properties = feature["properties"]
        assert properties["effort"] >= properties["n"] >= properties["observers"] >= 1
        assert properties["effort_visits"] >= properties["visits"]
        assert properties["rate"] == pytest.approx(
            properties["visits"] / properties["effort_visits"], abs=1e-6
        )


def test_features_have_the_fields_that_are_promised(client: Client) -> None:
    """The capabilities are what a map is programmed by: a field too few is a broken map."""
    capabilities = client.get("/v1/tiles").json()
    assert [layer["name"] for layer in capabilities["layers"]] == [
        "occurrence",
        "richness",
        "effort",
        "completeness",
        "gaps",
    ]
    kinds: dict[str, Any] = {"integer": int, "number": (int, float), "boolean": bool, "text": str}
    for layer in capabilities["layers"]:
        promised = {field["name"]: kinds[field["type"]] for field in layer["fields"]}
        assert layer["shown"] in promised
        seen: set[str] = set()
        for zoom in (0, 2):
            path = layer["tiles"].format(z=zoom, x=zoom, y=zoom // 2)
            assert path.startswith(f"/v1/tiles/{layer['name']}/")
            for feature in features(client, zoom, zoom, zoom // 2, layer=layer["name"]):
                seen |= feature["properties"].keys()
                for name, value in feature["properties"].items():
                    assert isinstance(value, promised[name]), (layer["name"], name, value)
        assert promised.keys() == seen, layer["name"]
        assert client.get(layer["legend"]).status_code == 200
    assert capabilities["resolutions"] == [
        min(resolution_for_zoom(zoom), 7) for zoom in range(capabilities["max_zoom"] + 1)
    ]
    assert capabilities["states"] == ["recorded", "searched, not recorded", "not searched"]


def test_layers_agree_with_each_other(client: Client) -> None:
    """Species, effort and states of one cell are counts of the same records."""
    query = f"?taxon={taxon_id(client, 'Rana temporaria')}"
    group = client.get(f"/v1/taxa/{taxon_id(client, 'Amphibia')}/distribution?resolution=2").json()[
        "cells"
    ]
    by_cell = {cell["cell"]: cell for cell in group}
    drawn: dict[str, dict[str, Any]] = {}
    for layer in ("effort", "completeness", "gaps"):
        for x in range(4):
            for y in range(4):
                for feature in features(client, 2, x, y, query, layer):
                    cell = feature["properties"].pop("cell")
                    drawn.setdefault(cell, {}).update(feature["properties"])
    # The pole itself lies beyond a web map.
    by_cell = {
        cell: counted for cell, counted in by_cell.items() if h3.cell_to_latlng(cell)[0] < 85
    }
    assert len(by_cell) > 2
    assert drawn.keys() > by_cell.keys()
    for cell in drawn.keys() - {counted["cell"] for counted in group}:
        assert drawn[cell] == {"state": "no_data", "species": 0, "visits": 0}
    for cell, counted in by_cell.items():
        values = drawn[cell]
        assert (values["n"], values["visits"]) == (counted["n"], counted["visits"])
        assert 1 <= values["species"] <= 3
        assert values["at_least"] >= values["species"]
        assert values["state"] in {"insufficient", "under_sampled", "well_sampled"}
        assert ("coverage" in values) == (values["state"] != "insufficient")
        assert values["per_1000_km2"] == pytest.approx(
            1000 * counted["n"] / counted["area_km2"], abs=0.01
        )


@pytest.mark.parametrize("layer", ["occurrence", "effort", "richness"])
def test_filters_reach_every_layer(client: Client, layer: str) -> None:
    """A map of one summer must not show the winter's records, nor count their effort."""
    whole = features(client, 0, 0, 0, layer=layer)
    summer = features(client, 0, 0, 0, "?months=6,7,8", layer)
    none = client.get(f"/v1/tiles/{layer}/0/0/0?from=1900-01-01&to=1900-12-31")
    assert none.status_code == 204
    total = sum(feature["properties"]["n"] for feature in whole)
    assert 0 < sum(feature["properties"]["n"] for feature in summer) < total
    tags = {
        client.get(f"/v1/tiles/{layer}/0/0/0{query}").headers["etag"]
        for query in ("", "?months=6,7,8", "?months=8&months=7,6", "?taxon=1")
    }
    assert len(tags) == 3, "equal filters share a tag, others never do"


def test_uncertain_records_are_drawn_as_the_cell_that_holds_them(
    client: Client, hits: list[dict[str, Any]]
) -> None:
    """Thirty kilometres are wider than a cell of zoom 9: no fine cell may pretend to know."""
    coarse = [hit for hit in hits if hit["uncertainty_m"] == 30000 and abs(hit["lat"]) < 80]
    assert coarse
    for hit in coarse[:4]:
        share = math.asinh(math.tan(math.radians(hit["lat"]))) / math.pi
        x, y = int((hit["lon"] + 180) / 360 * 512), int((1 - share) / 2 * 512)
        found = {
            feature["properties"]["cell"]: feature["properties"]
            for feature in features(client, 9, x, y, f"?taxon={hit['taxon']['taxon_id']}")
        }
        assert found[hit["cell"]]["coarse"] is True
        assert "rate" not in found[hit["cell"]]
        for number, cell in found.items():
            assert cell["coarse"] == (h3.get_resolution(number) < 7)


def test_legend_of_a_layer(client: Client) -> None:
    """Breaks, colours and units as a map needs them, and the same fixed steps for all taxa."""
    answer = client.get("/v1/legend/occurrence?taxon=0&zoom=0").json()
    assert (answer["field"], answer["unit"], answer["breaks"]) == ("n", "records", "log")
    lower = [step["lower"] for step in answer["classes"]]
    assert lower == [1, 3, 10, 30][: len(lower)]
    assert answer["classes"][-1]["upper"] is None
    frog = taxon_id(client, "Rana temporaria")
    quantile = client.get(f"/v1/legend/effort?taxon={frog}&zoom=2&breaks=quantile").json()
    assert quantile["breaks"] == "quantile"
    assert quantile["taxon_id"] == taxon_id(client, "Amphibia")
    states = client.get("/v1/legend/gaps").json()["classes"]
    assert states[0]["value"] == "no_data"
    assert client.get("/v1/legend/elevation").status_code == 404
    refused = client.get("/v1/legend/richness?zoom=9&breaks=quantile")
    assert refused.status_code == 422
    assert refused.json()["field"] == "breaks"


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
