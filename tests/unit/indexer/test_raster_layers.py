"""Elevation and habitat from rasters: bounds that hold wherever in its uncertainty a record was."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pyproj
import pytest
import rasterio
from click.testing import CliRunner, Result

from atlas.bundle.bundle import LAYERS, Bundle
from atlas.catalog import Catalog
from atlas.errors import PlanError
from atlas.geo.layers import Layers
from atlas.search.compiler import FilterCompiler
from atlas.search.filters import Filter
from atlas.search.place_filters import ElevationRange, LayerRange
from indexer.commands import indexer
from indexer.layers.raster_file import RasterFile

GEOD = pyproj.Geod(ellps="WGS84")
Floats = npt.NDArray[np.float64]


def write_raster(
    path: Path,
    pixels: npt.NDArray[np.int16],
    *,
    west: float,
    north: float,
    step: float,
    crs: str = "EPSG:4326",
) -> Path:
    """A GeoTIFF of whole numbers; -9999 is no data."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=pixels.shape[0],
        width=pixels.shape[1],
        count=1,
        dtype="int16",
        crs=crs,
        transform=rasterio.Affine(step, 0, west, 0, -step, north),
        nodata=-9999,
    ) as raster:
        raster.write(pixels, 1)
    return path


def within(path: Path, latitude: float, longitude: float, radius_m: float) -> Floats:
    """Pixels at many points of a circle, NaN where there is none, read one point at a time."""
    azimuth, share = np.meshgrid(np.linspace(0, 360, 37), np.linspace(0, 1, 13))
    count = azimuth.size
    lon, lat, _ = GEOD.fwd(
        np.full(count, longitude),
        np.full(count, latitude),
        azimuth.ravel(),
        share.ravel() * radius_m,
    )
    with rasterio.open(path) as raster:
        if not raster.crs.is_geographic:
            moved = pyproj.Transformer.from_crs(4326, raster.crs.to_wkt(), always_xy=True)
            lon, lat = moved.transform(lon, lat)
        elif raster.bounds.right > 180:
            lon = lon % 360
        read = [values[0] for values in raster.sample(zip(lon, lat, strict=True), masked=True)]
    return np.array([np.nan if value is np.ma.masked else float(value) for value in read])


@pytest.mark.parametrize(
    ("west", "north", "step", "crs", "centre"),
    [
        (-85.0, 11.0, 0.01, "EPSG:4326", (10.0, -84.0)),
        (-180.0, 90.0, 0.5, "EPSG:4326", (0.0, 179.9)),
        (0.0, 90.0, 0.5, "EPSG:4326", (60.0, -77.0)),
        (780_000.0, 1_150_000.0, 500.0, "EPSG:32616", (10.0, -84.0)),
    ],
)
def test_bounds_hold_at_every_point_of_the_circle(
    west: float, north: float, step: float, crs: str, centre: tuple[float, float], tmp_path: Path
) -> None:
    """A bound that a point of the circle breaks would let a record pass that may not be there."""
    rng = np.random.default_rng(1)
    shape = (round(180 / step), round(360 / step)) if step == 0.5 else (240, 260)
    pixels = rng.integers(-50, 4000, shape).astype(np.int16)
    pixels[3::17, 5::19] = -9999
    path = write_raster(tmp_path / "map.tif", pixels, west=west, north=north, step=step, crs=crs)
    spread = 40 * step if crs == "EPSG:4326" else 0.2
    lat = centre[0] + rng.uniform(-spread, spread, 60)
    lon = (centre[1] + rng.uniform(-spread, spread, 60) + 180) % 360 - 180
    pixel_m = step * 111_000 if crs == "EPSG:4326" else step
    radius_m = rng.choice([0, 0.1, 0.7, 3, 12, 45], 60) * pixel_m
    found = RasterFile(path=path).bounds(lat, lon, radius_m)
    filled = RasterFile(path=path).bounds(lat, lon, radius_m, outside=-(2.0**30))
    known = 0
    for at in range(60):
        points = within(path, lat[at], lon[at], radius_m[at])
        if np.isnan(points).any():
            assert np.isnan(found.low[at])
            around_pole = abs(lat[at]) + radius_m[at] / 110_000 >= 90
            assert np.isnan(filled.low[at]) if around_pole else filled.low[at] == -(2.0**30)
            continue
        if np.isnan(found.low[at]):  # a pixel without data at a corner of the rectangle
            assert radius_m[at] > 0
            continue
        known += 1
        assert found.low[at] <= points.min()
        assert found.high[at] >= points.max()
        if radius_m[at] == 0:
            assert found.low[at] == found.high[at] == points[0]
    assert known >= 15


