"""Searching over HTTP: by words, by stored photo, by vector, by upload, within filters."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.app import Atlas, create_app, open_atlas
from atlas.settings import Settings
from tests.api.asgi import call
from tests.api.searching import search

Client = TestClient[Litestar]
Hit = dict[str, Any]

HIT_KEYS = {
    "image_id", "score", "taxon", "verbatim_name", "cell", "lat", "lon", "uncertainty_m",
    "observed_on", "observer", "basis_of_record", "media_url", "source_url", "licence",
    "record_licence", "rights_holder", "dataset", "dataset_key", "occurrence_id",
    "data_generalizations", "flags",
    "spaces", "collapsed", "collapsed_images", "places_met",
}  # fmt: skip


def test_answer_has_the_promised_shape(client: Client) -> None:
    """Clients read these names; a missing licence or holder would break the field's rules."""
    answer = search(client, text="something green", limit=5)
    assert set(answer) == {
        "hits", "next_cursor", "matching", "held_back", "held_back_for", "unjudged", "layers",
        "spaces", "plan", "interpretation", "took_ms",
    }  # fmt: skip
    assert all(set(hit) == HIT_KEYS for hit in answer["hits"])
    assert set(answer["took_ms"]) == {"encode", "search", "rows", "total"}
    assert answer["interpretation"] == {
        "text": "something green", "scene_text": "something green", "spans": [], "notice": None
    }  # fmt: skip
    assert answer["plan"]["path"] == "exact"
    assert answer["plan"]["rows_scored"] == answer["matching"]
    assert answer["plan"]["segments"][0]["passing"] == answer["matching"]


def test_get_and_post_agree(client: Client) -> None:
    """A link and a program must see the same hits."""
    by_link = client.get(
        "/v1/search",
        params={
            "text": "something red",
            "limit": 7,
            "bbox": "-90,0,10,60",
            "months": "1,2,3,4,5,6",
        },
    ).json()
    by_body = search(
        client,
        text="something red",
        limit=7,
        filter={"bbox": [-90, 0, 10, 60], "months": [1, 2, 3, 4, 5, 6]},
    )
    assert by_link["matching"] == by_body["matching"] > 0
    assert by_link["hits"] == by_body["hits"]


def test_scores_are_cosines_in_order(client: Client, atlas: Atlas) -> None:
    """Scores are exact cosines with the stored vectors, best first; here by brute force."""
    vector = np.random.default_rng(3).normal(size=24)
    answer = search(client, vector=vector.tolist(), limit=10, filter={"flags": "all"})
    stored = atlas.bundle.segments[0].vectors("tiny").astype(np.float64)
    expected = np.sort(stored @ (vector / np.linalg.norm(vector)))[::-1][:10]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(expected, abs=2e-3)


def test_stored_photo_finds_itself_first(client: Client, hits: list[Hit]) -> None:
    """A photo is most like itself; anything else means vectors and rows have drifted apart."""
    image_id = hits[5]["image_id"]
    answer = search(client, image_id=image_id, limit=3, filter={"flags": "all"})
    assert answer["hits"][0]["score"] == pytest.approx(1.0, abs=2e-3)
    assert image_id in {hit["image_id"] for hit in answer["hits"]}
    assert answer["interpretation"] is None


