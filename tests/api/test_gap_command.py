"""`atlas gaps` on the command line: a table for people, files for programs, the API's numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.commands import main
from atlas.species.palettes import STATE_COLOURS

BOX = ("--bbox", "0,48,10,56")


def run(bundle: Path, *arguments: str) -> Result:
    """`atlas gaps` with these arguments."""
    return CliRunner().invoke(
        main, ["gaps", *arguments, "--bundle", str(bundle)], env={"COLUMNS": "220"}
    )


def test_table_is_readable(tiny_bundle: Path) -> None:
    """The question as understood, cells with their reasons, and what the area holds."""
    result = run(tiny_bundle, "Amphibia", *BOX, "--resolution", "3", "--limit", "4")
    assert result.exit_code == 0, result.output
    assert "where a visit would add most for Amphibia" in result.stdout
    assert "Not searched" in result.stdout
    assert "In the area:" in result.stdout
    assert "absent" not in result.stdout.lower().replace("recorded_absent", "")


def test_files_hold_the_apis_answer(
    tiny_bundle: Path, client: TestClient[Litestar], tmp_path: Path
) -> None:
    """What is written by extension is what the API sends by `Accept`."""
    path = "/v1/gaps?bbox=0,48,10,56&resolution=3&limit=20"
    forms = {".json": "application/json", ".geojson": "application/geo+json", ".csv": "text/csv"}
    for suffix, media_type in forms.items():
        file = tmp_path / f"gaps{suffix}"
        result = run(tiny_bundle, *BOX, "--resolution", "3", "-o", str(file))
        assert result.exit_code == 0, result.output
        assert file.read_bytes() == client.get(path, headers={"Accept": media_type}).content
    lines = list(csv.DictReader(io.StringIO((tmp_path / "gaps.csv").read_text(encoding="utf-8"))))
    assert [line["position"] for line in lines] == [str(i + 1) for i in range(len(lines))]


def test_picture(tiny_bundle: Path, tmp_path: Path) -> None:
    """A PNG of the width asked for, in the colours of the states that the answer counts."""
    file, listed = tmp_path / "gaps.png", tmp_path / "gaps.json"
    arguments = ("Amphibia", *BOX, "--resolution", "3")
    result = run(tiny_bundle, *arguments, "-o", str(file), "--width", "640")
    assert result.exit_code == 0, result.output
    assert run(tiny_bundle, *arguments, "-o", str(listed)).exit_code == 0
    cells = msgspec.json.decode(listed.read_bytes())["cells"]
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        assert picture.width == 640
        found = picture.convert("RGB").getcolors(maxcolors=1 << 24) or []
    drawn = {"#" + bytes(colour).hex() for _, colour in found if isinstance(colour, tuple)}
    for state, colour in STATE_COLOURS.items():
        assert (colour in drawn) == (cells[state] > 0), state


def test_words_and_polygon(tiny_bundle: Path, tmp_path: Path) -> None:
    """Words and a polygon in a file ask what the API is asked with `text` and `polygon`."""
    ring = [[3.0, 50.0], [7.0, 50.0], [7.0, 54.0], [3.0, 54.0], [3.0, 50.0]]
    polygon = tmp_path / "area.geojson"
    polygon.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    file = tmp_path / "gaps.json"
    asked = ("--text", "red-eyed frogs", "--polygon", str(polygon), "--state", "no_data")
    result = run(tiny_bundle, *asked, "-o", str(file))
    assert result.exit_code == 0, result.output
    answer = msgspec.json.decode(file.read_bytes())
    assert answer["question"]["text"] == "red-eyed frogs"
    assert answer["question"]["area"] == "polygon"
    assert {gap["state"] for gap in answer["gaps"]} == {"no_data"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("Amphibiaa",), "taxon"),
        (("Amphibia", "--text", "frogs", *BOX), "text"),
        (("--bbox", "1,50,2,40"), "bbox"),
        (("--state", "nowhere", *BOX), "state"),
        (("-o", "gaps.xlsx", *BOX), ".csv"),
        (("--resolution", "9", *BOX), "resolution"),
    ],
)
def test_faults_are_one_line(tiny_bundle: Path, arguments: tuple[str, ...], named: str) -> None:
    """What is wrong is named, without a traceback; the exit code says so too."""
    result = run(tiny_bundle, *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Traceback" not in result.output
