"""Gaps over HTTP: taxon or words, areas, states, forms, one cell explained."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import h3.api.basic_str as h3
import pytest
from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]
EUROPE = "0,48,10,56"


def taxon_id(client: Client, name: str) -> int:
    """The id of a taxon by its exact name."""
    found: int = client.get("/v1/taxa", params={"q": name}).json()["taxa"][0]["taxon_id"]
    return found


def rank(client: Client, **parameters: Any) -> dict[str, Any]:
    """A ranking, which must be there."""
    answer = client.get("/v1/gaps", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_ranking_of_a_class(client: Client) -> None:
    """Best first, with parts, reasons, the question in words and what was held back."""
    amphibia = taxon_id(client, "Amphibia")
    answer = rank(client, taxon=amphibia, bbox=EUROPE, resolution=3, limit=200)
    scores = [gap["score"]["score"] for gap in answer["gaps"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["matching"] == len(answer["gaps"]) == sum(answer["cells"].values())
    assert answer["target_group"]["scientific_name"] == "Amphibia"
    assert answer["question"]["area"] == "bbox"
    assert "Amphibia" in answer["question"]["words"]
    assert {gap["state"] for gap in answer["gaps"]} >= {"no_data", "insufficient"}
    assert all(gap["reason"] for gap in answer["gaps"])
    assert {held["flag"] for held in answer["held_back"]} <= {
        flag["name"] for flag in client.get("/v1/atlas").json()["flags"] if flag["held_back"]
    }


def test_visits_are_those_of_the_class(client: Client) -> None:
    """A species' gaps stand beside the effort of its class, as its distribution does."""
    frog = taxon_id(client, "Rana temporaria")
    answer = rank(client, taxon=frog, bbox=EUROPE, resolution=3, limit=200)
    path = f"/v1/taxa/{frog}/distribution"
    cells = client.get(path, params={"resolution": 3, "searched": True}).json()["cells"]
    visits = {cell["cell"]: cell["effort"]["visits"] for cell in cells if cell["effort"]}
    found = {
        gap["cell"]: gap["sampling"]["visits"]
        for gap in answer["gaps"]
        if gap["sampling"]["visits"]
    }
    assert found
    assert all(visits[cell] == count for cell, count in found.items())


def test_words_become_taxa(client: Client) -> None:
    """Words rank gaps for the families of the photos that they find, and say for which."""
    answer = rank(client, text="red-eyed frogs", bbox=EUROPE)
    question = answer["question"]
    hits = client.get("/v1/search", params={"text": "red-eyed frogs", "limit": 100}).json()["hits"]
    assert question["photos"] == len(hits)
    assert 0 < question["read"] <= len(hits)
    weights = [taxon["weight"] for taxon in answer["taxa"]]
    assert weights[0] == 1.0
    assert weights == sorted(weights, reverse=True)
    assert len(weights) <= 5
    found = [hit["taxon"]["taxon_id"] for hit in hits]
    for taxon in answer["taxa"]:
        below = client.get(f"/v1/taxa/{taxon['taxon_id']}").json()["counts"]["taxa"]
        inside = range(taxon["taxon_id"], taxon["taxon_id"] + below + 1)
        photos = sum(taxon_id in inside for taxon_id in found)
        most = round(photos / taxon["weight"])
        assert photos == pytest.approx(taxon["weight"] * most, abs=0.01)
        # The fly agaric has no family: it stands for itself.
        assert taxon["rank"] in {"family", "species"}
        assert taxon["scientific_name"] in question["words"]
    assert "red-eyed frogs" in question["words"]
    search = client.get("/v1/search", params={"text": "red-eyed frogs"}).json()
    assert question["interpretation"] == search["interpretation"]


def test_polygon_and_states(client: Client) -> None:
    """A polygon lists the cells that touch it; states are kept apart."""
    ring = [[3.0, 50.0], [7.0, 50.0], [7.0, 54.0], [3.0, 54.0], [3.0, 50.0]]
    polygon = json.dumps({"type": "Polygon", "coordinates": [ring]})
    boxed = rank(client, bbox="3,50,7,54", limit=1000)
    drawn = rank(client, polygon=polygon, limit=1000)
    assert drawn["gaps"] == boxed["gaps"]
    assert drawn["question"]["area"] == "polygon"
    some = rank(client, bbox="3,50,7,54", limit=1000, state="no_data,under_sampled")
    assert some["gaps"] == [
        gap for gap in boxed["gaps"] if gap["state"] in {"no_data", "under_sampled"}
    ]
    assert some["question"]["states"] == ["no_data", "under_sampled"]


