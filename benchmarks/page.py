"""How fast the page is in a real Chromium: the first view, and typing to first photos.

`python -m benchmarks.page --bundle data/demo/bundle [--json FILE]` serves the bundle at a loopback
address and drives the machine's browser (docs/page.md). One thread.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from benchmarks.chromium import BROWSER_ARGUMENTS, chromium
from illustrated.demo import free_port, running_server

QUESTIONS = (
    "red-eyed frogs", "yellow birds", "blue butterflies", "green beetles", "frogs near rivers",
    "brown moths", "orange butterflies in May", "black birds", "tree frogs", "white butterflies",
    "red beetles", "striped fish", "grey mammals", "purple flowers", "yellow flowers in June",
    "spotted cats", "small brown birds", "green frogs since 2020", "red birds", "dragonflies",
)  # fmt: skip
LIBRARY = "/assets/map"

# From the key press to the frame after the first photo of the new answer is there to be seen.
_WATCH = """() => new Promise((resolve) => {
  const field = document.querySelector("#question");
  const before = new Set([...document.querySelectorAll(".card")]);
  let pressed = 0;
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !pressed) { pressed = performance.now(); look(); }
  });
  const look = () => {
    // A photo that is only at its source has no picture here.
    const picture = document.querySelector(".card img");
    const card = picture && picture.closest(".card");
    if (card && !before.has(card) && picture.complete && picture.naturalWidth > 0) {
      requestAnimationFrame(() => resolve(performance.now() - pressed));
    } else requestAnimationFrame(look);
  };
  window.watching = true;
})"""
_FIRST_PHOTO = """() => {
  const card = document.querySelector(".card img");
  return card !== null && card.complete && card.naturalWidth > 0 && performance.now();
}"""


class FirstView(msgspec.Struct, frozen=True, kw_only=True):
    """One first visit: milliseconds to the first photo, and bytes on the wire by what they are."""

    first_photo_ms: float
    requests: int
    light_bytes: int
    library_bytes: int


@contextmanager
def _context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A visitor whose browser has kept nothing."""
    context = browser.new_context(
        base_url=address, locale="en-GB", viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(60_000)
    yield context
    context.close()


def first_view(browser: Browser, address: str) -> FirstView:
    """Open a question's address with nothing cached; sizes are compressed bodies."""
    finished: list[Request] = []

    def keep(request: Request) -> None:
        finished.append(request)

    with _context(browser, address) as context:
        page = context.new_page()
        page.on("requestfinished", keep)
        page.goto("/?q=frog", wait_until="commit")
        shown_ms = page.wait_for_function(_FIRST_PHOTO).json_value()
        page.wait_for_load_state("networkidle")
        # Not while they finish: asking the browser from within an event may wait for ever.
        sizes = {request.url: request.sizes()["responseBodySize"] for request in finished}
    library = sum(size for url, size in sizes.items() if LIBRARY in url)
    return FirstView(
        first_photo_ms=float(shown_ms),
        requests=len(sizes),
        light_bytes=sum(sizes.values()) - library,
        library_bytes=library,
    )


def typing_ms(page: Page, question: str) -> float:
    """Milliseconds from Enter, after a question was typed, to its first photo."""
    field = page.locator("#question")
    field.fill("")
    shown = page.evaluate_handle(f"() => ({{ ms: ({_WATCH})() }})")
    field.press_sequentially(question, delay=40)
    field.press("Enter")
    return float(shown.evaluate("async (watched) => await watched.ms"))


def measure(address: str, visits: int) -> list[dict[str, Any]]:
    """Every measurement as flat records, one a case."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=BROWSER_ARGUMENTS, timeout=120_000
        )
        views = [first_view(browser, address) for _ in range(visits)]
        with _context(browser, address) as context:
            page = context.new_page()
            page.goto("/")
            page.locator("canvas").wait_for()
            page.wait_for_load_state("networkidle")
            typed = [typing_ms(page, question) for question in QUESTIONS]
        version = browser.version
        browser.close()
    chosen = {"benchmark": "page", "system": "atlas", "chromium": version}
    return [
        {
            **chosen, "case": "first view", "n": len(views),
            **_spread([view.first_photo_ms for view in views]),
            "requests": max(view.requests for view in views),
            "light_bytes": max(view.light_bytes for view in views),
            "library_bytes": max(view.library_bytes for view in views),
        },
        {**chosen, "case": "typing to first photos", "n": len(typed), **_spread(typed)},
    ]  # fmt: skip


def _spread(milliseconds: Sequence[float]) -> dict[str, float]:
    return {
        "p50_ms": round(statistics.median(milliseconds), 1),
        "least_ms": round(min(milliseconds), 1),
        "most_ms": round(max(milliseconds), 1),
    }


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--visits", default=5, show_default=True, help="First visits.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Records as JSON.")
def main(bundle: Path, visits: int, json_file: Path | None) -> None:
    """Measure the page on a bundle."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with running_server(bundle, free_port(), log) as address:
            records = measure(address, visits)
    for record in records:
        print(record)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(records)) + b"\n")


if __name__ == "__main__":
    main()
