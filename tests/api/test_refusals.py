"""Every bad request is a problem document that names the field; nothing of the inside shows."""

from __future__ import annotations

import asyncio
import struct
import threading
import zlib
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient, TestClient
from PIL import Image

from atlas.app import Atlas, create_app, open_atlas
from atlas.errors import EncoderError
from atlas.search.encoder import Encoder, EncoderChoice
from atlas.settings import Settings, override
from atlas.species.names import NameMatch, TaxonNames
from atlas.telemetry import configure_logging
from tests.api.asgi import call

Client = TestClient[Litestar]
PROBLEM = "application/problem+json"
GIB = 1024**3


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"text": "x", "filter": {"taxon": 99_999}}, 422, "filter.taxon"),
        ({"text": "x", "filter": {"taxon": -1}}, 422, "filter.taxon"),
        ({"text": "x", "filter": {"bbox": [0, 50, 10, 40]}}, 422, "filter.bbox"),
        ({"text": "x", "filter": {"bbox": [0, 50, 10]}}, 422, "filter.bbox"),
        ({"text": "x", "filter": {"bbox": [0, -95, 10, 40]}}, 422, "filter.bbox"),
        ({"text": "x", "filter": {"cells": ["zzz"]}}, 422, "filter.cells"),
        ({"text": "x", "filter": {"months": [1, 13]}}, 422, "filter.months[1]"),
        ({"text": "x", "filter": {"licences": ["none"]}}, 422, "filter.licences"),
        ({"text": "x", "filter": {"observed": {"from": "May"}}}, 422, "filter.observed.from"),
        ({"text": "x", "filter": {"taxn": 1}}, 422, "filter.taxn"),
        (
            {"text": "x", "filter": {"polygon": {"type": "Polygon", "coordinates": [[[0, 0]]]}}},
            422,
            "filter.polygon.coordinates[0]",
        ),
        ({"text": "x", "limit": 0}, 422, "limit"),
        ({"text": "x", "limit": 201}, 422, "limit"),
        ({"text": "x", "recall": 0}, 422, "recall"),
        ({"text": "x", "recall": 1.5}, 422, "recall"),
        ({"text": "x", "limt": 3}, 422, "limt"),
        ({"text": "x", "cursor": "not a cursor"}, 422, "cursor"),
        ({"text": "x", "space": "nowhere"}, 422, "space"),
        ({"text": "   "}, 422, "text"),
        ({"text": "x" * 1001}, 422, "text"),
        ({"vector": [0.1] * 23}, 422, "vector"),
        ({"vector": []}, 422, "vector"),
        ({"vector": [0.0] * 24}, 422, "vector"),
        ({"vector": [1e300] * 24}, 422, "vector"),
        ({"image_id": "00000000-0000-0000-0000-000000000000"}, 422, "image_id"),
        ({"image_id": "seven"}, 422, "image_id"),
        ({"text": "x", "image_id": "00000000-0000-0000-0000-000000000000"}, 422, "image_id"),
        ({}, 422, "text"),
    ],
)
def test_bad_bodies_name_their_field(
    client: Client, body: dict[str, Any], status: int, field: str
) -> None:
    """A client must be able to show the fault beside the right input."""
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["field"] == field
    assert problem["status"] == status
    assert problem["errors"][0]["problem"]
    assert problem["type"].startswith("urn:atlas:problem:")
    assert answer.headers["x-request-id"] == problem["request_id"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=3", "text"),
        ("text=x&limit=0", "limit"),
        ("text=x&limit=many", "limit"),
        ("text=x&recall=2", "recall"),
        ("text=x&bbox=1,2,3", "bbox"),
        ("text=x&bbox=0,50,10,40", "bbox"),
        ("text=x&taxon=99999", "taxon"),
        ("text=x&taxon=frog", "taxon"),
        ("text=x&months=13", "months[0]"),
        ("text=x&from=2024-13-01", "from"),
        ("text=x&from=2024-02-01&to=2024-01-01", "from"),
        ("text=x&cells=xyz", "cells"),
        ("text=x&max_uncertainty_m=-3", "max_uncertainty_m"),
        ("text=x&flags=some", "flags"),
    ],
)
def test_bad_parameters_name_themselves(client: Client, query: str, field: str) -> None:
    """The field is called as in the query string, not as in the body."""
    answer = client.get(f"/v1/search?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["field"] == field


@pytest.mark.parametrize(
    "content", [b"{nope", b'{"vector": [NaN]}', b'{"vector": [1e999]}', b"\xff"]
)
def test_what_is_not_json_is_refused(client: Client, content: bytes) -> None:
    """NaN and broken JSON are refused before anything is computed."""
    answer = client.post(
        "/v1/search", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["field"] == "body"


def test_cursor_of_another_question(client: Client) -> None:
    """A cursor is bound to its question; otherwise pages would silently skip hits."""
    cursor = client.post("/v1/search", json={"text": "frog", "limit": 5}).json()["next_cursor"]
    answer = client.post("/v1/search", json={"text": "bird", "limit": 5, "cursor": cursor})
    assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"This is text.", 415, "not_an_image"),
        (b"", 422, "image_empty"),
        (bomb(), 413, "image_too_large"),
    ],
)
def test_unusable_pictures(client: Client, content: bytes, status: int, reason: str) -> None:
    """A text file named .jpg, an empty file and a decompression bomb are refused by name."""
    answer = client.post("/v1/search/image", files={"file": ("frog.jpg", content)})
    assert answer.status_code == status, answer.text
    assert (answer.json()["field"], answer.json()["reason"]) == ("file", reason)