def test_far_from_the_raster_and_at_a_pole(tmp_path: Path) -> None:
    """Beyond the raster there is nothing; a circle around a pole is not known."""
    pixels = np.full((20, 20), 7, np.int16)
    path = write_raster(tmp_path / "map.tif", pixels, west=10, north=10, step=0.1)
    lat, lon = np.array([9.0, -40.0, 9.0, 89.999]), np.array([11.0, 11.0, -120.0, 11.0])
    found = RasterFile(path=path).bounds(lat, lon, np.full(4, 1000.0), outside=-1.0)
    assert found.low[:3].tolist() == [7, -1, -1]
    whole = write_raster(
        tmp_path / "earth.tif", np.full((180, 360), 3, np.int16), west=-180, north=90, step=1
    )
    found = RasterFile(path=whole).bounds(lat, lon, np.full(4, 1000.0))
    assert found.low[:3].tolist() == [3, 3, 3]
    assert np.isnan(found.low[3])


def test_a_file_that_is_no_raster_is_named(tmp_path: Path) -> None:
    """An operator must learn which file is wrong."""
    path = tmp_path / "map.tif"
    path.write_text("no raster")
    with pytest.raises(PlanError, match=r"map\.tif: cannot be read as a raster"):
        RasterFile(path=path).bounds(np.zeros(1), np.zeros(1), np.zeros(1))


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def run(*arguments: object) -> Result:
    """`indexer layer`."""
    return CliRunner().invoke(indexer, ["layer", *map(str, arguments)])


def rows_that_pass(root: Path, asked: Filter) -> tuple[set[int], int]:
    """Rows that pass, and how many could not be judged."""
    bundle = Bundle.open(root, "sizes")
    compiler = FilterCompiler(
        Catalog.open(bundle.catalog_path),
        bundle.segments,
        finest=bundle.manifest.cell_resolution,
        cache_bytes=10**6,
        layers=Layers.of(bundle),
    )
    compiled = compiler.compile(asked)
    return {
        int(position) for one in compiled.selections for position in one.positions()
    }, compiled.unjudged


def test_rows_by_elevation_and_by_habitat(bundle: Path, tmp_path: Path) -> None:
    """Each row that passes is inside the range at its own place, by a reading of its own."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 3000, (1800, 3600)).astype(np.int16)
    elevation = write_raster(tmp_path / "dem.tif", pixels, west=-180, north=90, step=0.1)
    kinds = (pixels // 1000).astype(np.int16)
    habitat = write_raster(tmp_path / "habitat.tif", kinds, west=-180, north=90, step=0.1)
    names = tmp_path / "names.csv"
    names.write_text("value,name\n0,lowland\n1,hills\n2,mountains\n")
    made = run("add", "elevation", elevation, "--to", bundle, "--kind", "value", "--quiet")
    assert made.exit_code == 0, made.output
    made = run(
        *("add", "habitat", habitat, "--to", bundle, "--kind", "category", "--quiet"),
        *("--values-file", names),
    )
    assert made.exit_code == 0, made.output
    table = pq.read_table(bundle / "segments" / "0001" / "rows.parquet")
    lat, lon, uncertainty = (
        table[name].to_numpy().astype(np.float64)
        for name in ("latitude", "longitude", "uncertainty_m")
    )
    asked = Filter(elevation=ElevationRange(min_m=1000, max_m=1999), flags="all")
    by_elevation, unjudged = rows_that_pass(bundle, asked)
    by_habitat, _ = rows_that_pass(bundle, Filter(habitat=("hills",), flags="all"))
    by_name, _ = rows_that_pass(
        bundle, Filter(layers={"habitat": LayerRange(values=("1",))}, flags="all")
    )
    assert by_elevation
    assert by_elevation == by_habitat == by_name
    certain = 0
    for row in range(table.num_rows):
        if np.isnan([lat[row], uncertainty[row]]).any():
            assert row not in by_elevation
            continue
        points = within(elevation, lat[row], lon[row], uncertainty[row])
        if row in by_elevation:
            assert points.min() >= 1000
            assert points.max() <= 1999
        certain += bool(points.min() >= 1000 and points.max() <= 1999)
    # A rectangle is larger than its circle, so a few certain rows may not be judged.
    assert len(by_elevation) >= 0.7 * certain
    assert unjudged >= np.count_nonzero(np.isnan(lat) | np.isnan(uncertainty))
    cells = pq.read_table(next((bundle / LAYERS).glob("elevation-*")) / "cells.parquet")
    assert cells["cell"].to_pylist() == sorted(cells["cell"].to_pylist())
    assert all(
        low <= mean <= high
        for low, mean, high in zip(
            *(cells[name].to_pylist() for name in ("least", "mean", "greatest")), strict=True
        )
    )
