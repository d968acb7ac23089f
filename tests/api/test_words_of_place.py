"""Words of place on an atlas that has a layer of rivers: filter, fallback, and the notice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyproj
import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.commands import main
from atlas.settings import Settings, override
from indexer.commands import indexer
from tests.api.searching import search

Client = TestClient[Litestar]
# Along the photos' town in Costa Rica (tests/factories.py), which lie within 0.3 degrees.
RIVER = [[-84.2, 10.1], [-84.0, 10.42], [-83.8, 10.8]]


@pytest.fixture(scope="module")
def rivers(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny bundle with one river."""
    folder = tmp_path_factory.mktemp("rivers")
    bundle = Path(shutil.copytree(tiny_bundle, folder / "bundle"))
    feature = {
        "type": "Feature",
        "properties": {"called": "Nile"},
        "geometry": {"type": "LineString", "coordinates": RIVER},
    }
    file = folder / "river.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    options = ("--to", str(bundle), "--name-column", "called", "--quiet")
    made = CliRunner().invoke(indexer, ["layer", "add", "river", str(file), *options])
    assert made.exit_code == 0, made.output
    return bundle


@pytest.fixture(scope="module")
def client(rivers: Path) -> Iterator[Client]:
    """An atlas whose only space is said to know scenes."""
    settings = override(Settings(), "bundle", path=str(rivers))
    settings = override(settings, "reading", scene_spaces=("tiny",))
    with TestClient(create_app(open_atlas(settings)), raise_server_exceptions=False) as running:
        yield running


def test_near_rivers_is_the_filter_near(client: Client) -> None:
    """The words must do what the filter does, and the layer must be cited."""
    words = search(client, text="organisms within 40 km of rivers", limit=100)
    near = {"near": [{"feature": "river", "within_m": 40_000}]}
    stated = search(
        client, text=words["interpretation"]["scene_text"], interpret=False, limit=100, filter=near
    )
    assert words["hits"] == stated["hits"]
    everything = search(client, text="organisms", limit=1)["matching"]
    assert 0 < words["matching"] == stated["matching"] < everything
    assert [layer["name"] for layer in words["layers"]] == ["river"]
    assert words["interpretation"]["text"] == "organisms"
    assert words["interpretation"]["scene_text"] == "organisms within 40 km of rivers"
    assert words["interpretation"]["notice"] is None


def test_a_river_by_its_name(client: Client) -> None:
    """The layer's own name of a river is found from any name that the gazetteer has."""
    for text in ("organisms within 40 km of the Nile", "aves a menos de 40 km del Nilo"):
        span = search(client, text=text)["interpretation"]["spans"][-1]
        assert (span["kind"], span["applied"]) == ("near", True), text
    span = search(client, text="organisms near the Danube")["interpretation"]["spans"][0]
    assert span["reason"] == "the layer of rivers does not know this name"


def test_where_nothing_passes_the_words_do_not_limit(client: Client, rivers: Path) -> None:
    """An empty page helps nobody; a page that is not what was asked for must say so."""
    text = "organisms within 1 m of rivers"
    assert search(client, text=text, place="soft")["hits"][0]["places_met"] is None
    answer = search(client, text=text, limit=2)
    assert answer["matching"] > 0
    interpretation = answer["interpretation"]
    assert "no photo passes" in interpretation["notice"]
    assert [(span["applied"], span["reason"]) for span in interpretation["spans"]] == [
        (False, interpretation["notice"])
    ]
    assert interpretation["text"] == text
    following = search(client, text=text, limit=2, cursor=answer["next_cursor"])
    assert following["matching"] == answer["matching"]
    printed = CliRunner().invoke(
        main, ["search", text, "--bundle", str(rivers)], env={"COLUMNS": "300"}
    )
    assert interpretation["notice"] in printed.stdout


def test_place_is_hard_soft_or_off(client: Client) -> None:
    """Three ways to take the same words."""
    text = "organisms within 40 km of rivers"
    hard, soft, off = (search(client, text=text, place=place) for place in ("hard", "soft", "off"))
    assert hard["matching"] < soft["matching"] == off["matching"]
    assert soft["interpretation"]["text"] == text
    assert [layer["name"] for layer in soft["layers"]] == ["river"]
    assert {hit["places_met"] for hit in off["hits"] + hard["hits"]} == {None}


