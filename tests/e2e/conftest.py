"""Fixtures of the browser tests: one server, one Chromium, and a page that is watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.chromium import BROWSER_ARGUMENTS, chromium
from illustrated.demo import free_port, running_server
from tests.conftest import REPOSITORY

PICTURES = Path(os.environ.get("ATLAS_PICTURES") or REPOSITORY / "data" / "pictures")
# The first map of a server reads the shores of the earth, on machines that others share.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def address(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the tiny bundle."""
    log = tmp_path_factory.mktemp("page") / "server.log"
    with running_server(tiny_bundle, free_port(), log) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium.

    Not for the session: Playwright's event loop runs in this thread until it is stopped, and no
    asynchronous test of another module could run beside it.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=BROWSER_ARGUMENTS, timeout=120_000
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of its own for each test. It fails on errors in scripts and on outside requests."""
    context = browser.new_context(
        base_url=address, locale="en-GB", viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(60_000)
    opened = context.new_page()
    errors: list[str] = []
    outside: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else outside.append(request.url)
        ),
    )
    yield opened
    context.close()
    assert errors == []
    assert outside == []


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept as output of the run, which git ignores."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the screenshots are."""
    if PICTURES.is_dir():
        terminalreporter.write_line(f"screenshots of the page: {PICTURES}")


@pytest.fixture(scope="session")
def species(address: str) -> int:
    """The number of the species with most photos."""
    found = httpx.get(f"{address}/v1/taxa", params={"q": "Agalychnis callidryas"}, timeout=30)
    return int(found.json()["taxa"][0]["taxon_id"])
