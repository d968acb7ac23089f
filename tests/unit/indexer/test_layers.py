"""Layers from a file to the filter: every row that passes is near, by a check of its own."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
from click.testing import CliRunner, Result

from atlas.bundle.bundle import Bundle
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.layers import Layers
from atlas.search.compiler import FilterCompiler
from atlas.search.filters import Filter
from atlas.search.place_filters import Near
from indexer.commands import indexer

Line = list[tuple[float, float]]
GEOD = pyproj.Geod(ellps="WGS84")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def run(*arguments: object) -> Result:
    """`indexer layer`."""
    return CliRunner().invoke(indexer, ["layer", *map(str, arguments)])


def records(root: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Places and uncertainties of all rows, as their segments hold them; NaN where unknown."""
    tables = [
        pq.read_table(path, columns=["latitude", "longitude", "uncertainty_m"])
        for path in sorted((root / "segments").glob("*/rows.parquet"))
    ]
    table = pa.concat_tables(tables)
    return {name: table[name].to_numpy().astype(np.float64) for name in table.column_names}


def write_lines(path: Path, lines: list[Line]) -> Path:
    """A GeoJSON file of lines, with their number as order and name."""
    features = [
        {
            "type": "Feature",
            "properties": {"size": number + 1, "called": f"river {number}"},
            "geometry": {"type": "LineString", "coordinates": line},
        }
        for number, line in enumerate(lines)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def compiler_of(root: Path) -> FilterCompiler:
    """A compiler over the live state."""
    bundle = Bundle.open(root, "sizes")
    catalog = Catalog.open(bundle.catalog_path)
    return FilterCompiler(
        catalog,
        bundle.segments,
        finest=bundle.manifest.cell_resolution,
        cache_bytes=10**6,
        layers=Layers.of(bundle),
    )


def true_distance_m(latitude: float, longitude: float, lines: list[Line]) -> float:
    """Least geodesic distance to points 100 m apart along straight edges in degrees."""
    points = []
    for (lon_1, lat_1), (lon_2, lat_2) in (edge for line in lines for edge in pairwise(line)):
        share = np.linspace(0, 1, 1 + int(np.hypot(lon_2 - lon_1, lat_2 - lat_1) * 111_320 / 100))
        points.append([lon_1 + share * (lon_2 - lon_1), lat_1 + share * (lat_2 - lat_1)])
    lon, lat = np.concatenate(points, axis=1)
    _, _, metres = GEOD.inv(np.full(len(lon), longitude), np.full(len(lon), latitude), lon, lat)
    return float(np.min(metres))


def passing_rows(compiler: FilterCompiler, asked: Filter) -> set[int]:
    """Rows that a filter lets pass."""
    selections = compiler.compile(asked).selections
    return {int(row) for selection in selections for row in selection.positions()}


def test_rows_near_a_river_are_near_it_by_a_check_of_its_own(bundle: Path, tmp_path: Path) -> None:
    """A row passes where its distance and uncertainty together are within the limit."""
    known = records(bundle)
    middle_lat, middle_lon = np.nanmedian(known["latitude"]), np.nanmedian(known["longitude"])
    lines: list[Line] = [
        [(middle_lon - 2, middle_lat), (middle_lon, middle_lat), (middle_lon, middle_lat + 1)],
        [(middle_lon + 3, middle_lat - 1), (middle_lon + 3, middle_lat + 1)],
    ]
    path = write_lines(tmp_path / "rivers.geojson", lines)
    result = run("add", "river", path, "--to", bundle, "--order-column", "size", "--quiet")
    assert result.exit_code == 0, result.output
    places = list(zip(known["latitude"], known["longitude"], strict=True))
    for order, drawn in ((None, lines), (2.0, lines[1:])):
        distance_m = np.array([true_distance_m(lat, lon, drawn) for lat, lon in places])
        most = distance_m + known["uncertainty_m"]
        least = distance_m - known["uncertainty_m"]
        asked = np.nanquantile(most, [0.1, 0.4, 0.8]).tolist()
        compiler = compiler_of(bundle)
        for within_m in (*asked, 2e7):
            near = Near(feature="river", within_m=within_m + 60, min_order=order)
            found = passing_rows(compiler, Filter(near=(near,), flags="all"))
            assert found == set(np.flatnonzero(most <= within_m + 60).tolist())
            unknown = np.isnan(most)
            possible = unknown | (least <= within_m + 60)
            compiled = compiler.compile(Filter(near=(near,), flags="all"))
            assert compiled.unjudged == np.count_nonzero(possible) - len(found)
            assert [entry.name for entry in compiled.cited] == ["river"]
    with pytest.raises(InvalidQuery, match="these orders: 1, 2"):
        compiler.compile(Filter(near=(Near(feature="river", within_m=1, min_order=3),)))
