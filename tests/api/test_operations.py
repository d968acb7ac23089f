"""What operators rely on: health, metrics of bounded size, logs without bodies, offline pages."""

from __future__ import annotations

import re
from io import StringIO

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from atlas.app import Atlas, create_app, openapi_document
from atlas.telemetry import configure_logging
from tests.api.asgi import call

Client = TestClient[Litestar]


def test_health(client: Client) -> None:
    """Orchestrators ask both; ready names the bundle that is served."""
    assert client.get("/health/live").json()["status"] == "ok"
    assert client.get("/health/ready").json() == {"status": "ok", "bundle": 1, "refused": None}


def test_atlas_describes_itself(client: Client, atlas: Atlas, hits: list[object]) -> None:
    """What to cite, what was measured, what was refused: all from the bundle, nothing made up."""
    answer = client.get("/v1/atlas").json()
    assert (answer["title"], answer["demonstration"]) == ("Tiny atlas", True)
    assert answer["bundle"] == atlas.bundle.manifest.number
    assert answer["counts"]["images"] == len(hits)
    assert answer["counts"]["species"] == 7
    (source,) = answer["sources"]
    assert source["citation"] == "Nobody (2026). Tiny records."
    assert source["rows_in"] == source["rows_out"] + sum(source["rejects"].values())
    assert answer["rejects"] == source["rejects"]
    assert answer["counts"]["rejects"] == sum(answer["rejects"].values())
    (space,) = answer["spaces"]
    assert space["fingerprint"] == atlas.bundle.spaces["tiny"].fingerprint
    assert space["recall"]["points"]
    assert {flag["name"] for flag in answer["flags"] if flag["held_back"]}
    assert sum(licence["images"] for licence in answer["licences"]) <= len(hits)


def samples(client: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample that `/metrics` shows."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_paths_are_labelled_by_template(client: Client) -> None:
    """A label for every id would fill the memory of the server and of Prometheus."""
    for number in range(5):
        client.get(f"/v1/taxa/{number}")
        client.get(f"/nowhere/{number}")
    paths = {
        dict(labels)["path"] for name, labels in samples(client) if name == "atlas_requests_total"
    }
    assert "/v1/taxa/{taxon_id}" in paths
    assert not [path for path in paths if re.search(r"\d", path.replace("/v1/", "/"))]
    assert not [path for path in paths if "nowhere" in path]


def test_own_metrics(client: Client) -> None:
    """A search moves the numbers that capacity is planned from."""
    before = samples(client)
    client.get("/v1/search?text=frog")
    after = samples(client)

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0.0)

    assert grown("atlas_encode_batch_size_count", space="tiny") == 1
    assert grown("atlas_encode_seconds_count", space="tiny", kind="text") == 1
    assert grown("atlas_search_path_total", path="exact") == 1
    assert grown("atlas_rows_scored_count") == 1
    for queue in ("searches", "photos", "texts tiny"):
        assert after["atlas_queue_depth", frozenset({("queue", queue)})] == 0
    assert after["atlas_bundle_rows", frozenset({("number", "1")})] == 64


async def test_logs_are_json_without_bodies(atlas: Atlas) -> None:
    """One line a request with listed fields; what people search for is not kept."""
    log = StringIO()
    configure_logging("info", log)
    app = create_app(atlas)
    await call(app, "GET", "/v1/taxa?q=secret+frog", headers={"X-Request-ID": "abc"})
    await call(app, "GET", "/nowhere", headers={"X-Request-ID": "forged\nline"})
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    first, second = [line for line in lines if line["logger"] == "atlas.request"]
    assert "secret" not in log.getvalue()
    assert set(first) == {
        "event", "request_id", "method", "path", "route", "status", "took_ms", "level", "logger",
        "timestamp",
    }  # fmt: skip
    assert (first["request_id"], first["path"], first["status"]) == ("abc", "/v1/taxa", 200)
    assert second["request_id"] not in {"abc", "forged\nline"}
    assert (second["route"], second["status"]) == ("", 404)


def test_api_page_is_offline(client: Client) -> None:
    """The page and its scripts come from here: it must work without any network."""
    page = client.get("/schema").text
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.content
    style = client.get("/schema/static/swagger-ui.css").text
    assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", style)


def test_served_document_is_the_printed_one(client: Client) -> None:
    """`atlas openapi` needs no bundle, and must still print what a server serves."""
    assert client.get("/schema/openapi.json").json() == msgspec.json.decode(openapi_document())


def test_every_operation_is_named_and_described() -> None:
    """Client generators make method names of operation ids; refusals must be in the document."""
    document = msgspec.json.decode(openapi_document())
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Keep structlog's own default from printing in colour."""
    configure_logging("info", StringIO())
