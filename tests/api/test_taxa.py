"""Taxa over HTTP: completion, lineage, distribution beside effort."""

from __future__ import annotations

from collections import Counter
from typing import Any

import h3.api.basic_str as h3
import pytest
from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]
Hit = dict[str, Any]


def complete(client: Client, typed: str) -> list[dict[str, Any]]:
    """Completions of what was typed."""
    taxa: list[dict[str, Any]] = client.get("/v1/taxa", params={"q": typed}).json()["taxa"]
    return taxa


def taxon_id(client: Client, name: str) -> int:
    """The id of a taxon by its exact name."""
    match = complete(client, name)[0]
    assert match["match"] == "exact"
    found: int = match["taxon_id"]
    return found


@pytest.mark.parametrize(
    ("typed", "first", "match"),
    [
        ("Agalychnis callidryas", "Agalychnis callidryas", "exact"),
        ("agaly", "Agalychnis", "prefix"),
        ("RED-EYED", "Agalychnis callidryas", "prefix"),
        ("red eyed tree frogs", "Agalychnis callidryas", "exact"),
        ("Mallards", "Anas platyrhynchos", "exact"),
        ("Málłard", "Anas platyrhynchos", "typo"),
        ("dropwort", "Oenanthe aquatica", "word"),
        ("aglaychnis", "Agalychnis", "typo"),
        ("wheatearr", "Oenanthe deserti", "typo"),
    ],
)
def test_completion(client: Client, typed: str, first: str, match: str) -> None:
    """Prefix before word before typo; case, accents, hyphens and plurals do not matter."""
    found = complete(client, typed)
    assert found
    assert (found[0]["scientific_name"], found[0]["match"]) == (first, match)


def test_completion_keeps_homonyms_apart(client: Client) -> None:
    """Oenanthe is a bird and a plant: both must be offered."""
    found = [match for match in complete(client, "Oenanthe") if match["rank"] == "genus"]
    assert len({match["taxon_id"] for match in found}) == 2


@pytest.mark.parametrize("typed", ["", "   ", "qqqqqqqqqq", "%", "_"])
def test_nothing_fits(client: Client, typed: str) -> None:
    """Nothing typed and wildcards of SQL find nothing rather than everything."""
    assert complete(client, typed) == []


def test_lineage_keeps_empty_ranks(client: Client) -> None:
    """A taxon with an empty family keeps the rank, as null; it is not dropped."""
    page = client.get(f"/v1/taxa/{taxon_id(client, 'Amanita muscaria')}").json()
    by_rank = {entry["rank"]: entry for entry in page["lineage"]}
    assert by_rank["family"] == {"rank": "family", "scientific_name": None, "taxon_id": None}
    assert by_rank["order"]["scientific_name"] == "Agaricales"
    assert by_rank["species"]["taxon_id"] == page["taxon_id"]
    parent = client.get(f"/v1/taxa/{page['parent_id']}").json()
    assert parent["scientific_name"] == "Amanita"
    assert page["common_names"] == [{"name": "Fly agaric", "language": "en"}]


def test_root_holds_everything(client: Client, hits: list[Hit]) -> None:
    """The root has no parent, and its count is that of the atlas."""
    root = client.get("/v1/taxa/0").json()
    assert root["parent_id"] is None
    assert root["counts"]["images"] == len(hits)
    below = sum(child["images"] for child in root["children"])
    assert below + root["counts"]["images_here"] == len(hits)
    assert root["counts"]["children"] == len(root["children"])
    few = client.get("/v1/taxa/0", params={"children": 1}).json()
    assert len(few["children"]) == 1
    assert few["counts"]["children"] == root["counts"]["children"]


def cells_by_hand(hits: list[Hit], names: set[str], resolution: int) -> Counter[str]:
    """Records per cell, computed from the hits alone."""
    records = {
        (hit["dataset"], hit["occurrence_id"], hit["cell"])
        for hit in hits
        if hit["taxon"]["scientific_name"] in names
        and hit["cell"]
        and h3.get_resolution(hit["cell"]) >= resolution
    }
    return Counter(h3.cell_to_parent(cell, resolution) for _, _, cell in records)


