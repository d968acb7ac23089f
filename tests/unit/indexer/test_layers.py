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
import shapely
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


def write_areas(path: Path, areas: dict[str, shapely.Geometry]) -> Path:
    """A GeoJSON file of named areas."""
    features = [
        {
            "type": "Feature",
            "properties": {"called": name, "iso": name[:2].upper()},
            "geometry": json.loads(shapely.to_geojson(area)),
        }
        for name, area in areas.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


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


def holds(
    area: shapely.Geometry, latitude: float, longitude: float, uncertainty_m: float
) -> tuple[bool, bool]:
    """Whether all of a circle lies in an area, and whether some of it does, by many points."""
    azimuth, share = np.meshgrid(np.linspace(0, 360, 73), np.linspace(0, 1, 21))
    count = azimuth.size
    lon, lat, _ = GEOD.fwd(
        np.full(count, longitude),
        np.full(count, latitude),
        azimuth.ravel(),
        share.ravel() * uncertainty_m,
    )
    inside = shapely.intersects_xy(area, lon, lat)
    return bool(inside.all()), bool(inside.any())


def test_rows_in_a_country_are_inside_wherever_in_their_uncertainty(
    bundle: Path, tmp_path: Path
) -> None:
    """Beside a border only a certain record passes; one that may be across is counted."""
    known = records(bundle)
    east, north = (float(np.nanmedian(known[name])) for name in ("longitude", "latitude"))
    spread = float(np.nanstd(known["longitude"]))
    areas = {
        "westland": shapely.box(-170, -80, east, 80),
        "eastland": shapely.box(east, -80, east + spread, north),
        "northland": shapely.box(east, north, east + spread, 80),
    }
    path = write_areas(tmp_path / "countries.geojson", areas)
    result = run(
        *("add", "country", path, "--to", bundle, "--kind", "category", "--quiet"),
        *("--name-column", "called", "--code-column", "iso"),
    )
    assert result.exit_code == 0, result.output
    compiler = compiler_of(bundle)
    columns = (known["latitude"], known["longitude"], known["uncertainty_m"])
    for asked in (["westland"], ["EA"], ["NO", "eastland"]):
        wanted = [name for name in areas if name in asked or name[:2].upper() in asked]
        certain, possible = set(), set()
        for row, place in enumerate(zip(*columns, strict=True)):
            if np.isnan(place).any():
                possible.add(row)
                continue
            outcomes = {name: holds(area, *place) for name, area in areas.items()}
            if any(outcomes[name][0] for name in wanted):
                certain.add(row)
            if any(outcomes[name][1] for name in wanted):
                possible.add(row)
        compiled = compiler.compile(Filter(country=tuple(asked), flags="all"))
        assert passing_rows(compiler, Filter(country=tuple(asked), flags="all")) == certain
        assert compiled.unjudged == len(possible) - len(certain)
        assert certain
    with pytest.raises(InvalidQuery, match="knows no 'atlantis'"):
        compiler.compile(Filter(country=("atlantis",)))


def test_the_packaged_layers_agree_with_what_is_known(bundle: Path) -> None:
    """The demonstration rests on them: a river, a lake, a coast and a country for every record."""
    for name in ("river", "lake", "coast"):
        result = run("add", name, "--package", name, "--to", bundle, "--quiet")
        assert result.exit_code == 0, result.output
    listed = run("list", bundle)
    assert "packages of this" in listed.output
    manifest = Bundle.open(bundle).manifest
    assert [layer.name for layer in manifest.layers] == ["river", "lake", "coast"]
    assert all(layer.citation and layer.licence for layer in manifest.layers)
    removed = run("remove", bundle, "lake")
    assert removed.exit_code == 0
    kept = Bundle.open(bundle).manifest
    assert [layer.name for layer in kept.layers] == ["river", "coast"]
    assert not any(entry.path.startswith("layers/lake") for entry in kept.files)
    assert run("remove", bundle, "lake").exit_code == 1


def test_what_the_data_may_be_off_is_added_to_the_uncertainty(bundle: Path, tmp_path: Path) -> None:
    """A coarse map must not judge records that a fine one could not."""
    known = records(bundle)
    middle = [float(np.nanmedian(known[name])) for name in ("longitude", "latitude")]
    line = [(middle[0] - 1, middle[1]), (middle[0] + 1, middle[1])]
    path = write_lines(tmp_path / "rivers.geojson", [line])
    columns = {}
    for accuracy_m in (0, 700):
        given = ("add", "river", path, "--to", bundle, "--quiet", "--accuracy-m", accuracy_m)
        assert run(*given).exit_code == 0
        opened = Bundle.open(bundle, "sizes")
        (layer,) = Layers.of(opened).all()
        assert layer.entry.accuracy_m == accuracy_m
        columns[accuracy_m] = layer.interval(0)
    judged = np.isfinite(columns[0].high)
    assert judged.any()
    assert columns[700].high[judged] == pytest.approx(columns[0].high[judged] + 700, rel=1e-5)
    lowest = np.maximum(columns[0].low[judged] - 700, 0)
    assert columns[700].low[judged] == pytest.approx(lowest, rel=1e-5, abs=1)
