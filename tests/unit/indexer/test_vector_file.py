"""Features of every kind of file, in every coordinate system, come in the same degrees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely

from atlas.errors import BuildError, PlanError
from indexer.layers import vector_file
from indexer.layers.features import Features, survey
from indexer.layers.vector_file import VectorFile

LINES = [
    shapely.LineString([(-84.0, 9.0), (-83.9, 9.3), (-83.5, 9.4)]),
    shapely.LineString([(-85.0, 10.0), (-84.6, 10.2)]),
    shapely.LineString([(-84.2, 10.1), (-84.1, 9.9)]),
]
ORDERS, NAMES = [3, 1, 2], ["Rio Uno", "Río Dos", None]


def write(path: Path, lines: list[shapely.Geometry], crs: str, driver: str) -> Path:
    """A file of the lines with order and name, written through GDAL."""
    pyogrio.raw.write(
        path,
        geometry=np.array(shapely.to_wkb(lines), dtype=object),
        field_data=[np.array(ORDERS, np.int32), np.array(NAMES, dtype=object)],
        fields=["strahler", "called"],
        crs=crs,
        geometry_type="LineString",
        driver=driver,
    )
    return path


def write_parquet(path: Path, lines: list[shapely.Geometry], crs: object) -> Path:
    """A GeoParquet file as its specification has it."""
    described = {"encoding": "WKB", "geometry_types": ["LineString"]}
    geo = {
        "version": "1.1.0",
        "primary_column": "shape",
        "columns": {"shape": described if crs is ... else described | {"crs": crs}},
    }
    table = pa.table({"shape": shapely.to_wkb(lines), "strahler": ORDERS, "called": NAMES})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    return path


def projected(crs: str) -> list[shapely.Geometry]:
    """The lines in another coordinate system."""
    moved = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    return [
        shapely.transform(line, lambda xy: np.stack(moved.transform(*xy.T), axis=1))
        for line in LINES
    ]


def read(path: Path, crs: str | None = None) -> Features:
    """All features of a file as one batch."""
    file = VectorFile(path=path, order_column="strahler", name_column="called", crs=crs)
    batches = list(file.features())
    assert file.count() == len(LINES)
    return Features(
        np.concatenate([batch.geometry for batch in batches]),
        np.concatenate([batch.order for batch in batches]),
        [name for batch in batches for name in batch.name],
        [code for batch in batches for code in batch.code],
        batches[0].first,
    )


FORMATS = [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")]
SYSTEMS = ["EPSG:4326", "EPSG:32616", "EPSG:4267"]
CASES = [(*made, crs) for made in FORMATS for crs in SYSTEMS]


# GeoJSON is always in WGS84.
@pytest.mark.parametrize(("name", "driver", "crs"), [*CASES, ("a.geojson", "GeoJSON", SYSTEMS[0])])
def test_every_format_in_every_system(name: str, driver: str, crs: str, tmp_path: Path) -> None:
    """A file in metres that is taken for degrees would put every river into the Gulf of Guinea."""
    found = read(write(tmp_path / name, projected(crs), crs, driver))
    order = np.argsort(found.order)  # FlatGeobuf sorts by place
    for at, expected in zip(order, (LINES[1], LINES[2], LINES[0]), strict=True):
        assert shapely.hausdorff_distance(found.geometry[at], expected) < 2e-4
    assert found.order[order].tolist() == [1, 2, 3]
    assert [found.name[at] for at in order] == ["Río Dos", "", "Rio Uno"]


def test_geoparquet_with_and_without_a_stated_system(tmp_path: Path) -> None:
    """Without one GeoParquet means degrees; a null means that it is not known."""
    found = read(write_parquet(tmp_path / "a.parquet", LINES, ...))
    assert found.geometry.tolist() == LINES
    utm = pyproj.CRS.from_epsg(32616).to_json_dict()
    found = read(write_parquet(tmp_path / "b.parquet", projected("EPSG:32616"), utm))
    assert shapely.hausdorff_distance(found.geometry, np.array(LINES)).max() < 2e-4
    unknown = write_parquet(tmp_path / "c.parquet", LINES, None)
    with pytest.raises(PlanError, match=r"does not state its coordinate system; give --crs"):
        read(unknown)
    assert read(unknown, crs="EPSG:4326").geometry.tolist() == LINES


def test_a_file_comes_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of millions of rivers must never be in memory whole."""
    monkeypatch.setattr(vector_file, "BATCH_FEATURES", 2)
    path = write(tmp_path / "a.gpkg", LINES, "EPSG:4326", "GPKG")
    batches = list(VectorFile(path=path).features())
    assert [len(batch.geometry) for batch in batches] == [2, 1]
    assert [batch.first for batch in batches] == [0, 2]
    assert survey(VectorFile(path=path, order_column="strahler")).orders == (1, 2, 3)


def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    """An operator with forty files must learn which one, and which feature."""
    path = write(tmp_path / "a.gpkg", LINES, "EPSG:4326", "GPKG")
    with pytest.raises(PlanError, match=r"a\.gpkg: has no column 'width'; it has: strahler"):
        list(VectorFile(path=path, order_column="width").features())
    with pytest.raises(PlanError, match=r"a\.gpkg: features from 0 on: column 'called'"):
        list(VectorFile(path=path, order_column="called").features())
    with pytest.raises(PlanError, match=r"a\.gpkg: cannot be read as a map"):
        list(VectorFile(path=path, layer="lakes").features())
    metres = write(tmp_path / "b.gpkg", projected("EPSG:32616"), "EPSG:4326", "GPKG")
    with pytest.raises(PlanError, match=r"b\.gpkg: feature 0: longitude .* is no place"):
        list(VectorFile(path=metres).features())
    text = tmp_path / "c.gpkg"
    text.write_text("no map")
    with pytest.raises(PlanError, match=r"c\.gpkg: cannot be read"):
        list(VectorFile(path=text).features())
    plain = tmp_path / "d.parquet"
    pq.write_table(pa.table({"a": [1]}), plain)
    with pytest.raises(PlanError, match=r"d\.parquet: is no GeoParquet"):
        list(VectorFile(path=plain).features())
    no_crs = write(tmp_path / "e.shp", LINES, "EPSG:4326", "ESRI Shapefile")
    no_crs.with_suffix(".prj").unlink()
    with pytest.raises(PlanError, match=r"e\.shp: does not state its coordinate system"):
        list(VectorFile(path=no_crs).features())


def test_features_without_a_geometry_are_counted(tmp_path: Path) -> None:
    """They must neither stop a layer nor go unnoticed."""
    path = tmp_path / "a.geojson"
    features = [
        {"type": "Feature", "properties": {}, "geometry": None},
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    seen = survey(VectorFile(path=path))
    assert (seen.features, seen.without_geometry) == (2, 1)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features[:1]}))
    with pytest.raises(BuildError, match="no feature with a geometry"):
        survey(VectorFile(path=path))