def test_forms(client: Client) -> None:
    """JSON, GeoJSON and CSV hold the same cells with the same numbers; others are refused."""
    path = f"/v1/gaps?bbox={EUROPE}&resolution=3&limit=20"
    plain = client.get(path).json()
    features = client.get(path, headers={"Accept": "application/geo+json"})
    assert features.headers["content-type"] == "application/geo+json"
    collection = features.json()
    assert [feature["properties"] for feature in collection["features"]] == plain["gaps"]
    assert collection["ranking"] == {k: v for k, v in plain.items() if k != "gaps"}
    for feature in collection["features"]:
        assert feature["geometry"]["type"] == "MultiPolygon"
    table = client.get(path, headers={"Accept": "text/csv"})
    assert table.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(table.text)))
    assert [line["cell"] for line in lines] == [gap["cell"] for gap in plain["gaps"]]
    for line, gap in zip(lines, plain["gaps"], strict=True):
        flat = {
            **{k: v for k, v in gap.items() if not isinstance(v, dict)},
            **gap["score"],
            **gap["sampling"],
            **{f"nearby_{k}": v for k, v in gap["nearby"].items()},
        }
        assert {k: v for k, v in line.items() if k != "position"} == {
            k: "" if v is None else str(v) for k, v in flat.items()
        }
    # A cache that kept the table must not give it to who asks for JSON.
    for answer in (features, table, client.get(path)):
        assert "Accept" in [name.strip() for name in answer.headers["vary"].split(",")]
    refused = client.get(path, headers={"Accept": "image/png"})
    assert refused.status_code == 406
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["status"] == 406


def test_one_cell_explained(client: Client) -> None:
    """The page of a cell repeats the list's numbers and adds what is behind them."""
    amphibia = taxon_id(client, "Amphibia")
    answer = rank(client, taxon=amphibia, bbox=EUROPE, resolution=3, limit=200)
    gap = next(gap for gap in answer["gaps"] if gap["sampling"]["species"])
    page = client.get(f"/v1/gaps/{gap['cell']}", params={"taxon": amphibia}).json()
    assert page["gap"] == gap
    assert page["taxon"]["scientific_name"] == "Amphibia"
    assert len(page["recorded"]) == gap["sampling"]["species"]
    assert sum(species["visits"] for species in page["recorded"]) == gap["sampling"]["incidences"]
    assert page["unrecorded"]["why"]
    assert "absent" not in json.dumps([page, answer]).lower().replace("recorded_absent", "")


def test_expected_species_come_with_photos(client: Client) -> None:
    """Evidence is records with their photo, licence and holder, as everywhere."""
    for name in ("Rana temporaria", "Anas platyrhynchos", "Agalychnis callidryas"):
        centre = h3.latlng_to_cell(52.37, 4.9, 3)
        page = client.get(f"/v1/gaps/{centre}").json()
        for species in page["unrecorded"]["species"]:
            for seen in species["records"]:
                assert seen["record"]["taxon"]["taxon_id"] == species["taxon_id"], name
                assert {"image_id", "licence", "rights_holder"} <= seen["record"].keys()


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("taxon=1&text=frogs", 422, "text"),
        ("text=", 422, "text"),
        ("taxon=99999", 404, "taxon"),
        ("bbox=1,2,3", 422, "bbox"),
        ("bbox=0,0,1,1&polygon=[]", 422, "polygon"),
        ("polygon={", 422, "polygon"),
        ("polygon=[[[0,0],[1,1],[0,0]]]", 422, "polygon"),
        ("state=unknown", 422, "state"),
        ("resolution=6", 422, "resolution"),
        ("resolution=9&bbox=0,0,1,1", 422, "resolution"),
        ("resolution=x", 422, "resolution"),
        ("limit=0", 422, "limit"),
        ("limit=10001", 422, "limit"),
    ],
)
def test_refusals_name_the_parameter(client: Client, query: str, status: int, field: str) -> None:
    """A problem document names the parameter at fault."""
    answer = client.get(f"/v1/gaps?{query}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    ("cell", "status", "field"),
    [
        ("xyz", 422, "cell"),
        (h3.latlng_to_cell(52.0, 5.0, 9), 422, "cell"),
        (h3.latlng_to_cell(52.0, 5.0, 3) + "?taxon=99999", 404, "taxon"),
    ],
)
def test_refusals_of_a_cell(client: Client, cell: str, status: int, field: str) -> None:
    """What is no cell, too fine a cell, and an unknown taxon are told apart."""
    answer = client.get(f"/v1/gaps/{cell}")
    assert answer.status_code == status, answer.text
    assert answer.json()["field"] == field