def test_damaged_picture(client: Client) -> None:
    """A picture that ends in the middle is refused, not half searched."""
    whole = BytesIO()
    Image.effect_noise((200, 200), 50).save(whole, "PNG")
    answer = client.post("/v1/search/image", files={"file": ("a.png", whole.getvalue()[:5000])})
    assert (answer.status_code, answer.json()["reason"]) == (422, "image_damaged")


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({"filter": (None, "{}")}, "file"),
        ({"file": ("a.png", b"x"), "filter": (None, "{nope")}, "filter"),
        ({"file": ("a.png", b"x"), "filter": (None, '{"taxn": 1}')}, "filter.taxn"),
        ({"file": ("a.png", b"x"), "limit": (None, "0")}, "limit"),
        ({"file": ("a.png", b"x"), "color": (None, "red")}, "color"),
    ],
)
def test_bad_forms_name_their_field(client: Client, files: dict[str, Any], field: str) -> None:
    """The parts of an upload are checked like a body."""
    answer = client.post("/v1/search/image", files=files)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


async def test_announced_3_gb_upload_is_not_read(atlas: Atlas) -> None:
    """A body announced as too large is refused before one byte of it is taken."""
    answer = await call(
        create_app(atlas),
        "POST",
        "/v1/search/image",
        headers={
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(3 * GIB),
        },
        pieces=endless_form(),
    )
    assert answer.status == 413
    assert answer.headers["content-type"] == PROBLEM
    assert str(atlas.settings.server.max_body_bytes) in answer.json()["detail"]
    assert answer.pieces_read == 0


async def test_chunked_3_gb_upload_is_cut_off(atlas: Atlas) -> None:
    """A body that does not announce its size is counted, and left at the limit."""
    answer = await call(
        create_app(atlas),
        "POST",
        "/v1/search/image",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        pieces=endless_form(),
    )
    assert answer.status == 413
    assert answer.json()["field"] == "body"
    assert answer.pieces_read * 2**20 < atlas.settings.server.max_body_bytes + 4 * 2**20


