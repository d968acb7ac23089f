"""Map, photos and bars of time as one thing: each limits or shows the others."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.e2e.watching import asked, drawn, passing, searched

pytestmark = pytest.mark.slow

TRIES = 40
Pixels = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def placed(address: str) -> dict[str, Any]:
    """A frog whose place is known, far from the poles."""
    hits = searched(address, text="frog")["hits"]
    return next(hit for hit in hits if hit["cell"] and hit["lat"] is not None)


def around(hit: dict[str, Any]) -> str:
    """An area whose middle is the place of a hit, for the page's address."""
    lat, lon = hit["lat"], hit["lon"]
    return f"{lon - 0.6:.4f},{lat - 0.4:.4f},{lon + 0.6:.4f},{lat + 0.4:.4f}"


def drawn_map(page: Page) -> FloatRect:
    """Where the map is, once its tiles are drawn."""
    expect(page.locator(".legend .key")).to_be_visible()
    drawn(page)
    canvas = page.locator("canvas").bounding_box()
    assert canvas is not None
    return canvas


def middle(area: FloatRect) -> tuple[float, float]:
    """The middle of a rectangle of the page."""
    return area["x"] + area["width"] / 2, area["y"] + area["height"] / 2


def pixels(ground: Locator) -> Pixels:
    """What a part of the page looks like once it stays so, (rows, columns, 3)."""
    before = None
    for _ in range(TRIES):
        seen = np.asarray(Image.open(BytesIO(ground.screenshot())).convert("RGB"), np.int16)
        if before is not None and np.array_equal(seen, before):
            return seen
        before = seen
        ground.page.wait_for_timeout(700)
    raise AssertionError("the map never comes to rest")


def changed(one: Pixels, other: Pixels) -> npt.NDArray[np.bool_]:
    """Which pixels differ to the eye, (rows, columns)."""
    differs: npt.NDArray[np.bool_] = np.abs(one - other).sum(axis=2) > 60
    return differs


def test_a_drawn_shape_limits(page: Page, address: str) -> None:
    """A shape that is drawn must pass the photos inside it, and no others."""
    page.goto("/?q=frog")
    expect(page.locator(".card").first).to_be_visible()
    area = drawn_map(page)
    every = passing(page)
    page.get_by_role("button", name="Draw a shape").click()
    expect(page.locator(".tools [role=status]")).to_contain_text("Click the corners")
    for right, down in ((0.2, 0.2), (0.75, 0.25), (0.7, 0.8), (0.25, 0.7)):
        page.mouse.click(area["x"] + right * area["width"], area["y"] + down * area["height"])
        # Two clicks in quick succession would be a double click, which is not a corner.
        page.wait_for_timeout(400)
    page.keyboard.press("Enter")
    expect(page.locator(".chips")).to_contain_text("in the drawn shape")
    numbers = [float(number) for number in asked(page)["shape"][0].split(",")]
    ring = [[numbers[at], numbers[at + 1]] for at in range(0, len(numbers), 2)]
    assert len(ring) == 4
    expect(page.locator("#answers")).to_have_attribute("aria-busy", "false")
    polygon = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    inside = searched(address, text="frog", filter={"polygon": polygon})["matching"]
    assert 0 < inside < every
    assert passing(page) == inside
    page.get_by_role("button", name="Remove: in the drawn shape").click()
    expect(page.locator(".count")).to_contain_text(f"{every} photos pass")


def test_escape_leaves_drawing(page: Page) -> None:
    """Who began to draw by mistake must get out of it without a limit."""
    page.goto("/?q=frog")
    area = drawn_map(page)
    page.get_by_role("button", name="Draw a shape").click()
    expect(page.locator(".tools [role=status]")).to_contain_text("Click the corners")
    page.mouse.click(*middle(area))
    page.keyboard.press("Escape")
    expect(page.locator(".tools [role=status]")).to_be_empty()
    assert "shape" not in asked(page)


def test_picked_cells_limit(page: Page, address: str, placed: dict[str, Any]) -> None:
    """A cell that is clicked while picking must pass its own photos; a second click lets it go."""
    page.goto(f"/?q=frog&bbox={around(placed)}")
    area = drawn_map(page)
    page.get_by_role("button", name="Pick cells").click()
    # The middle is that of a coloured cell; a tile may still be on its way.
    for _ in range(TRIES):
        page.mouse.click(*middle(area))
        if "cells" in asked(page):
            break
        page.wait_for_timeout(400)
    (cell,) = asked(page)["cells"]
    expect(page.locator(".chips")).to_contain_text("1 cells")
    expect(page.locator("#answers")).to_have_attribute("aria-busy", "false")
    box = [float(edge) for edge in asked(page)["bbox"][0].split(",")]
    limits = {"cells": [cell], "bbox": box}
    inside = searched(address, text="frog", filter=limits)
    assert passing(page) == inside["matching"] >= 1
    assert placed["image_id"] in {hit["image_id"] for hit in inside["hits"]}
    page.wait_for_timeout(400)
    page.mouse.click(*middle(area))
    expect(page.locator(".chips")).not_to_contain_text("1 cells")


