"""A running server and its bundle's next state: no request fails, none mixes the two."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.bundle.bundle import Bundle
from atlas.bundle.files import sha256_of
from atlas.search.encoder import Encoder, EncoderChoice, load_encoder
from atlas.settings import Settings, override
from atlas.telemetry import configure_logging

REPOSITORY = Path(__file__).resolve().parents[2]
REQUESTS = 1_000
EVERYTHING = {"text": "something green", "limit": 200, "filter": {"flags": "all"}}


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def following(bundle: Path) -> Settings:
    """Settings of a server that looks often."""
    return override(Settings(), "bundle", path=str(bundle), follow_s=0.05)


class CountingLoader:
    """Loads encoders and counts them."""

    def __init__(self) -> None:
        self.loads = 0

    def load(self, choice: EncoderChoice) -> Encoder:
        """Load one."""
        self.loads += 1
        return load_encoder(choice)


def records_of(hits: list[dict[str, Any]], species: str) -> list[dict[str, Any]]:
    """Every photo of the records that show a species; a few show another one, too."""
    records = {hit["occurrence_id"] for hit in hits if hit["taxon"]["scientific_name"] == species}
    return [hit for hit in hits if hit["occurrence_id"] in records]


def take_away(root: Path, gone: list[dict[str, Any]]) -> None:
    """Remove the records of these photos.

    By another process, as operators do; DuckDB also opens a file in one way at a time only.
    """
    subprocess.run(
        [sys.executable, "-m", "indexer", "remove", str(root), "--occurrence-ids", "-"],
        input="\n".join(hit["occurrence_id"] for hit in gone),
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )


def wait_for(client: TestClient[Litestar], ready: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until `/health/ready` says so."""
    deadline = time.monotonic() + 30
    while not ready(client.get("/health/ready").json()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_call_forgets_removed_photos(bundle: Path, following: Settings) -> None:
    """A takedown that one endpoint does not honour is no takedown."""
    loader = CountingLoader()
    atlas = open_atlas(following, loader=loader.load)
    with TestClient(create_app(atlas, loader=loader.load)) as client:
        hits = client.post("/v1/search", json=EVERYTHING).json()["hits"]
        page = client.post("/v1/search", json=EVERYTHING | {"limit": 5}).json()
        gone = records_of(hits, "Anas platyrhynchos")
        tile = client.get("/v1/tiles/occurrence/0/0/0")
        whole = client.get("/v1/taxa/0").json()["counts"]["images"]
        placed = total(client.get("/v1/taxa/0/distribution?resolution=0").json())
        hosted = next(h for h in gone if client.get(media(h)).status_code == 200)
        kept = next(h for h in hits if h not in gone)
        take_away(bundle, gone)
        wait_for(client, lambda ready: ready["bundle"] == 2)

        assert client.get(f"/v1/images/{hosted['image_id']}").status_code == 404
        assert client.get(media(hosted)).status_code == 404
        assert client.get(f"/v1/images/{kept['image_id']}").status_code == 200
        like = client.post("/v1/search", json={"image_id": hosted["image_id"]})
        assert (like.status_code, like.json()["field"]) == (422, "image_id")
        answer = client.post("/v1/search", json=EVERYTHING).json()
        assert answer["matching"] == len(hits) - len(gone) == len(answer["hits"])
        assert not ids(answer["hits"]) & ids(gone)
        every_path = EVERYTHING | {"filter": {"flags": "all", "bbox": [-180, -90, 180, 90]}}
        assert not ids(client.post("/v1/search", json=every_path).json()["hits"]) & ids(gone)
        cells = [str(hit["cell"]) for hit in gone]
        inside = EVERYTHING | {"filter": {"flags": "all", "cells": cells}}
        assert not ids(client.post("/v1/search", json=inside).json()["hits"]) & ids(gone)
        assert client.get("/v1/taxa?q=Anas").json()["taxa"] == []
        assert client.get("/v1/taxa?q=Mallard").json()["taxa"] == []
        assert client.get("/v1/taxa/0").json()["counts"]["images"] == whole - len(gone)
        assert total(client.get("/v1/taxa/0/distribution?resolution=0").json()) < placed
        fresh = client.get("/v1/tiles/occurrence/0/0/0")
        assert fresh.headers["etag"] != tile.headers["etag"]
        assert fresh.content != tile.content
        described = client.get("/v1/atlas").json()
        assert described["counts"]["images"] == len(hits) - len(gone)
        assert (described["bundle"], described["counts"]["species"]) == (2, 6)
        old_page = client.post("/v1/search", json=EVERYTHING | {"cursor": page["next_cursor"]})
        assert (old_page.status_code, old_page.json()["field"]) == (422, "cursor")
        metrics = client.get("/metrics").text
        assert f'atlas_bundle_rows{{number="2"}} {len(hits) - len(gone)}.0' in metrics
        assert 'number="1"' not in metrics
        assert 'atlas_bundle_followed_total{outcome="served"} 1.0' in metrics
    assert loader.loads == 1


def media(hit: dict[str, Any]) -> str:
    """Where the picture of a hit lies."""
    return f"/v1/images/{hit['image_id']}/media"


def ids(hits: list[dict[str, Any]]) -> set[str]:
    """The images of hits."""
    return {hit["image_id"] for hit in hits}


def total(distribution: dict[str, Any]) -> int:
    """Records in all cells."""
    return sum(cell["n"] for cell in distribution["cells"])


def test_a_damaged_state_is_refused(
    bundle: Path, following: Settings, hits: list[dict[str, Any]]
) -> None:
    """The server goes on, ready, and says which state it does not serve; then it is replaced."""
    log = StringIO()
    configure_logging("info", log)
    with TestClient(create_app(open_atlas(following))) as client:
        # Held back by renaming, so that the server cannot see the state before it is damaged.
        pointer = (bundle / "CURRENT").read_bytes()
        hidden = bundle.with_name("hidden")
        shutil.copytree(bundle, hidden)
        take_away(hidden, records_of(hits, "Hyla arborea"))
        catalog = hidden / "catalog-000002.duckdb"
        content = bytearray(catalog.read_bytes())
        content[len(content) // 2] ^= 1
        catalog.write_bytes(content)
        shutil.copytree(hidden, bundle, dirs_exist_ok=True)
        wait_for(client, lambda ready: ready["refused"] == "manifest-000002.json")
        assert client.get("/health/ready").status_code == 200
        assert client.get("/v1/atlas").json()["bundle"] == 1
        assert client.post("/v1/search", json=EVERYTHING).status_code == 200
        assert 'atlas_bundle_followed_total{outcome="refused"} 1.0' in client.get("/metrics").text
        assert "catalog-000002.duckdb: its checksum differs" in log.getvalue()
        (bundle / "CURRENT").write_bytes(pointer)
        wait_for(client, lambda ready: ready["refused"] is None)
    configure_logging("info", StringIO())


class State(NamedTuple):
    """What a client can see of one state of the bundle."""

    number: int
    images: int
    taxa: frozenset[tuple[str, int]]
    root_images: int
    tag: str


def state_of(client: httpx.Client) -> State:
    """Everything at once, while nothing changes."""
    answer = client.post("/v1/search", json=EVERYTHING).json()
    described = client.get("/v1/atlas").json()
    assert answer["matching"] == described["counts"]["images"]
    return State(
        number=described["bundle"],
        images=answer["matching"],
        taxa=frozenset((hit["image_id"], hit["taxon"]["taxon_id"]) for hit in answer["hits"]),
        root_images=client.get("/v1/taxa/0").json()["counts"]["images"],
        tag=client.get("/v1/tiles/occurrence/0/0/0").headers["etag"],
    )


@pytest.fixture
def server(following: Settings) -> Iterator[str]:
    """A real server on a free port; its address."""
    configure_logging("warning", StringIO())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(
        uvicorn.Config(create_app(open_atlas(following)), port=port, log_config=None)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.slow
def test_a_thousand_requests_across_a_change(
    server: str, bundle: Path, hits: list[dict[str, Any]]
) -> None:
    """Nothing fails, and every answer is wholly of the state before or of the one after."""
    answers: list[tuple[str, tuple[object, ...]]] = []
    with httpx.Client(base_url=server, timeout=60) as client, ThreadPoolExecutor(65) as pool:
        before = state_of(client)
        asking = [pool.submit(ask, server, worker, answers) for worker in range(64)]
        change = pool.submit(remove_later, bundle, hits, answers)
        for work in (change, *asking):
            work.result(timeout=120)
        after = state_of(client)
    assert (before.number, after.number) == (1, 2)
    assert before.taxa - after.taxa
    seen: Counter[tuple[str, int]] = Counter()
    for kind, answer in answers:
        states = [state for state in (before, after) if answer == seen_of(state, kind)]
        assert len(states) == 1, (kind, answer)
        seen[kind, states[0].number] += 1
    assert len(answers) >= REQUESTS
    assert {("search", 1), ("search", 2), ("atlas", 1), ("atlas", 2)} <= set(seen)


def remove_later(
    root: Path, hits: list[dict[str, Any]], answers: list[tuple[str, tuple[object, ...]]]
) -> None:
    """Remove a species once a fifth of the requests is answered."""
    while len(answers) < REQUESTS // 5:
        time.sleep(0.01)
    take_away(root, records_of(hits, "Anas platyrhynchos"))


def ask(server: str, worker: int, answers: list[tuple[str, tuple[object, ...]]]) -> None:
    """Ask one thing after the other until the new state has answered, and many times."""
    draw = random.Random(worker)
    with httpx.Client(base_url=server, timeout=60) as client:
        while len(answers) < REQUESTS or not any(shown[0] == 2 for _, shown in answers[-200:]):
            answers.append(one(client, draw))


def one(client: httpx.Client, draw: random.Random) -> tuple[str, tuple[object, ...]]:
    """One request of any kind, and what a state shows in it."""
    kind = draw.choice(["search", "search", "atlas", "root", "tile"])
    if kind == "search":
        answer = client.post("/v1/search", json=EVERYTHING)
    else:
        path = {"atlas": "/v1/atlas", "root": "/v1/taxa/0", "tile": "/v1/tiles/occurrence/0/0/0"}
        answer = client.get(path[kind])
    assert answer.status_code == 200, answer.text
    if kind == "tile":
        return kind, ("tag", answer.headers["etag"])
    found = answer.json()
    if kind == "search":
        taxa = frozenset((h["image_id"], h["taxon"]["taxon_id"]) for h in found["hits"])
        return kind, ("hits", found["matching"], taxa)
    if kind == "atlas":
        return kind, (found["bundle"], found["counts"]["images"])
    return kind, ("root", found["counts"]["images"])


def seen_of(state: State, kind: str) -> tuple[object, ...]:
    """What a request of this kind shows of a state."""
    return {
        "search": ("hits", state.images, state.taxa),
        "atlas": (state.number, state.images),
        "root": ("root", state.root_images),
        "tile": ("tag", state.tag),
    }[kind]


def test_unchanged_files_are_not_read_again(
    bundle: Path, hits: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing hundreds of gigabytes for a small removal would take the disk from the searches."""
    first = Bundle.open(bundle)
    take_away(bundle, records_of(hits, "Rana temporaria"))
    read: list[str] = []

    def counting(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("atlas.bundle.bundle.sha256_of", counting)
    second = Bundle.open(bundle, verified=first.manifest.files)
    assert second.manifest.number == 2
    assert sorted(read) == ["catalog-000002.duckdb", "tombstones-000002.roar"]
