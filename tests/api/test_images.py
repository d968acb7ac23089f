"""One photo over HTTP: its record, and the picture or the way to it."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.api.images import _source_url
from atlas.api.records import Records
from atlas.app import Atlas, create_app
from atlas.catalog import ImageRow
from atlas.errors import NotFound
from tests.api.asgi import call

Client = TestClient[Litestar]
Hit = dict[str, Any]


def test_record_is_the_hit_without_score(client: Client, hits: list[Hit]) -> None:
    """A hit and its page must not tell different stories."""
    hit = hits[0]
    record = client.get(f"/v1/images/{hit['image_id']}").json()
    of_search = {"score", "spaces", "collapsed", "collapsed_images", "places_met"}
    assert record.pop("duplicate_of") is None
    assert record.pop("duplicates") == 0
    assert record == {key: value for key, value in hit.items() if key not in of_search}


def test_hosted_picture(client: Client, hits: list[Hit]) -> None:
    """Bytes of a picture with what a cache and a person who wants to credit need."""
    hit = next(hit for hit in hits if hit["licence"] == "CC-BY-4.0")
    answer = client.get(hit["media_url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(answer.content)).size[0] <= 64
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert 'rel="license"' in answer.headers["link"]
    assert answer.headers["x-licence"] == "CC-BY-4.0"
    assert answer.headers["x-rights-holder"] == hit["rights_holder"]
    tag = answer.headers["etag"]
    again = client.get(hit["media_url"], headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_only_allowed_licences_are_hosted(client: Client, hits: list[Hit]) -> None:
    """A photo whose licence the plan does not name must not be served from here."""
    hosted = {hit["licence"] for hit in hits if hit["media_url"]}
    assert hosted == {"CC0-1.0", "CC-BY-4.0"}
    other = next(hit for hit in hits if hit["licence"] == "CC-BY-NC-4.0")
    assert client.get(f"/v1/images/{other['image_id']}/media").status_code == 404


async def test_photo_elsewhere_is_redirected_to(atlas: Atlas, hits: list[Hit]) -> None:
    """A photo that is not hosted is at its source; credit travels with the redirect."""
    hit = next(hit for hit in hits if hit["licence"] == "CC-BY-NC-4.0")

    class Elsewhere(Records):
        def row(self, image_id: UUID) -> ImageRow:
            row = super().row(image_id)
            return msgspec.structs.replace(
                row, media_url="https://example.org/1.jpg", rights_holder="Zoë\r\nX: 1"
            )

    app = create_app(msgspec.structs.replace(atlas, records=Elsewhere(atlas.bundle, atlas.catalog)))
    answer = await call(app, "GET", f"/v1/images/{hit['image_id']}/media")
    assert answer.status == 307
    assert answer.headers["location"] == "https://example.org/1.jpg"
    assert answer.headers["x-rights-holder"] == "Zo%C3%AB%0D%0AX: 1"


def test_only_web_addresses_are_redirected_to(atlas: Atlas, hits: list[Hit]) -> None:
    """A source's `javascript:` or `file:` address must not become a redirect."""
    row = atlas.records.row(UUID(hits[0]["image_id"]))
    for address in ("javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", ""):
        with pytest.raises(NotFound):
            _source_url(msgspec.structs.replace(row, media_url=address))
