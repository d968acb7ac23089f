"""docs/tuning.md against the settings themselves."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from atlas.settings import Setting, Settings, every_setting, load_settings

REPOSITORY = Path(__file__).resolve().parents[3]
_ROW = re.compile(r"^\| `(?P<name>\w+\.\w+)` \|(?P<rest>.*)\|$", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    """Unit, default, meaning and advice of every setting on the page."""
    page = (REPOSITORY / "docs" / "tuning.md").read_text(encoding="utf-8")
    return {
        match["name"]: [cell.strip() for cell in match["rest"].split(" | ")]
        for match in _ROW.finditer(page)
    }


@pytest.mark.parametrize("setting", list(every_setting()), ids=lambda setting: setting.name)
def test_setting_is_explained(setting: Setting) -> None:
    """Fails for a setting without its row: unit, real default, what it does, when to change it."""
    cells = rows()[setting.name]
    assert len(cells) == 4
    assert all(cells)
    assert cells[1] == f"`{msgspec.json.encode(setting.default).decode()}`"


def test_page_explains_nothing_else() -> None:
    """A row for a setting that is gone would send people looking for it."""
    assert set(rows()) == {setting.name for setting in every_setting()}


def test_example_file_holds_the_defaults() -> None:
    """configs/serve.toml is what people start from; it must load, and change nothing."""
    assert load_settings(REPOSITORY / "configs" / "serve.toml", {}) == Settings()
