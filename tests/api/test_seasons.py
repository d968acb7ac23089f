"""`/v1/search/seasons`: the bars beside the photos of a question."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]


def test_bars_are_what_their_press_finds(client: Client) -> None:
    """A bar that says seven must lead to seven photos, or nobody can believe the histogram."""
    limits: dict[str, Any] = {"licences": ["CC-BY-4.0"]}
    asked = {"text": "red-eyed frogs since 2015", "filter": limits}
    seasons = client.post("/v1/search/seasons", json=asked).json()
    assert seasons["matching"] > 0
    assert sum(seasons["months"]) + seasons["without_month"] == seasons["matching"]
    whole = client.post("/v1/search", json=asked | {"limit": 1}).json()
    assert seasons["matching"] == whole["matching"]
    for month, photos in enumerate(seasons["months"], start=1):
        limited = {**asked, "limit": 1, "filter": {**limits, "months": [month]}}
        assert client.post("/v1/search", json=limited).json()["matching"] == photos
    for year in seasons["years"]:
        days = {"from": f"{year['year']}-01-01", "to": f"{year['year']}-12-31"}
        # Days that are stated go before those of the words, so the words' are left out.
        if year["year"] < 2015:
            continue
        limited = {**asked, "limit": 1, "filter": {**limits, "observed": days}}
        assert client.post("/v1/search", json=limited).json()["matching"] == year["photos"]


def test_without_words_the_filter_counts(client: Client) -> None:
    """The bars of a photo or of nothing asked are those of the other limits."""
    every = client.post("/v1/search/seasons", json={}).json()
    spans_off = {"text": "frogs in May", "interpret": False}
    assert client.post("/v1/search/seasons", json=spans_off).json() == every
    refused = client.post("/v1/search/seasons", json={"filter": {"taxon": 999_999}})
    assert refused.status_code == 422
    assert refused.json()["field"] == "filter.taxon"