def test_uploaded_photo_finds_the_stored_one(client: Client, tiny_photos: Any) -> None:
    """The upload takes the same way to a vector as the indexer's photos did."""
    content = (tiny_photos / "photos" / "0003.png").read_bytes()
    answer = client.post(
        "/v1/search/image",
        files={"file": ("any name.png", content)},
        data={"limit": "1", "filter": '{"flags": "all"}'},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"][0]["source_url"] == "https://example.org/records/3"
    assert answer.json()["hits"][0]["score"] == pytest.approx(1.0, abs=5e-3)


def test_filters_hold_for_every_hit(client: Client, hits: list[Hit]) -> None:
    """Each filter against brute force over all photos: exact count and no foreign hit."""

    def check(passes: set[str], **limits: Any) -> None:
        answer = search(client, text="x", limit=200, filter={"flags": "all", **limits})
        assert {hit["image_id"] for hit in answer["hits"]} == passes
        assert answer["matching"] == len(passes)
        assert passes
        assert len(passes) < len(hits)

    check({h["image_id"] for h in hits if h["licence"] == "CC0-1.0"}, licences=["CC0-1.0"])
    check(
        {h["image_id"] for h in hits if h["uncertainty_m"] and h["uncertainty_m"] <= 100},
        max_uncertainty_m=100,
    )
    check(
        {h["image_id"] for h in hits if h["lon"] is not None and abs(h["lon"]) > 179},
        bbox=[179, -90, -179, 90],
    )
    day = "2019-06-30"
    check(
        {h["image_id"] for h in hits if h["observed_on"] and h["observed_on"] >= day},
        observed={"from": day},
    )
    taxon = next(h["taxon"]["taxon_id"] for h in hits if h["taxon"]["rank"] == "species")
    check({h["image_id"] for h in hits if h["taxon"]["taxon_id"] == taxon}, taxon=taxon)
    cell = next(h["cell"] for h in hits if h["cell"])
    check({h["image_id"] for h in hits if h["cell"] == cell}, cells=[cell])


def test_taxon_filter_takes_descendants(client: Client) -> None:
    """A class must find its species' photos, not only those that name the class itself."""
    birds = client.get("/v1/taxa", params={"q": "Aves"}).json()["taxa"][0]
    answer = search(
        client, text="x", limit=200, filter={"taxon": birds["taxon_id"], "flags": "all"}
    )
    names = {hit["taxon"]["scientific_name"] for hit in answer["hits"]}
    assert names == {"Oenanthe deserti", "Anas platyrhynchos"}
    assert answer["matching"] == birds["images"]


def test_pages_never_repeat_or_skip(client: Client, hits: list[Hit]) -> None:
    """Walking by cursor gives every photo once, in the order of one long page."""
    seen: list[str] = []
    cursor = None
    while True:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = search(client, text="something green", limit=7, filter={"flags": "all"}, **more)
        seen += [hit["image_id"] for hit in page["hits"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["hits"]) == 7
    assert seen == [hit["image_id"] for hit in hits]


def test_held_back_is_counted(client: Client, hits: list[Hit]) -> None:
    """What the default quality filter hides is said, not silently gone."""
    answer = search(client, text="something green", limit=200)
    assert answer["matching"] + answer["held_back"] == len(hits)
    hiding = {flag["name"] for flag in client.get("/v1/atlas").json()["flags"] if flag["held_back"]}
    hidden = [hiding & set(hit["flags"]) for hit in hits]
    assert {held["flag"]: held["rows"] for held in answer["held_back_for"]} == {
        name: sum(name in names for names in hidden) for name in set().union(*hidden)
    }
    assert all(held["meaning"] for held in answer["held_back_for"])


async def test_32_clients_at_once(settings: Settings) -> None:
    """Concurrent searches get their own answers, and their texts share batches."""
    atlas = open_atlas(settings)
    app = create_app(atlas)
    paths = [f"/v1/search?text=organism+number+{number}&limit=3" for number in range(32)]
    async with atlas.running():
        alone = [(await call(app, "GET", path)).json() for path in paths[:4]]
        before = batches(atlas)
        answers = await asyncio.gather(*(call(app, "GET", path) for path in paths))
        together = batches(atlas) - before
    assert {answer.status for answer in answers} == {200}
    for number, answer in enumerate(answers):
        assert answer.json()["interpretation"]["text"] == f"organism number {number}"
    for one, answer in zip(alone, answers, strict=False):
        assert ids(answer.json()) == ids(one)
    assert together <= 8


def ids(answer: dict[str, Any]) -> list[str]:
    """The photos of a page, in order."""
    return [hit["image_id"] for hit in answer["hits"]]


def batches(atlas: Atlas) -> float:
    """Batches that the encoder has had."""
    name = "atlas_encode_batch_size_count"
    lines = atlas.metrics.exposition().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_orientation_of_an_upload_is_honoured(client: Client, tiny_photos: Any) -> None:
    """A phone's photo lies on its side with a note; it must be searched upright."""
    upright = Image.open(tiny_photos / "photos" / "0003.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(lying, "PNG", exif=exif)
    answer = client.post(
        "/v1/search/image",
        files={"file": ("phone.png", lying.getvalue())},
        data={"limit": "1", "filter": '{"flags": "all"}'},
    ).json()
    assert answer["hits"][0]["source_url"] == "https://example.org/records/3"
