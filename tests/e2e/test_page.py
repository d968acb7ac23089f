"""Journeys of a person through the page in a real Chromium, on the tiny bundle."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Page, Request, expect

from benchmarks.page import typing_ms
from tests.e2e.watching import GAPS, a_photo, asked, carried, drawn, table

pytestmark = pytest.mark.slow


def test_asking_in_words(page: Page, pictures: Path) -> None:
    """Without photos, credit, licence, chips or a way back, the first question leads nowhere."""
    page.goto("/")
    page.get_by_label("What are you looking for?").fill("red-eyed frogs since 2015")
    page.get_by_role("button", name="Search", exact=True).click()
    cards = page.locator(".card")
    expect(cards.first).to_be_visible()
    expect(cards.first.locator("img")).to_have_js_property("complete", value=True)
    assert cards.first.locator("img").evaluate("picture => picture.naturalWidth") > 0
    for number in range(cards.count()):
        expect(cards.nth(number).locator(".licence")).not_to_be_empty()
    assert asked(page)["q"] == ["red-eyed frogs since 2015"]

    before = page.locator(".count").inner_text()
    page.get_by_role("button", name="Remove: frogs").click()
    expect(page.locator(".chip.off")).to_contain_text("switched off")
    assert asked(page)["without"] == ["taxon:9"]
    page.go_back()
    expect(page.locator(".count")).to_have_text(before)
    page.screenshot(path=pictures / "words.png")


def test_what_was_supposed_of_a_town_is_shown(page: Page) -> None:
    """How far a town reaches is a guess: who does not see it cannot correct it."""
    page.goto("/?q=organisms+in+Amsterdam")
    chip = page.locator(".chip").first
    expect(chip).to_contain_text("in Amsterdam → within 9 km of the middle of Amsterdam")
    expect(chip).to_contain_text("where the town ends is not known")
    page.goto("/?q=organismos+en+Amsterdam&lang=es")
    expect(chip).to_contain_text("a menos de 9 km del centro de Amsterdam")
    expect(chip).to_contain_text("no se sabe dónde termina la ciudad")


def test_asking_with_a_photo(page: Page, tiny_photos: Path) -> None:
    """A photo that is chosen must be searched with, and the nearest of its like listed."""
    page.goto("/")
    page.locator("#photo").set_input_files(a_photo(tiny_photos))
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".chips")).to_contain_text("your photo")
    page.get_by_role("button", name="Similar").first.click()
    expect(page.locator(".chips")).to_contain_text("similar to a photo")


def test_completion_by_keyboard(page: Page) -> None:
    """Names that cannot be chosen from the keyboard shut people out."""
    page.goto("/?view=species")
    field = page.get_by_role("combobox")
    field.press_sequentially("agalychnis c")
    expect(page.get_by_role("option").first).to_be_visible()
    field.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", "names-1-0")
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agalychnis callidryas")


def test_refining_by_map_and_months(page: Page) -> None:
    """Map and histogram must limit the photos, and the address must hold it."""
    page.goto("/?q=frog")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("canvas")).to_be_visible()
    page.get_by_role("group", name="Months").get_by_role("button").nth(4).click()
    expect(page.locator(".chips")).to_contain_text("months: May")
    assert asked(page)["months"] == ["5"]
    page.get_by_role("button", name="Search in this area").click()
    expect(page.locator(".chips")).to_contain_text("in the area of the map")
    assert len(asked(page)["bbox"][0].split(",")) == 4
    page.reload()
    expect(page.locator(".chips")).to_contain_text("months: May")


def test_a_species(page: Page, species: int, pictures: Path) -> None:
    """Records without effort, legend, states, range or citation would be a misleading map."""
    page.goto(f"/?view=species&taxon={species}")
    expect(page.get_by_role("heading", name="Effort: all of Amphibia")).to_be_visible()
    expect(page.locator(".legend .key")).to_have_count(2)
    for words in ("recorded", "searched, not recorded", "not searched"):
        expect(page.locator(".states dt").get_by_text(words, exact=True)).to_be_visible()
    expect(page.locator(".range")).to_contain_text("preliminary, not an IUCN assessment")
    expect(page.locator(".cite li").first).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="GeoJSON").click()
    shapes = json.loads(taken.value.path().read_text())
    assert {feature["properties"]["state"] for feature in shapes["features"]} >= {"recorded"}
    page.screenshot(path=pictures / "species.png")


def test_a_gap_and_a_visit(page: Page, species: int, pictures: Path) -> None:
    """A list that cannot be explained or taken along into the field is of no use."""
    page.goto(f"{GAPS}&taxon={species}")
    expect(page.locator(".gap").first).to_be_visible()
    page.locator(".gap .link").first.click()
    expect(page.get_by_role("heading", name="Why this cell")).to_be_visible()
    page.get_by_label("Add to the visit").nth(1).check()
    expect(page.locator(".visit")).to_contain_text("1 cells")
    cell = asked(page)["picked"][0]
    with page.expect_download() as taken:
        page.get_by_role("button", name="GPX").click()
    points = ET.fromstring(taken.value.path().read_text()).findall(  # noqa: S314 - own file
        "{http://www.topografix.com/GPX/1/1}wpt"
    )
    assert len(points) == 1
    assert 47 < float(points[0].get("lat", "")) < 57
    with page.expect_download() as taken:
        page.get_by_role("button", name="CSV").click()
    assert [row["cell"] for row in table(taken.value)] == [cell]
    with page.expect_download() as taken:
        page.get_by_role("button", name="GeoJSON").click()
    (outline,) = json.loads(taken.value.path().read_text())["features"]
    assert outline["properties"]["cell"] == cell
    assert len(outline["geometry"]["coordinates"][0][0]) >= 6
    page.screenshot(path=pictures / "gaps.png")


def test_verifying_by_keyboard(page: Page) -> None:
    """Marks must count, survive in the address, and be exported with credit."""
    page.goto("/?q=frog&verify=1")
    page.locator(".card").first.focus()
    for key in "rrwr":
        page.keyboard.press(key)
    expect(page.locator(".precision")).to_contain_text("3 of 4 marked are right: precision 75 %")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")
    expect(page.locator(".precision")).to_contain_text("2 of 3 marked are right: precision 67 %")
    assert asked(page)["marks"] == ["rrw"]
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export marks").click()
    marked = table(taken.value)
    assert [row["mark"] for row in marked] == ["right", "right", "wrong"]
    assert all(row["licence"] and row["rights_holder"] and row["image_id"] for row in marked)
    page.reload()
    expect(page.locator(".card.right")).to_have_count(2)
    expect(page.locator(".card.wrong")).to_have_count(1)


def test_dropping_a_photo(page: Page, tiny_photos: Path) -> None:
    """A photo that is dropped anywhere on the page is a question, not a page to leave for."""
    page.goto("/")
    page.dispatch_event("main", "drop", {"dataTransfer": carried(page, a_photo(tiny_photos))})
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".chips")).to_contain_text("your photo")


def test_pasting_a_photo(page: Page, tiny_photos: Path) -> None:
    """A photo that was copied elsewhere is a question too."""
    page.goto("/?q=birds")
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate(
        """given => document.dispatchEvent(new ClipboardEvent(
            "paste", {clipboardData: given, bubbles: true, cancelable: true}))""",
        carried(page, a_photo(tiny_photos)),
    )
    expect(page.locator(".chips")).to_contain_text("your photo")
    expect(page.locator(".card").first).to_be_visible()
    assert set(asked(page)) == {"photo"}
    page.go_back()
    expect(page.locator("#question")).to_have_value("birds")


def test_first_view_is_light(page: Page) -> None:
    """The first view without the map's library is at most 500 KB on the wire, photos included.

    Each question is asked once: what is asked twice is waited for twice.
    """
    finished: list[Request] = []

    def keep(request: Request) -> None:
        finished.append(request)

    paths: list[str] = []
    page.on("request", lambda request: paths.append(urlsplit(request.url).path))
    page.on("requestfinished", keep)
    page.goto("/?q=frog")
    expect(page.locator(".card").first).to_be_visible()
    drawn(page)
    page.wait_for_load_state("networkidle")
    sizes = {request.url: request.sizes()["responseBodySize"] for request in finished}
    library = {address for address in sizes if "/assets/map" in address}
    assert library
    light = {address: size for address, size in sizes.items() if address not in library}
    assert sum(light.values()) <= 500_000, light
    asked_for = Counter(path for path in paths if path.startswith("/v1/"))
    assert asked_for["/v1/search"] == asked_for["/v1/search/seasons"] == 1
    assert asked_for["/v1/interpret"] == 0
    assert asked_for["/v1/atlas"] == asked_for["/v1/basemap"] == 1
    pictures = [path for path in paths if path.endswith("/media")]
    assert len(pictures) == len(set(pictures)) <= 30


def test_typing_leads_to_photos_soon(page: Page) -> None:
    """A question costs one search; the ceiling is for machines that others share.

    `benchmarks.page` measures it.
    """
    page.goto("/")
    drawn(page)
    searches: list[str] = []
    page.on("request", lambda request: searches.append(urlsplit(request.url).path))
    assert typing_ms(page, "green birds") < 8_000
    assert searches.count("/v1/search") == 1


def test_spanish_and_errors(page: Page) -> None:
    """A refusal must be shown in its own words, and the page speaks Spanish where asked."""
    page.goto("/?view=species&taxon=999999&lang=es")
    expect(page.get_by_role("alert")).to_contain_text("No ha funcionado")
    expect(page.get_by_role("alert")).to_contain_text("en este atlas no hay taxón '999999'")
    assert page.evaluate("document.documentElement.lang") == "es"


def test_the_server_speaks_spanish_on_a_spanish_page(page: Page) -> None:
    """Reasons in English on a Spanish page cannot be read by who needs it."""
    page.goto("/?q=ranas+de+noche&lang=es")
    expect(page.locator(".chip.off")).to_contain_text("los registros no dicen la hora del día")
    expect(page.locator(".legend")).to_contain_text("sin color: nadie ha buscado allí")
    page.goto(f"{GAPS}&taxon=1&lang=es")
    expect(page.locator(".count")).to_contain_text("Celdas de resolución 3 en el recuadro")
    expect(page.locator(".gap").first).to_contain_text("Sin buscar: ningún registro de")
    page.locator(".gap .link").first.click()
    expect(page.locator(".gap-detail")).to_contain_text("no es fiable: los vecinos valen por solo")
