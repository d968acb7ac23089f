"""Place filters over HTTP: what passes, what cannot be judged, whom to cite, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.settings import Settings, override
from indexer.commands import indexer
from tests.api import searching

Client = TestClient[Litestar]
PARKS = """{"type": "FeatureCollection", "features": [
{"type": "Feature", "properties": {"name": "La Amistad Reserve", "iucn": "II"}, "geometry":
 {"type": "Polygon", "coordinates": [[[-84.5, 9.5], [-83.9, 9.5], [-83.9, 10.6], [-84.5, 10.6],
  [-84.5, 9.5]]]}},
{"type": "Feature", "properties": {"name": "Elsewhere Park", "iucn": "IV"}, "geometry":
 {"type": "Polygon", "coordinates": [[[20, 0], [21, 0], [21, 1], [20, 1], [20, 0]]]}}]}"""


def search(client: Client, **filter_: Any) -> dict[str, Any]:
    """A search with this filter and nothing held back."""
    return searching.search(client, text="a frog", limit=200, filter={"flags": "all"} | filter_)


def test_hits_are_near_and_the_layer_is_cited(placed_client: Client) -> None:
    """Every hit must be where the filter says, and the data that say so must be named."""
    everything = search(placed_client)
    assert everything["unjudged"] == 0
    assert everything["layers"] == []
    near = search(placed_client, near=[{"feature": "river", "within_m": 40_000}])
    assert 0 < near["matching"] < everything["matching"]
    assert all(hit["uncertainty_m"] is not None for hit in near["hits"])
    assert all(hit["lat"] > 9 for hit in near["hits"])
    assert near["matching"] + near["unjudged"] < everything["matching"]
    (layer,) = near["layers"]
    assert (layer["name"], layer["citation"]) == ("river", "Nobody")
    named = search(placed_client, near=[{"feature": "river", "within_m": 40_000, "name": "amstel"}])
    assert 0 < named["matching"] < near["matching"]
    assert all(hit["lat"] > 50 for hit in named["hits"])


def test_a_link_says_the_same(placed_client: Client) -> None:
    """Links and programs must not disagree."""
    asked: dict[str, str | int] = {
        "text": "a frog",
        "flags": "all",
        "near": "river:40000:2",
        "limit": 200,
    }
    link = placed_client.get("/v1/search", params=asked).json()
    near = [{"feature": "river", "within_m": 40_000, "min_order": 2}]
    assert link["matching"] == search(placed_client, near=near)["matching"] > 0


@pytest.mark.parametrize(
    ("filter_", "field", "said"),
    [
        ({"country": ["PE"]}, "filter.country", "no layer 'country'; it has: none"),
        ({"elevation": {"min_m": 1}}, "filter.elevation", "no layer 'elevation'"),
        ({"near": [{"feature": "lake", "within_m": 5}]}, "filter.near", "it has: river"),
        (
            {"near": [{"feature": "river", "within_m": 5, "min_order": 3}]},
            "filter.near",
            "these orders: 1, 2",
        ),
        (
            {"near": [{"feature": "river", "within_m": 5, "name": "Nile"}]},
            "filter.near",
            "knows no 'Nile'",
        ),
        (
            {"near": [{"feature": "river", "within_m": 5, "name": "Amstel", "min_order": 1}]},
            "filter.near",
            "do not go together",
        ),
        ({"layers": {"river": {}}}, "filter.layers.river", "needs min, max or values"),
        ({"layers": {"river": {"min": 2, "max": 1}}}, "filter.layers.river", "above the most"),
        ({"layers": {"river": {"values": ["a"]}}}, "filter.layers.river", "of a category"),
    ],
)
def test_what_the_layers_cannot_tell_is_refused(
    placed_client: Client, filter_: dict[str, Any], field: str, said: str
) -> None:
    """A filter that is passed over in silence would be taken for one that was applied."""
    answer = placed_client.post("/v1/search", json={"text": "a frog", "filter": filter_})
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("near", ["river", "river:x", "river:1:2:3", "river:-5"])
def test_a_link_that_cannot_be_read_names_its_parameter(placed_client: Client, near: str) -> None:
    """Whoever typed the link must see which part of it is wrong."""
    answer = placed_client.get("/v1/search", params={"text": "a frog", "near": near})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith("near")


def test_the_atlas_lists_its_layers(placed_client: Client) -> None:
    """A client must find out what it can ask of place."""
    (layer,) = placed_client.get("/v1/atlas").json()["layers"]
    assert layer["feature"] == "river"
    assert layer["orders"] == [1.0, 2.0]
    assert layer["accuracy_m"] == 0
    assert "geodesic" in layer["rule"]


@pytest.fixture(scope="module")
def parks_client(
    tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient[Litestar]]:
    """A client of an atlas to which an operator gave a file of protected areas."""
    folder = tmp_path_factory.mktemp("parks")
    bundle = Path(shutil.copytree(tiny_bundle, folder / "bundle"))
    file = folder / "parks.geojson"
    file.write_text(PARKS, encoding="utf-8")
    options = {
        "to": bundle, "kind": "category", "feature": "protected_area", "name-column": "name",
        "code-column": "iucn", "licence": "CC-BY-4.0", "citation": "An operator (2026)",
    }  # fmt: skip
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    made = CliRunner().invoke(indexer, ["layer", "add", "parks", str(file), *given, "--quiet"])
    assert made.exit_code == 0, made.output
    opened = open_atlas(override(Settings(), "bundle", path=str(bundle)))
    with TestClient(create_app(opened), raise_server_exceptions=False) as running:
        yield running


def test_protected_areas_of_an_operators_file(parks_client: Client) -> None:
    """Whoever protects land asks for what is in it, and owes its source a citation."""
    inside = search(parks_client, layers={"parks": {"values": ["la amistad reserve"]}})
    assert 0 < inside["matching"] < search(parks_client)["matching"]
    for hit in inside["hits"]:
        # Degrees of a hundred kilometres and more: the edges are no nearer than the uncertainty.
        degrees = hit["uncertainty_m"] / 110_000
        assert -84.5 + degrees < hit["lon"] < -83.9 - degrees
        assert 9.5 + degrees < hit["lat"] < 10.6 - degrees
    (layer,) = inside["layers"]
    assert (layer["feature"], layer["citation"]) == ("protected_area", "An operator (2026)")
    by_feature = search(parks_client, layers={"protected_area": {"values": ["II"]}})
    assert by_feature["matching"] == inside["matching"]


def test_a_protected_area_by_its_name_in_words(parks_client: Client) -> None:
    """A name that only the operator's file knows is read, limits, and can be completed."""
    text = "organisms in La Amistad Reserve"
    words = parks_client.get("/v1/search", params={"text": text, "limit": 200}).json()
    (span,) = words["interpretation"]["spans"]
    assert (span["kind"], span["words"], span["applied"]) == ("within", text[10:], True)
    stated = parks_client.post(
        "/v1/search",
        json={
            "text": "organisms",
            "limit": 200,
            "filter": {"layers": {"parks": {"values": ["La Amistad Reserve"]}}},
        },
    ).json()
    assert words["hits"] == stated["hits"]
    assert [layer["name"] for layer in words["layers"]] == ["parks"]
    found = parks_client.get("/v1/places", params={"q": "la amist"}).json()["places"]
    assert [place["name"] for place in found] == ["La Amistad Reserve"]
    nothing = parks_client.get("/v1/search", params={"text": "organisms in Elsewhere Park"}).json()
    assert "no photo passes" in nothing["interpretation"]["notice"]
    unknown = parks_client.get("/v1/search", params={"text": "organisms in Yellowstone"}).json()
    assert "no layer of areas" in unknown["interpretation"]["spans"][0]["reason"]
