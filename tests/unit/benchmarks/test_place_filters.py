"""The benchmark of place filters on a bundle with a layer of every kind."""

from __future__ import annotations

import shutil
from itertools import islice, pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from atlas.bundle import Bundle
from atlas.search.filters import key_of
from benchmarks import place_filters
from indexer.commands import indexer
from tests.unit.indexer.test_layers import records, write_areas, write_lines

KINDS = ("near river", "zone, 1 value", "zone, 2 values", "around a record", "box at a record")


@pytest.fixture
def bundle(unserved_bundle: Path, tmp_path: Path) -> Path:
    """A bundle with a layer of distances and one of a category around its own records."""
    root = Path(shutil.copytree(unserved_bundle, tmp_path / "bundle"))
    known = records(root)
    north, east = np.nanmedian(known["latitude"]), np.nanmedian(known["longitude"])
    lines = write_lines(tmp_path / "rivers.geojson", [[(east - 1, north), (east + 1, north)]])
    edges = [-180.0, *np.nanquantile(known["longitude"], [0.25, 0.5, 0.75]).tolist(), 180.0]
    strips = {
        f"strip {number}": shapely.box(west, -90, other, 90)
        for number, (west, other) in enumerate(pairwise(edges))
    }
    areas = write_areas(tmp_path / "zones.geojson", strips)
    for name, path, kind in (("river", lines, "distance"), ("zone", areas, "category")):
        arguments = ["layer", "add", name, str(path), "--to", str(root), "--quiet", "--kind", kind]
        columns = [] if kind == "distance" else ["--name-column", "called"]
        result = CliRunner().invoke(indexer, [*arguments, *columns], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return root


def test_every_kind_of_filter_is_asked_with_and_without(bundle: Path, tmp_path: Path) -> None:
    """A kind that nobody measures grows slow unseen; a filter that passes no row costs nothing."""
    target = tmp_path / "records.json"
    arguments = ["--bundle", str(bundle), "--queries", "3", "--json", str(target)]
    result = CliRunner().invoke(place_filters.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    measured = msgspec.json.decode(target.read_bytes())
    for kind in KINDS:
        found = [record for record in measured if record["case"].startswith(kind)]
        assert {record["case"].rpartition(", ")[2] for record in found} == {"new", "asked before"}
        assert all(record["p50_ms"] > 0 and record["p50_ms_without"] > 0 for record in found)
    assert any(0 < record["matching"] < record["rows"] for record in measured)


def test_no_filter_comes_twice(bundle: Path) -> None:
    """One that was asked before is kept, and would count as new."""
    opened = Bundle.open(bundle, "sizes")
    for case in place_filters._cases(opened, np.random.default_rng(2)):
        keys = [key_of(asked) for asked in islice(case.filters, 20)]
        assert len(keys) == len(set(keys)) > 0