def test_moving_the_map_limits(page: Page, address: str, placed: dict[str, Any]) -> None:
    """With the map followed, what is in view must be what is listed, and in the address."""
    page.goto("/?q=frog")
    area = drawn_map(page)
    page.get_by_label("Search as the map moves").check()
    expect(page.locator(".chips")).to_contain_text("in the area of the map")
    before = asked(page)["bbox"]
    x, y = middle(area)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 140, y + 60, steps=8)
    page.mouse.up()
    page.wait_for_url(lambda url: f"bbox={before[0]}" not in url)
    page.wait_for_timeout(800)  # the map glides on after it is let go
    expect(page.locator("#answers")).to_have_attribute("aria-busy", "false")
    box = [float(edge) for edge in asked(page)["bbox"][0].split(",")]
    assert passing(page) == searched(address, text="frog", filter={"bbox": box})["matching"]
    assert placed


def test_pointing_at_a_photo_shows_its_place(page: Page, placed: dict[str, Any]) -> None:
    """Pointing at a photo marks its place, and clicking the place finds the photo."""
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/?q=frog&bbox={around(placed)}")
    area = drawn_map(page)
    card = page.locator(f".card[data-id='{placed['image_id']}']")
    ground = page.locator(".map")
    plain = pixels(ground)
    card.hover()
    rows, columns = np.nonzero(changed(pixels(ground), plain))
    page.mouse.move(5, 5)
    again = changed(pixels(ground), plain)
    assert 100 < len(rows) < 3_000
    assert abs(rows.mean() - area["height"] / 2) < 12
    assert abs(columns.mean() - area["width"] / 2) < 12
    assert again.sum() < 50
    page.mouse.click(*middle(area))
    expect(page.locator(".card:focus")).to_have_count(1)


def test_years_and_months_limit(page: Page, address: str) -> None:
    """Bars are of the photos that pass; a press must list as many as the bar says."""
    page.goto("/?q=frog")
    years = page.get_by_role("group", name="Years").get_by_role("button")
    expect(years.first).to_be_visible()
    assert str(passing(page)) in page.locator(".time h2").inner_text()
    name = years.last.get_attribute("aria-label") or ""
    year, photos = name.split(": ")[0], int(name.split(": ")[1].split()[0])
    years.last.click()
    expect(page.locator(".count")).to_contain_text(f"{photos} photos pass")
    assert asked(page)["from"] == [f"{year}-01-01"]
    assert asked(page)["to"] == [f"{year}-12-31"]
    expect(years.last).to_have_attribute("aria-pressed", "true")
    days = {"from": f"{year}-01-01", "to": f"{year}-12-31"}
    assert searched(address, text="frog", filter={"observed": days})["matching"] == photos
    # The bars still show what else could be chosen.
    assert years.count() > 1
    years.last.click()
    expect(page.locator(".chips")).not_to_contain_text(year)


def test_the_bars_are_of_the_question(page: Page) -> None:
    """Bars of all records beside the photos of one question would tell of something else."""
    page.goto("/?q=frog")
    expect(page.locator(".time h2")).to_contain_text("When these")
    frogs = page.locator(".time h2").inner_text()
    page.goto("/?q=birds")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".time h2")).to_contain_text(f"When these {passing(page)} photos")
    assert page.locator(".time h2").inner_text() != frogs


def test_every_step_can_be_taken_back(page: Page) -> None:
    """Each step is in the address: going back must show what was shown, in every view."""
    page.goto("/")
    steps: list[tuple[str, str]] = []

    def step(ready: str, text: str) -> None:
        expect(page.locator(ready).first).to_contain_text(text)
        steps.append((page.url, f"{ready}|{text}"))

    step(".notice", "Ask in words")
    page.get_by_label("What are you looking for?").fill("frogs since 2015")
    page.get_by_role("button", name="Search", exact=True).click()
    step(".chips", "frogs")
    page.get_by_role("group", name="Months").get_by_role("button").nth(4).click()
    step(".chips", "months: May")
    page.get_by_role("button", name="Verify").click()
    step(".precision", "Nothing is marked")
    page.get_by_role("button", name="Leave verifying").click()
    page.get_by_role("link", name="Species: ").first.click()
    step("h1", "")
    page.get_by_role("link", name="Where nobody has looked").click()
    step(".notice, .count", "")
    for url, shown in reversed(steps[:-1]):
        while page.url != url:
            page.go_back()
        ready, text = shown.split("|")
        expect(page.locator(ready).first).to_contain_text(text)
