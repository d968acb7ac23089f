"""A basemap of the operator's own, from a tile server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from illustrated.demo import free_port, running_server
from tests.e2e.watching import drawn

pytestmark = pytest.mark.slow

VIOLET = (120, 40, 160)
CREDIT = "Tiles of <Nobody> & Sons"


class Tiles(BaseHTTPRequestHandler):
    """Answers every tile with one colour, as a tile server of another origin does."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Send a tile."""
        self.asked.append(self.path)
        content = BytesIO()
        Image.new("RGB", (256, 256), VIOLET).save(content, "PNG")
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(content.getvalue())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def tiles() -> Iterator[str]:
    """Address of a tile server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Tiles) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def own_address(
    tiny_bundle: Path, tiles: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of an atlas whose operator set that tile server."""
    log = tmp_path_factory.mktemp("own") / "server.log"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ATLAS_PAGE__TILES", f"{tiles}/{{z}}/{{x}}/{{y}}.png")
        environment.setenv("ATLAS_PAGE__ATTRIBUTION", CREDIT)
        with running_server(tiny_bundle, free_port(), log) as running:
            yield running


def _violet(page: Page) -> float:
    """How much of the map has the colour of the tiles."""
    picture = Image.open(BytesIO(page.locator(".map").screenshot())).convert("RGB")
    near = np.abs(np.asarray(picture, np.int16) - VIOLET).sum(axis=2) < 12
    return float(near.mean())


def test_own_basemap(browser: Browser, own_address: str, tiles: str) -> None:
    """Tiles must be let in, shown and credited; all else still comes from the atlas."""
    context = browser.new_context(base_url=own_address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    # The rest is buttons, credit, scale, and the cells of all life. Tiles fade in when they come;
    # without a graphics card some do not before the page is loaded again.
    shares: list[float] = []
    while not shares or (shares[-1] <= 0.4 and len(shares) < 120):
        if len(shares) % 40 == 0:
            page.goto("/")
            drawn(page)
            expect(page.locator(".maplibregl-ctrl-attrib-inner")).to_contain_text(CREDIT)
        page.wait_for_timeout(100)
        shares.append(_violet(page))
    assert shares[-1] > 0.4, shares
    assert Tiles.asked
    hosts = (own_address, f"{tiles}/", "data:", "blob:")
    assert [url for url in requests if not url.startswith(hosts)] == []
    assert not any("/v1/basemap/" in url for url in requests)
    assert not any("Content Security Policy" in text for text in complaints), complaints
    context.close()