def test_a_soft_place_raises_what_meets_it_by_the_stated_formula(client: Client) -> None:
    """A boost that nobody can check, or that leaves something out, is not a preference."""
    text = "organisms within 40 km of rivers"
    whole = {"text": text, "limit": 200, "interpret": False}
    plain = search(client, **whole)["hits"]
    near = {"near": [{"feature": "river", "within_m": 40_000}]}
    met = [hit["image_id"] for hit in search(client, **whole, filter=near)["hits"]]
    ranks = {hit["image_id"]: rank for rank, hit in enumerate(plain, 1)}
    expected = {
        image: 1 / (60 + rank) + (1 / (61 + met.index(image)) if image in met else 0)
        for image, rank in ranks.items()
    }
    soft = search(client, text=text, limit=200, place="soft")["hits"]
    assert {hit["image_id"] for hit in soft} == ranks.keys()
    for hit in soft:
        assert hit["score"] == pytest.approx(expected[hit["image_id"]], abs=1e-6)
        assert hit["places_met"] == (hit["image_id"] in met)
        assert hit["spaces"][0]["rank"] == ranks[hit["image_id"]]
    assert [hit["score"] for hit in soft] == sorted((hit["score"] for hit in soft), reverse=True)
    assert [hit["image_id"] for hit in soft] != list(ranks)
    mean = [
        sum(index for index, hit in enumerate(hits) if hit["image_id"] in met)
        for hits in (plain, soft)
    ]
    assert mean[1] < mean[0]


def test_pages_of_a_soft_place_are_one_list(client: Client) -> None:
    """A page that was ranked anew would repeat hits and skip others."""
    asked: dict[str, Any] = {"text": "organisms within 40 km of rivers", "place": "soft"}
    whole = [hit["image_id"] for hit in search(client, **asked, limit=200)["hits"]]
    paged: list[str] = []
    cursor = None
    while len(paged) < len(whole):
        given: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        answer = search(client, **asked, limit=7, **given)
        paged += [hit["image_id"] for hit in answer["hits"]]
        cursor = answer["next_cursor"]
    assert paged == whole
    assert cursor is None
    first = search(client, **asked, limit=7)["next_cursor"]
    other = client.post("/v1/search", json=asked | {"place": "off", "limit": 7, "cursor": first})
    assert (other.status_code, other.json()["field"]) == (422, "cursor")
    few = search(client, **asked, diversify="species", collapse=True, limit=200)["hits"]
    assert 0 < len(few) < len(whole)


def test_where_not_all_places_are_met_some_are_preferred(client: Client) -> None:
    """Nothing is within a metre of a river; what is within forty kilometres is nearer to it."""
    text = "organisms within 40 km of rivers within 1 m of the Nile"
    answer = search(client, text=text, limit=200)
    assert "no photo passes" in answer["interpretation"]["notice"]
    assert {hit["places_met"] for hit in answer["hits"]} == {0, 1}
    assert answer["hits"][0]["places_met"] == 1


def test_near_a_town_is_near_its_point(client: Client) -> None:
    """A town needs no layer: its point is known, and what is far from it must not come up."""
    words = search(client, text="organisms within 60 km of San Jose, Costa Rica", limit=200)
    (span,) = words["interpretation"]["spans"]
    assert (span["kind"], span["applied"]) == ("near", True)
    place = client.get("/v1/places", params={"q": "San Jose, Costa", "limit": 1}).json()["places"]
    assert place == []  # a name is completed, not a phrase
    named = client.get("/v1/places", params={"q": "San José", "limit": 20}).json()["places"]
    town = next(one for one in named if one["id"] == span["value"]["place"])
    assert town["countries"] == ["CR"]
    assert town["origin"] == "GeoNames, CC BY 4.0"
    assert span["origin"] == "GeoNames, CC BY 4.0"
    point = f"{town['latitude']}:{town['longitude']}:60000"
    looks = words["interpretation"]["scene_text"]
    link = client.get(
        "/v1/search", params={"text": looks, "interpret": False, "around": point, "limit": 200}
    ).json()
    assert link["hits"] == words["hits"]
    assert link["unjudged"] == words["unjudged"]
    assert 0 < link["matching"] < search(client, text="organisms")["matching"]
    for hit in link["hits"]:
        _, _, metres = pyproj.Geod(ellps="WGS84").inv(
            town["longitude"], town["latitude"], hit["lon"], hit["lat"]
        )
        assert metres + hit["uncertainty_m"] <= 60_000


SAN_JOSE = (9.93388, -84.08489)


@pytest.mark.parametrize(
    "text",
    [
        "organisms from San José, Costa Rica",
        "organisms in san jose, costa rica",
        "organismos en San José, Costa Rica",
    ],
)
def test_in_a_town_is_within_its_reach(client: Client, text: str) -> None:
    """Whoever asks for a town must see what was supposed of it, in either language."""
    (span,) = client.post("/v1/interpret", json={"text": text}).json()["spans"]
    assert (span["kind"], span["applied"], span["reason"]) == ("within", True, None)
    assert span["value"] == {"place": ["city/3621849"], "within_m": [6_000]}
    assert span["note"] == (
        "within 6 km of the middle of San José; where the region ends is not known"
    )
    assert span["origin"] == "GeoNames, CC BY 4.0"
    named = client.get("/v1/places", params={"q": "San José", "limit": 20}).json()["places"]
    town = next(one for one in named if one["id"] == "city/3621849")
    assert town["reach_m"] == 6_000


