"""An atlas with two spaces, built by the indexer from two encoders: fused answers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from atlas.bundle import Bundle
from atlas.search.encoder import EncoderChoice, load_encoder
from atlas.search.pictures import read_picture
from tests.api import searching

Client = TestClient[Litestar]
K = 60


def search(client: Client, **body: Any) -> dict[str, Any]:
    """A search with nothing held back, unless its filter says otherwise."""
    return searching.search(client, **({"filter": {"flags": "all"}} | body))


def refused(client: Client, **body: Any) -> dict[str, Any]:
    """POST a search that must be refused as one that cannot be answered."""
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


def walk(client: Client, **body: Any) -> list[dict[str, Any]]:
    """All hits, page by page."""
    hits: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = search(client, **body, **cursor)
        hits += page["hits"]
        if page["next_cursor"] is None:
            return hits
        assert len(page["hits"]) == body["limit"]
        cursor = {"cursor": page["next_cursor"]}


def check_fused(client: Client, **question: Any) -> None:
    """The fused list is RRF over the lists that each space gives alone."""
    alone = {
        space: {
            hit["image_id"]: (rank, hit["score"])
            for rank, hit in enumerate(
                search(client, **question, space=space, limit=200)["hits"], 1
            )
        }
        for space in ("tiny", "wide")
    }
    fused = search(client, **question, limit=200)
    assert fused["spaces"] == ["tiny", "wide"]
    assert len(fused["hits"]) == fused["matching"] == len(alone["tiny"])
    for hit in fused["hits"]:
        assert [place["space"] for place in hit["spaces"]] == ["tiny", "wide"]
        for place in hit["spaces"]:
            rank, score = alone[place["space"]][hit["image_id"]]
            assert place["rank"] == rank
            assert place["score"] == pytest.approx(score, abs=2e-6)
        expected = sum(1 / (K + place["rank"]) for place in hit["spaces"])
        assert hit["score"] == pytest.approx(expected, abs=1e-6)
    scores = [hit["score"] for hit in fused["hits"]]
    assert scores == sorted(scores, reverse=True)
    segments = fused["plan"]["segments"]
    assert {segment["space"] for segment in segments} == {"tiny", "wide"}
    assert fused["plan"]["rows_scored"] == 2 * fused["matching"]


def test_words_are_read_by_both_spaces(twin_client: Client) -> None:
    """The promise of several encoders: what one cannot read the other may."""
    check_fused(twin_client, text="something red")


def test_a_stored_photo_is_looked_for_in_both_spaces(twin_client: Client) -> None:
    """Stored vectors need no encoder; the photo itself comes first in each space."""
    image_id = search(twin_client, text="something green", limit=9)["hits"][8]["image_id"]
    check_fused(twin_client, image_id=image_id)
    first = search(twin_client, image_id=image_id, limit=1)["hits"][0]
    assert [place["score"] for place in first["spaces"]] == pytest.approx([1, 1], abs=2e-3)


def test_an_upload_is_read_by_both_spaces(twin_client: Client, tiny_photos: Path) -> None:
    """A photo takes the same ways as words."""
    content = (tiny_photos / "photos" / "0003.png").read_bytes()

    def post(**form: str) -> dict[str, Any]:
        answer = twin_client.post(
            "/v1/search/image",
            files={"file": ("photo.png", content)},
            data={"limit": "3", "filter": '{"flags": "all"}', **form},
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    both = post()
    assert both["spaces"] == ["tiny", "wide"]
    assert both["hits"][0]["source_url"] == "https://example.org/records/3"
    assert [place["rank"] for place in both["hits"][0]["spaces"]] == [1, 1]
    assert post(space="wide")["spaces"] == ["wide"]
    names = [hit["taxon"]["scientific_name"] for hit in post(diversify="species")["hits"]]
    assert len(names) == len(set(names)) == 3


def test_a_vector_says_its_space_by_its_length(twin_client: Client) -> None:
    """Numbers of one encoder mean nothing to another: guessing would answer nonsense."""
    assert search(twin_client, vector=[1.0] * 24)["spaces"] == ["tiny"]
    assert search(twin_client, vector=[1.0] * 32)["spaces"] == ["wide"]
    problem = refused(twin_client, vector=[1.0] * 5)
    assert problem["field"] == "vector"
    assert "tiny 24, wide 32" in problem["detail"]
    assert refused(twin_client, vector=[1.0] * 24, space="wide")["field"] == "vector"
    assert refused(twin_client, text="something green", space="elsewhere")["field"] == "space"


def test_fused_pages_never_repeat_or_skip(twin_client: Client) -> None:
    """Pages of any size are cut from one list."""
    whole = [
        hit["image_id"] for hit in search(twin_client, text="something green", limit=200)["hits"]
    ]
    for limit in (7, 13):
        hits = walk(twin_client, text="something green", limit=limit)
        assert [hit["image_id"] for hit in hits] == whole


@pytest.mark.parametrize("space", [None, "tiny"])
def test_one_hit_a_species_or_place(twin_client: Client, space: str | None) -> None:
    """Seven species are in the atlas: seven hits, on pages that are full."""
    chosen = {} if space is None else {"space": space}
    hits = walk(twin_client, text="something green", limit=3, diversify="species", **chosen)
    names = [hit["taxon"]["scientific_name"] for hit in hits]
    assert len(names) == len(set(names))
    everything = search(twin_client, text="something green", limit=200)["hits"]
    assert set(names) == {hit["taxon"]["scientific_name"] for hit in everything}
    places = walk(twin_client, text="something green", limit=3, diversify="place", **chosen)
    assert 1 < len(places) < len(everything)
    assert len({hit["image_id"] for hit in places}) == len(places)


def test_get_takes_the_same_fields(twin_client: Client) -> None:
    """A link must be able to ask for what a program asks for."""
    link = (
        "/v1/search?text=something+green&limit=4&diversify=place&collapse=true&flags=all&space=wide"
    )
    by_link = twin_client.get(link).json()
    by_body = search(
        twin_client, text="something green", limit=4, diversify="place", collapse=True, space="wide"
    )
    assert by_link["hits"] == by_body["hits"]
    assert by_link["spaces"] == ["wide"]
    problem = twin_client.get("/v1/search?text=frog&diversify=genus")
    assert problem.status_code == 422
    assert problem.json()["field"] == "diversify"


def test_each_photo_went_through_both_encoders_once(
    twin_bundle: Path, tiny_bundle: Path, tiny_photos: Path
) -> None:
    """Rows of the two spaces must be the same photos, and one space must not disturb the other."""
    twin, single = Bundle.open(twin_bundle), Bundle.open(tiny_bundle)
    assert twin.manifest.rows == single.manifest.rows
    assert np.array_equal(twin.segments[0].vectors("tiny"), single.segments[0].vectors("tiny"))
    wide = twin.segments[0].vectors("wide")
    assert wide.shape == (twin.manifest.rows, 32)
    assert len(np.unique(wide.astype(np.float32), axis=0)) > twin.manifest.rows // 2
    encoder = load_encoder(EncoderChoice(spec=twin.spaces["wide"].encoder, device="cpu"))
    assert encoder.fingerprint == twin.spaces["wide"].fingerprint
    assert encoder.fingerprint != twin.spaces["tiny"].fingerprint
    picture = read_picture((tiny_photos / "photos" / "0003.png").read_bytes(), max_pixels=10_000)
    vector = encoder.encode_pictures([picture])[0]
    assert (wide.astype(np.float32) @ vector).max() == pytest.approx(1, abs=2e-3)