def endless_form() -> Iterator[bytes]:
    """A form whose file has 3 GiB, in pieces of 1 MiB."""
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    piece = bytes(2**20)
    for _ in range(3 * 1024):
        yield piece


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/taxa/99999", 404),
        ("GET", "/v1/taxa/frog", 404),
        ("GET", "/v1/images/00000000-0000-0000-0000-000000000000", 404),
        ("GET", "/v1/images/00000000-0000-0000-0000-000000000000/media", 404),
        ("GET", "/v1/taxa/99999/distribution", 404),
        ("GET", "/v1/tiles/occurrence/3/1/1?taxon=99999", 404),
        ("GET", "/v1/tiles/elevation/3/1/1", 404),
        ("DELETE", "/v1/atlas", 405),
        ("PUT", "/v1/search", 405),
        ("GET", "/v1/tiles/occurrence/3/9/1", 422),
        ("GET", "/v1/tiles/occurrence/30/0/0", 422),
        ("GET", "/v1/taxa/3/distribution?resolution=12", 422),
        ("GET", "/v1/taxa/3/distribution?bbox=0,50,10,40", 422),
        ("GET", "/v1/taxa/3/distribution?group=30", 422),
        ("GET", "/v1/taxa?q=frog&limit=0", 422),
        ("GET", "/v1/taxa", 422),
    ],
)
def test_everything_is_a_problem_document(
    client: Client, method: str, path: str, status: int
) -> None:
    """Also what no handler sees: unknown routes and wrong methods."""
    answer = client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status


async def test_failure_shows_nothing_of_the_inside(atlas: Atlas) -> None:
    """An unforeseen error is a plain 500; its text is for the log, under the same request id."""
    log = StringIO()
    configure_logging("info", log)

    class Broken(TaxonNames):
        def complete(self, typed: str, limit: int) -> list[NameMatch]:
            raise RuntimeError(f"password hunter2 {typed} {limit}")

    broken = msgspec.structs.replace(atlas, names=Broken(atlas.catalog))
    answer = await call(
        create_app(broken), "GET", "/v1/taxa?q=frog", headers={"X-Request-ID": "mine-1"}
    )
    assert answer.status == 500
    assert answer.headers["content-type"] == PROBLEM
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine-1"
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    failure = next(line for line in lines if line["logger"] == "atlas.error")
    assert failure["request_id"] == "mine-1"
    assert "hunter2" in failure["exception"]


async def test_full_queue_answers_503_with_retry_after(settings: Settings) -> None:
    """When as many searches wait as may wait, the next is told when to come back."""
    small = override(settings, "queue", workers=1, max_waiting=1, retry_after_s=2.5)
    atlas = open_atlas(small)
    blocked = threading.Event()
    async with AsyncTestClient(create_app(atlas)) as client:
        pool = atlas.questions._searches
        jobs = [asyncio.ensure_future(pool.run(blocked.wait, 30)) for _ in range(2)]
        await asyncio.sleep(0.05)
        body = {"vector": [1.0] * 24}
        refused = await client.post("/v1/search", json=body)
        blocked.set()
        await asyncio.gather(*jobs)
        taken = await client.post("/v1/search", json=body)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "3"
    assert refused.headers["content-type"] == PROBLEM
    assert taken.status_code == 200


async def test_space_without_encoder(settings: Settings) -> None:
    """Allowed by a setting, such a space refuses text and photos and answers everything else."""

    def unreachable(choice: EncoderChoice) -> Encoder:
        raise EncoderError(choice.spec, "no hub here")

    atlas = open_atlas(override(settings, "spaces", missing_encoder="serve"), loader=unreachable)
    async with AsyncTestClient(create_app(atlas)) as client:
        text = await client.post("/v1/search", json={"text": "frog"})
        photo = await client.post("/v1/search/image", files={"file": ("a.png", b"x")})
        vector = await client.post("/v1/search", json={"vector": [1.0] * 24})
        described = (await client.get("/v1/atlas")).json()
    assert (text.status_code, text.json()["field"]) == (409, "space")
    assert photo.status_code == 409
    assert vector.status_code == 200
    assert described["spaces"][0]["reads_text"] is False
