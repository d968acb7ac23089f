"""What the browser tests look at: the address, downloads, axe's findings, numbers on the page."""

from __future__ import annotations

import base64
import csv
import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Download, JSHandle, Page, expect

from tests.conftest import REPOSITORY

AXE = REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"
GAPS = "/?view=gaps&bbox=0,48,10,56&resolution=3"


def asked(page: Page) -> dict[str, list[str]]:
    """The question that the page's address holds."""
    return parse_qs(urlsplit(page.url).query)


def table(taken: Download) -> list[dict[str, str]]:
    """The rows of a downloaded CSV."""
    return list(csv.DictReader(StringIO(taken.path().read_text(encoding="utf-8"), newline="")))


def findings(page: Page) -> list[str]:
    """Serious and critical findings of axe in what the page shows now."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{finding['id']}: {finding['nodes'][0]['html'][:120]}"
        for finding in found
        if finding["impact"] in {"serious", "critical"}
    ]


def drawn(page: Page) -> None:
    """Wait until every map of the page is drawn."""
    expect(page.locator("canvas").first).to_be_attached()
    expect(page.locator(".map:not([aria-busy=false])")).to_have_count(0)


def passing(page: Page) -> int:
    """How many photos pass, as the page says."""
    found = re.match(r"([\d,]+) photos pass", page.locator(".count").inner_text())
    assert found, page.locator(".count").inner_text()
    return int(found[1].replace(",", ""))


def searched(address: str, **body: Any) -> dict[str, Any]:
    """What the server answers to the same question, asked without the page."""
    answer = httpx.post(f"{address}/v1/search", json=body, timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def a_photo(folder: Path) -> Path:
    """A picture of the folder."""
    return next(path for path in sorted(folder.rglob("*")) if path.suffix in {".png", ".jpg"})


def carried(page: Page, photo: Path) -> JSHandle:
    """A DataTransfer that holds a photo, as a person drops or pastes one."""
    return page.evaluate_handle(
        """content => {
            const given = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            given.items.add(new File([bytes], "given", {type: "image/png"}));
            return given;
        }""",
        base64.b64encode(photo.read_bytes()).decode(),
    )
