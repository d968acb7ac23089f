"""Pictures of maps: what is on them, in which words, at any width."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.bundle.flags import Flag
from atlas.geo.shapes import BoundingBox
from atlas.species.map_text import wrapped
from atlas.species.occupancy import RecordFilter
from atlas.species.palettes import EFFORT_GREYS, PALETTES
from tests.unit.species.map_world import COMMON_FROG, LIFE, MOOR_FROG, SPARROW, mapped, sighting

RECORDS = [
    *(sighting(MOOR_FROG, 52.0 + i / 3, 5.0 + i / 2, observer=str(i)) for i in range(6)),
    *(sighting(SPARROW, 52.1 + i / 4, 7.0, observer=str(i)) for i in range(6)),
    sighting(MOOR_FROG, 53.0, 8.0, uncertainty_m=40_000.0),
    sighting(MOOR_FROG, 53.0, 8.0, flags=int(Flag.DATE_IMPLAUSIBLE)),
]


def pixels(drawn: bytes) -> np.ndarray:
    """A PNG as rows of RGB."""
    with Image.open(io.BytesIO(drawn)) as picture:
        return np.asarray(picture.convert("RGB"))


def has(drawn: np.ndarray, colour: str) -> int:
    """How many pixels have exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((drawn == wanted).all(axis=2).sum())


def test_three_states_are_three_colours(tmp_path: Path) -> None:
    """A searched cell that looks like an unsearched one, or a recorded one, is a lie."""
    with mapped(tmp_path / "c.duckdb", RECORDS) as maps:
        sheet = maps.pictures.sheet(MOOR_FROG)
        drawn = pixels(maps.pictures.draw(MOOR_FROG, width=900))
    recorded = PALETTES["occurrence"]
    middle = recorded[len(recorded) // 2]
    assert has(drawn, middle) > 300
    assert sum(has(drawn, grey) for grey in EFFORT_GREYS) > 100
    headings = [column.heading for column in sheet.legend]
    assert headings == [
        "Recorded: records in a cell",
        "Searched, not recorded: visits that met Animalia",
        "Not searched",
    ]
    searched = np.concatenate(
        [layer.cells for layer in sheet.layers if layer.colour in EFFORT_GREYS]
    )
    assert len(searched)
    assert not len(np.intersect1d(searched, sheet.layers[-1].cells))


def test_words_of_a_picture(tmp_path: Path) -> None:
    """Names, numbers, what was held back, what is uncertain, whom to cite."""
    with mapped(tmp_path / "c.duckdb", RECORDS) as maps:
        sheet = maps.pictures.sheet(MOOR_FROG)
        summer = maps.pictures.sheet(MOOR_FROG, only=RecordFilter(months=(6, 7)))
        life = maps.pictures.sheet(LIFE)
    assert (sheet.title, sheet.italic) == ("Rana arvalis", True)
    assert sheet.subtitle.startswith("moor frog · 7 records in 6 cells of about ")
    notes = " ".join(sheet.notes)
    assert "Demonstration: these records are made up." in notes
    assert "1 record less certain than these cells are wide" in notes
    assert "(1)" in notes
    assert "Records: The museum." in notes
    assert "GSHHG" in notes
    assert "absent" not in notes.lower()
    assert "only in June, July" in summer.subtitle
    assert "0 records in 0 cells" in summer.subtitle
    assert not life.italic
    assert [column.heading for column in life.legend][-1] == "Not searched"


@pytest.mark.parametrize("width", [200, 333, 600, 1500, 4000])
def test_any_width(tmp_path: Path, width: int) -> None:
    """The picture is as wide as asked, and nothing runs over its edge."""
    with mapped(tmp_path / "c.duckdb", RECORDS) as maps:
        drawn = pixels(maps.pictures.draw(MOOR_FROG, width=width))
    assert drawn.shape[1] == width
    assert 0.5 * width < drawn.shape[0] < 3.0 * width
    assert (drawn[:, [0, 1, -2, -1]] == 255).all()


def test_the_same_map_is_the_same_file(tmp_path: Path) -> None:
    """Entity tags promise it, also while several threads draw."""
    found: list[bytes] = []
    with mapped(tmp_path / "c.duckdb", RECORDS) as maps:
        threads = [
            threading.Thread(target=lambda: found.append(maps.pictures.draw(MOOR_FROG, width=400)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "box",
    [BoundingBox(177, -20, -177, -15), BoundingBox(-180, 70, 180, 90), BoundingBox(0, 0, 0, 0)],
)
def test_maps_of_odd_places(tmp_path: Path, box: BoundingBox) -> None:
    """The antimeridian, a pole, a point: a map is drawn, and records there are on it."""
    latitude, longitude = box.north - 0.5 * (box.north - box.south), box.west
    records = [sighting(COMMON_FROG, latitude, longitude + 1e-6), *RECORDS]
    with mapped(tmp_path / "c.duckdb", records) as maps:
        drawn = pixels(maps.pictures.draw(COMMON_FROG, width=500, box=box))
    recorded = PALETTES["occurrence"]
    assert has(drawn, recorded[len(recorded) // 2]) > 20 + 7 * 10


def test_a_taxon_without_places_is_drawn_as_nothing(tmp_path: Path) -> None:
    """An empty map of the whole earth, not an error."""
    with mapped(tmp_path / "c.duckdb", RECORDS) as maps:
        sheet = maps.pictures.sheet(COMMON_FROG)
        assert sheet.view.whole_earth
        assert "0 records in 0 cells" in sheet.subtitle
        assert maps.pictures.draw(COMMON_FROG, width=300)


def test_words_are_broken_to_fit() -> None:
    """A long name or address must not run off the page."""
    text = "Short words and https://example.org/" + "x" * 200
    lines = wrapped(text, 12.0, 150.0, "normal")
    assert len(lines.lines) > 5
    assert lines.width <= 150.0
    assert "".join("".join(lines.lines).split()) == "".join(text.split())