@pytest.mark.parametrize("resolution", [0, 3, 5, 7])
def test_distribution_counts_records_per_cell(
    client: Client, hits: list[Hit], resolution: int
) -> None:
    """Every cell and count against brute force; records too coarse stand apart, none is lost."""
    frogs = taxon_id(client, "Anura")
    names = {"Agalychnis callidryas", "Hyla arborea", "Rana temporaria"}
    answer = client.get(f"/v1/taxa/{frogs}/distribution", params={"resolution": resolution}).json()
    fine = {cell["cell"]: cell["n"] for cell in answer["cells"] if not cell["coarse"]}
    held_back = {"date_implausible", "recorded_absent", "duplicate_picture"}
    shown = [hit for hit in hits if not held_back & set(hit["flags"])]
    assert fine == dict(cells_by_hand(shown, names, resolution))
    coarse = [cell for cell in answer["cells"] if cell["coarse"]]
    assert all(cell["resolution"] < resolution for cell in coarse)
    assert answer["coarse_records"] == sum(cell["n"] for cell in coarse)
    placed = {
        (hit["occurrence_id"], hit["cell"])
        for hit in shown
        if hit["taxon"]["scientific_name"] in names and hit["cell"]
    }
    assert answer["records"] == len(placed)


def test_effort_is_that_of_the_class(client: Client) -> None:
    """A frog's map has the amphibians' effort beside it, never less than its own records."""
    frog = taxon_id(client, "Rana temporaria")
    answer = client.get(f"/v1/taxa/{frog}/distribution", params={"resolution": 4}).json()
    assert answer["target_group"]["scientific_name"] == "Amphibia"
    amphibia = answer["target_group"]["taxon_id"]
    group = client.get(f"/v1/taxa/{amphibia}/distribution", params={"resolution": 4}).json()
    efforts = {cell["cell"]: cell["n"] for cell in group["cells"]}
    for cell in answer["cells"]:
        if not cell["coarse"]:
            assert cell["effort"]["n"] == efforts[cell["cell"]] >= cell["n"]
            assert cell["area_km2"] > 0


def test_searched_cells_are_told_from_unsearched(client: Client) -> None:
    """Where the group was recorded and the taxon was not, the map says so; it never says absent."""
    frog = taxon_id(client, "Rana temporaria")
    answer = client.get(
        f"/v1/taxa/{frog}/distribution", params={"resolution": 4, "searched": True}
    ).json()
    states = {cell["state"] for cell in answer["cells"]}
    assert states == {"recorded", "searched, not recorded"}
    for cell in answer["cells"]:
        if cell["state"] != "recorded":
            assert cell["n"] == 0
            assert cell["effort"]["n"] > 0


def test_other_target_group(client: Client) -> None:
    """An expert may measure effort by another group that holds the taxon."""
    frog = taxon_id(client, "Rana temporaria")
    animals = taxon_id(client, "Animalia")
    answer = client.get(
        f"/v1/taxa/{frog}/distribution", params={"group": animals, "resolution": 2}
    ).json()
    assert answer["target_group"]["scientific_name"] == "Animalia"


def test_distribution_inside_a_box(client: Client) -> None:
    """A box across the antimeridian keeps the cells on both of its sides, and no other."""
    whole = client.get("/v1/taxa/0/distribution", params={"resolution": 5}).json()["cells"]
    boxed = client.get(
        "/v1/taxa/0/distribution", params={"resolution": 5, "bbox": "179,-20,-179,-15"}
    ).json()["cells"]
    expected = {
        cell["cell"]
        for cell in whole
        if any(
            abs(longitude) > 179 and -20 < latitude < -15
            for latitude, longitude in h3.cell_to_boundary(cell["cell"])
        )
    }
    assert {cell["cell"] for cell in boxed} == expected
    sides = {h3.cell_to_latlng(cell)[1] > 0 for cell in expected}
    assert sides == {True, False}


def test_geojson_by_accept(client: Client) -> None:
    """The same cells as outlines; cells across the antimeridian come in pieces that do not."""
    path = "/v1/taxa/0/distribution?resolution=5"
    plain = client.get(path).json()
    answer = client.get(path, headers={"Accept": "application/geo+json"})
    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    assert [feature["properties"] for feature in collection["features"]] == plain["cells"]
    for feature in collection["features"]:
        for (ring,) in feature["geometry"]["coordinates"]:
            longitudes = [longitude for longitude, _ in ring]
            assert ring[0] == ring[-1]
            polar = max(latitude for _, latitude in ring) > 89
            assert polar or max(longitudes) - min(longitudes) < 180
