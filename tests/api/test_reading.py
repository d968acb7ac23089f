"""Words that limit a search, over HTTP: read, shown, switched off; and names of places."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]
QUESTION = "frogs near rivers in Costa Rica since 2018"


def interpret(client: Client, **body: Any) -> dict[str, Any]:
    """POST words that must be readable."""
    answer = client.post("/v1/interpret", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_words_limit_as_the_same_filter_would(client: Client) -> None:
    """What is shown as applied must be what was done."""
    taxon = client.get("/v1/taxa", params={"q": "Anura"}).json()["taxa"][0]["taxon_id"]
    read = client.post("/v1/search", json={"text": QUESTION, "limit": 50}).json()
    stated = client.post(
        "/v1/search",
        json={
            "text": read["interpretation"]["text"],
            "interpret": False,
            "limit": 50,
            "filter": {"taxon": taxon, "observed": {"from": "2018-01-01"}},
        },
    ).json()
    assert read["hits"] == stated["hits"]
    assert read["matching"] == stated["matching"] > 0
    assert stated["interpretation"]["spans"] == []
    assert {span["kind"]: span["applied"] for span in read["interpretation"]["spans"]} == {
        "taxon": True, "near": False, "within": False, "time": True
    }  # fmt: skip


def test_interpret_shows_what_a_search_does(client: Client) -> None:
    """A person corrects what is shown here; a search that read otherwise would surprise."""
    shown = interpret(client, text=QUESTION)
    searched = client.post("/v1/search", json={"text": QUESTION}).json()["interpretation"]
    linked = client.get("/v1/search", params={"text": QUESTION}).json()["interpretation"]
    assert shown == searched == linked
    for span in shown["spans"]:
        assert QUESTION[span["start"] : span["end"]] == span["words"]


def test_spans_are_switched_off_by_kind_and_offset(client: Client) -> None:
    """Without this a misreading could not be corrected."""
    everything = client.post("/v1/search", json={"text": "x", "limit": 1}).json()["matching"]
    only_time = {"text": QUESTION, "without": [{"kind": "taxon", "start": 0}]}
    link = client.get("/v1/search", params={"text": QUESTION, "without": "taxon:0"}).json()
    assert client.post("/v1/search", json=only_time).json()["matching"] == link["matching"]
    both = client.get("/v1/search", params={"text": QUESTION, "without": "taxon,time"}).json()
    assert both["matching"] == everything > link["matching"]
    assert both["interpretation"]["text"] == QUESTION
    off = interpret(client, text=QUESTION, place="off")
    assert [span["reason"] for span in off["spans"] if span["kind"] == "near"] == ["place is off"]


def test_pages_of_a_question_that_was_read(client: Client) -> None:
    """A cursor belongs to the filter that the words gave."""
    first = client.get("/v1/search", params={"text": QUESTION, "limit": 2}).json()
    following = {"text": QUESTION, "limit": 2, "cursor": first["next_cursor"]}
    second = client.get("/v1/search", params=following).json()
    seen = [hit["image_id"] for hit in first["hits"] + second["hits"]]
    assert len(seen) == len(set(seen)) == 4
    refused = client.get("/v1/search", params={**following, "without": "time"})
    assert refused.status_code == 422
    assert refused.json()["field"] == "cursor"


def test_faults_name_the_field(client: Client) -> None:
    """A kind that is misspelt must not be taken for none."""
    answer = client.get("/v1/search", params={"text": "x", "without": "taxa"})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith("without")
    assert client.get("/v1/search", params={"text": "x", "place": "firm"}).status_code == 422
    assert client.post("/v1/interpret", json={"text": "x", "plcae": "off"}).status_code == 422


def test_licences_and_sources_of_the_bundle(client: Client) -> None:
    """Only what the bundle has can be asked for by name."""
    atlas = client.get("/v1/atlas").json()
    key = atlas["sources"][0]["key"]
    shown = interpret(client, text=f"owls from {key} under CC0")
    values = {span["kind"]: span["value"] for span in shown["spans"] if span["applied"]}
    assert values["source"] == {"source": key}
    assert values["licence"] == {"licence": "CC0"}
    hits = client.get("/v1/search", params={"text": "birds CC0", "limit": 50}).json()["hits"]
    assert hits
    assert {hit["licence"] for hit in hits} == {"CC0-1.0"}


def test_names_of_places(client: Client) -> None:
    """Completion in either language, with what a filter by place will need."""
    found = client.get("/v1/places", params={"q": "costa r"}).json()["places"][0]
    assert found["id"] == "country/CR"
    assert found["iso"] == "CR"
    assert len(found["box"]) == 4
    assert client.get("/v1/places", params={"q": "peru", "limit": 0}).status_code == 422
