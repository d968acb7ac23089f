"""Every view and state at three widths, light and dark: pictures, and axe's findings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.watching import GAPS, drawn, findings

pytestmark = pytest.mark.slow

WIDTHS = {390: 844, 1024: 768, 1920: 1080}
BUSY = (
    '{"type": "urn:atlas:problem:overloaded", "title": "The atlas is busy", "status": 503, '
    '"detail": "the queue of searches is full; try again in 1 s"}'
)


def hold(_: Route) -> None:
    """Leave a request unanswered: what the page shows while it waits."""


def refuse(route: Route) -> None:
    """Answer as a server does that has too much to do."""
    route.fulfill(status=503, content_type="application/problem+json", body=BUSY)


class Shown(NamedTuple):
    """A state: its address, what tells that it is there, and which requests fare otherwise."""

    address: str
    ready: str
    requests: str = ""
    fate: Callable[[Route], None] = hold
    press: str = ""


STATES = {
    "photos-welcome": Shown("/", ".notice"),
    "photos-loading": Shown("/?q=frog", ".loading", r"/v1/search$"),
    "photos-error": Shown("/?q=frog", "[role=alert]", r"/v1/search$", refuse),
    "photos-empty": Shown("/?q=frog&bbox=-150,-60,-149,-59", ".after .notice"),
    "photos-results": Shown("/?q=red-eyed+frogs+since+2015&months=3,4,5,6", ".card"),
    "photos-gone": Shown("/?photo=1", ".notice"),
    "photos-verify": Shown("/?q=frog&verify=1&marks=rrw-r", ".card.right"),
    "species-choose": Shown("/?view=species", ".notice"),
    "species-loading": Shown("/?view=species&taxon=1", ".loading", r"/v1/taxa/1/range"),
    "species-error": Shown("/?view=species&taxon=999999", "[role=alert]"),
    "species": Shown("/?view=species&taxon=1", ".figures"),
    "gaps-choose": Shown("/?view=gaps", ".notice"),
    "gaps-loading": Shown(GAPS + "&taxon=1", ".loading", r"/v1/gaps\?"),
    "gaps-error": Shown(GAPS + "&taxon=1", "[role=alert]", r"/v1/gaps\?", refuse),
    "gaps-empty": Shown(GAPS + "&taxon=1&state=well_sampled", ".notice"),
    "gaps": Shown(GAPS + "&taxon=1", ".gap"),
    "gaps-cell": Shown(GAPS + "&taxon=1", ".gap-detail", press=".gap .link"),
    "spanish": Shown("/?q=ranas+de+ojos+rojos&lang=es", ".card"),
}


@pytest.mark.parametrize("name", STATES)
def test_state(page: Page, pictures: Path, name: str) -> None:
    """What axe finds serious shuts people out; what is wider than its screen cannot be read."""
    state = STATES[name]
    if state.requests:
        page.route(re.compile(state.requests), state.fate)
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(state.address)
        if state.press:
            page.locator(state.press).first.click()
        expect(page.locator(state.ready).first).to_be_visible()
        if not state.requests:
            page.wait_for_load_state("networkidle")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            if page.locator("canvas").first.is_visible():
                drawn(page)
            page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=width == 390)
            assert findings(page) == [], f"{width} {scheme}"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
