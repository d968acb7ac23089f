"""`atlas map`, `atlas distribution` and `atlas range`: the same maps as the API's, as files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from litestar import Litestar
from litestar.testing import TestClient
from PIL import Image

from atlas.commands import main

Client = TestClient[Litestar]
FROG = "Rana temporaria"


def run(bundle: Path, *arguments: str) -> Result:
    """`atlas` with these arguments and this bundle."""
    return CliRunner().invoke(main, [*arguments, "--bundle", str(bundle)], env={"COLUMNS": "160"})


def frog_path(client: Client) -> str:
    """Where the API has the frog."""
    found = client.get("/v1/taxa", params={"q": FROG}).json()["taxa"][0]["taxon_id"]
    return f"/v1/taxa/{found}"


def test_map_is_the_apis_picture(tiny_bundle: Path, client: Client, tmp_path: Path) -> None:
    """One picture, whichever way it is asked for."""
    out = tmp_path / "map.png"
    result = run(tiny_bundle, "map", FROG, "-o", str(out), "--width", "500", "--months", "3,4,5")
    assert result.exit_code == 0, result.output
    served = client.get(f"{frog_path(client)}/map.png?width=500&months=3,4,5").content
    assert out.read_bytes() == served
    with Image.open(io.BytesIO(served)) as picture:
        assert picture.width == 500


@pytest.mark.parametrize(
    ("extension", "accept"),
    [
        ("csv", "text/csv"),
        ("geojson", "application/geo+json"),
        ("json", "application/json"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_distribution_is_the_apis_answer(
    tiny_bundle: Path, client: Client, tmp_path: Path, extension: str, accept: str
) -> None:
    """The file's extension says which form it has."""
    out = tmp_path / f"cells.{extension}"
    options = ["--resolution", "3", "--searched", "--bbox", "-180,0,180,90"]
    result = run(tiny_bundle, "distribution", FROG, "-o", str(out), *options)
    assert result.exit_code == 0, result.output
    path = f"{frog_path(client)}/distribution?resolution=3&searched=true&bbox=-180,0,180,90"
    served = client.get(path, headers={"Accept": accept}).content
    if extension == "parquet":
        assert pyarrow.parquet.read_table(out) == pyarrow.parquet.read_table(io.BytesIO(served))
    else:
        assert out.read_bytes() == served


def test_range_for_people_and_programs(tiny_bundle: Path, client: Client) -> None:
    """The table has the API's numbers in it, and says that they are preliminary."""
    served = client.get(f"{frog_path(client)}/range").json()
    result = run(tiny_bundle, "range", FROG, "--json")
    assert result.exit_code == 0, result.output
    assert msgspec.json.decode(result.stdout) == served
    table = run(tiny_bundle, "range", FROG)
    assert table.exit_code == 0, table.output
    assert "Preliminary, not an IUCN assessment." in table.stdout
    assert f"{served['area_of_occupancy_km2']:,.0f} km²" in table.stdout
    assert f"{served['extent_of_occurrence_km2']:,.0f} km²" in table.stdout
    assert "share of Amphibia" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["range", "Rana temprarria"], "did you mean"),
        (["distribution", FROG, "-o", "cells.xlsx"], "csv"),
        (["distribution", FROG, "--months", "13"], "months"),
        (["distribution", FROG, "--resolution", "12"], "resolution"),
        (["range", FROG, "--source", "nobody"], "sources"),
    ],
)
def test_what_is_wrong_is_one_line(tiny_bundle: Path, arguments: list[str], problem: str) -> None:
    """A mistake is answered with a line that names it, and exit code 2."""
    result = run(tiny_bundle, *arguments)
    assert result.exit_code == 2
    assert problem in result.output
    assert "Traceback" not in result.output


def test_maps_load_no_model(tiny_bundle: Path, tmp_path: Path) -> None:
    """A map from the command line must not wait for an encoder."""
    program = (
        "import sys; from atlas.commands import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'open_clip' not in sys.modules"
    )
    out = tmp_path / "map.png"
    options = ["map", FROG, "-o", str(out), "--width", "300", "--bundle", str(tiny_bundle)]
    subprocess.run([sys.executable, "-c", program, *options], check=True, timeout=120)
    assert out.exists()