@pytest.fixture(scope="module")
def wide_client(rivers: Path) -> Iterator[Client]:
    """An atlas whose operator takes towns to be thinly settled, so that photos lie in one."""
    settings = override(Settings(), "bundle", path=str(rivers))
    settings = override(settings, "reading", people_per_km2=100.0)
    with TestClient(create_app(open_atlas(settings)), raise_server_exceptions=False) as running:
        yield running


def _away_m(hit: dict[str, Any], town: tuple[float, float]) -> float:
    """How far a record may be from a town, from its raw coordinates."""
    latitude, longitude = town
    metres = pyproj.Geod(ellps="WGS84").inv(longitude, latitude, hit["lon"], hit["lat"])[2]
    return float(metres) + float(hit["uncertainty_m"])


def test_every_hit_in_a_town_is_within_its_reach(wide_client: Client) -> None:
    """Judged from raw coordinates: the answer would judge itself by the same code."""
    text = "organisms from San José, Costa Rica"
    words = search(wide_client, text=text, limit=200)
    (span,) = words["interpretation"]["spans"]
    assert span["value"]["within_m"] == [33_000]
    assert words["interpretation"]["text"] == "organisms"
    assert 0 < words["matching"] < search(wide_client, text="organisms")["matching"]
    assert all(_away_m(hit, SAN_JOSE) <= 33_000 for hit in words["hits"])
    soft = search(wide_client, text=text, limit=200, place="soft")
    met = {hit["image_id"] for hit in soft["hits"] if hit["places_met"]}
    assert met == {hit["image_id"] for hit in words["hits"]}


def test_one_of_two_towns_is_enough(wide_client: Client) -> None:
    """No photo is in two towns; a link must say the same as the words."""
    text = "organisms in San Jose, Costa Rica or Amsterdam"
    words = search(wide_client, text=text, limit=200)
    (span,) = words["interpretation"]["spans"]
    assert span["value"] == {
        "place": ["city/3621849", "city/2759794"], "within_m": [33_000, 49_000],
    }  # fmt: skip
    towns = (*SAN_JOSE, 33_000), (52.37403, 4.88969, 49_000)
    near = [
        {hit["image_id"] for hit in words["hits"] if _away_m(hit, town[:2]) <= town[2]}
        for town in towns
    ]
    assert all(near)
    assert set.union(*near) == {hit["image_id"] for hit in words["hits"]}
    points = ",".join(":".join(map(str, town)) for town in towns)
    looks = words["interpretation"]["text"]
    asked: dict[str, str | int] = {"text": looks, "interpret": "false", "limit": 200}
    link = wide_client.get("/v1/search", params=asked | {"around_any": points}).json()
    assert link["hits"] == words["hits"]
    assert link["unjudged"] == words["unjudged"]
    wrong = wide_client.get("/v1/search", params=asked | {"around_any": "1:2"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "around_any")


def test_the_command_prints_what_was_supposed(rivers: Path) -> None:
    """Who asks at a shell must see how far the town was taken to reach."""
    asked = ["search", "organisms from San José, Costa Rica", "--bundle", str(rivers)]
    printed = CliRunner().invoke(main, asked, env={"COLUMNS": "300"})
    assert "within 6 km of the middle of San José; where the region ends" in printed.stdout


@pytest.mark.parametrize("around", ["1:2", "1:2:3:4", "91:0:5", "a:0:5", "1:2:0"])
def test_a_point_that_cannot_be_read_names_its_parameter(client: Client, around: str) -> None:
    """Whoever typed the link must see which part of it is wrong."""
    answer = client.get("/v1/search", params={"text": "a frog", "around": around})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith("around")


def test_several_taxa_in_words_and_links(client: Client) -> None:
    """Frogs and birds are frogs, and birds too."""

    def matching(text: str, **more: Any) -> int:
        found: int = client.get("/v1/search", params={"text": text} | more).json()["matching"]
        return found

    both = client.get("/v1/search", params={"text": "frogs and birds"}).json()
    spans = both["interpretation"]["spans"]
    assert [span["applied"] for span in spans] == [True, True]
    assert both["matching"] == matching("frogs") + matching("birds")
    ids = [span["value"]["taxon_id"] for span in spans]
    plain = {"interpret": False}
    assert matching("x", taxon=",".join(map(str, ids)), **plain) == both["matching"]
    assert matching("x", taxon=ids, **plain) == both["matching"]
    assert client.get("/v1/search", params={"text": "x", "taxon": "3,a"}).status_code == 422
