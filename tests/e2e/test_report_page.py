"""The report of a build in a real browser: opened from a file, narrow and wide, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from indexer.report.write import write_report

# Relative luminance of a colour (WCAG 2), of what a page paints.
_CONTRAST = """() => {
  const of = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = light(of(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll('p, td, dt, dd, figcaption, svg text')].map(element => {
    const style = getComputedStyle(element);
    const ink = light(of(element.tagName === 'text' ? style.fill : style.color));
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
}"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_read_from_a_file(
    browser: Browser, unserved_bundle: Path, tmp_path: Path, pictures: Path, width: int, scheme: str
) -> None:
    """Would break: the page asks a server, is wider than a telephone, or is grey on grey."""
    _, written = write_report(unserved_bundle, tmp_path)
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    assert asked == [written.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    contrasts = page.evaluate(_CONTRAST)
    assert len(contrasts) > 50
    assert min(contrasts) > 4.5
    assert page.locator("figure svg").count() >= 3
    page.screenshot(path=pictures / f"report-{width}-{scheme}.png", full_page=True)
    context.close()
