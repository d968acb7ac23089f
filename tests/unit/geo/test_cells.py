"""Cells: indexing, ancestors, uncertainty, outlines, and covers that lose nothing."""

from __future__ import annotations

import duckdb
import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import InvalidQuery
from atlas.geo import cells as cells_module
from atlas.geo import outlines as outlines_module
from atlas.geo.cells import (
    RADIUS_M,
    area_km2,
    boundary,
    cells_of,
    centres,
    cover,
    cover_resolution,
    descendant_range,
    format_cell,
    parent,
    parent_sql,
    parse_cell,
    place,
    resolution_for_uncertainty,
    resolution_of,
)
from atlas.geo.outlines import outlines, short_way
from atlas.geo.shapes import BoundingBox, Polygon

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def points(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes and longitudes spread evenly over the sphere, poles and seam among them."""
    rng = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    lon = rng.uniform(-180, 180, count)
    lat[:4], lon[:4] = (90, -90, 0, 0), (0, 0, 180, -180)
    return lat, lon


@pytest.mark.parametrize("resolution", [0, 5, 7, 15])
def test_fast_and_plain_paths_agree(resolution: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if h3ronpy and h3 put a point in different cells, or one of the paths breaks."""
    pytest.importorskip("h3ronpy")
    lat, lon = points(500)
    lat[7] = lon[9] = np.nan
    fast = cells_of(lat, lon, resolution)
    monkeypatch.setattr(cells_module, "_fast_index", None)
    plain = cells_of(lat, lon, resolution)
    assert fast.dtype == plain.dtype == np.uint64
    assert (fast == plain).all()
    assert fast[7] == fast[9] == 0
    assert (fast != 0).sum() == 498


@pytest.mark.parametrize("resolution", [0, 1, 5])
def test_fast_and_plain_outlines_agree(resolution: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if the two libraries draw another corner, or bytes are read from the wrong place."""
    cells = np.unique(cells_of(*points(300), resolution))
    fast, fast_centres = outlines(cells), centres(cells)
    monkeypatch.setattr(outlines_module, "_fast_outlines", None)
    monkeypatch.setattr(cells_module, "_fast_centres", None)
    plain = outlines(cells)
    assert (fast.start == plain.start).all()
    assert (fast.polar == plain.polar).all()
    np.testing.assert_allclose(fast.longitude, plain.longitude, atol=1e-10)
    np.testing.assert_allclose(fast.latitude, plain.latitude, atol=1e-10)
    np.testing.assert_allclose(fast_centres, centres(cells), atol=1e-10)
    assert len(outlines(cells[:0]).longitude) == len(centres(cells[:0])[0]) == 0


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("lat", "lon"), [(91.0, 0.0), (-90.001, 0.0), (0.0, 540.0), (0.0, -180.1), (np.inf, 0.0)]
)
def test_out_of_range_is_refused(
    lat: float, lon: float, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if a latitude of 91 is wrapped silently, as both H3 libraries do."""
    if not fast:
        monkeypatch.setattr(cells_module, "_fast_index", None)
    with pytest.raises(ValueError, match="outside"):
        cells_of([0.0, lat], [0.0, lon], 7)


def test_no_points_no_cells() -> None:
    """Fails if an empty part of a build raises."""
    assert cells_of([], [], 7).tolist() == []
    assert place([], [], [], 7).tolist() == []
    assert area_km2([]).tolist() == []
    with pytest.raises(ValueError, match="shape"):
        cells_of([1.0], [1.0, 2.0], 7)
    with pytest.raises(ValueError, match="resolution"):
        cells_of([1.0], [1.0], 16)


@given(latitudes, longitudes, st.integers(0, 15), st.integers(0, 15))
@settings(max_examples=200, deadline=None)
def test_parent_is_h3s(lat: float, lon: float, resolution: int, ancestor: int) -> None:
    """Fails if the bit arithmetic leaves H3's own parents."""
    cell = h3.latlng_to_cell(lat, lon, resolution)
    expected = h3.cell_to_parent(cell, ancestor) if ancestor <= resolution else 0
    assert parent([cell], ancestor).tolist() == [expected]
    assert resolution_of([cell, 0]).tolist() == [resolution, -1]


def test_parent_in_duckdb_is_parent_in_python() -> None:
    """Fails if roll-ups in SQL and in Python part ways; mixed resolutions and no cell included."""
    lat, lon = points(300)
    codes = np.concatenate([cells_of(lat, lon, r) for r in (0, 3, 7, 9)] + [np.zeros(1, np.uint64)])
    with duckdb.connect() as database:
        database.execute("CREATE TABLE c (i INTEGER, cell UBIGINT)")
        database.executemany("INSERT INTO c VALUES (?, ?)", list(enumerate(codes.tolist())))
        for resolution in (0, 3, 5, 7, 9, 15):
            sql = f"SELECT {parent_sql('cell', resolution)} FROM c ORDER BY i"
            found = [row[0] for row in database.execute(sql).fetchall()]
            assert found == [cell or None for cell in parent(codes, resolution).tolist()]


@given(latitudes, longitudes, st.integers(0, 6), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_descendant_range_holds_exactly_the_children(
    lat: float, lon: float, resolution: int, deeper: int
) -> None:
    """Fails if a range scan over cells would miss a descendant or catch a stranger."""
    cell = h3.latlng_to_cell(lat, lon, resolution)
    low, high = descendant_range(cell, resolution + deeper)
    children = h3.cell_to_children(cell, resolution + deeper)
    assert (min(children), max(children)) == (low, high)
    neighbours = [c for c in h3.grid_disk(cell, 1) if c != cell]
    strangers = [h3.cell_to_center_child(c, resolution + deeper) for c in neighbours]
    assert not any(low <= c <= high for c in strangers)


def test_descendants_of_pentagons_and_of_finer_cells() -> None:
    """Fails at the twelve pentagons, or when a range above the cell is asked for."""
    for cell in h3.get_pentagons(3):
        children = h3.cell_to_children(cell, 5)
        assert descendant_range(cell, 5) == (min(children), max(children))
    with pytest.raises(ValueError, match="no descendants"):
        descendant_range(h3.latlng_to_cell(0, 0, 5), 4)


@pytest.mark.parametrize(
    ("uncertainty_m", "resolution"),
    [
        (np.nan, 7),
        (0.0, 7),
        (10.0, 7),
        (1406.0, 7),
        (1407.0, 6),
        (28_000.0, 3),
        (2e7, 0),
        (np.inf, 0),
    ],
)
def test_resolution_for_uncertainty(uncertainty_m: float, resolution: int) -> None:
    """Fails if an obscured record (28 km on iNaturalist) is stored finer than it is known."""
    assert resolution_for_uncertainty([uncertainty_m], 7).tolist() == [resolution]


@given(st.floats(0, 1e7), st.integers(0, 15))
def test_resolution_is_the_finest_that_holds_the_uncertainty(metres: float, finest: int) -> None:
    """Fails if the table is searched off by one."""
    (found,) = resolution_for_uncertainty([metres], finest).tolist()
    enough = [r for r in range(finest + 1) if RADIUS_M[r] >= metres]
    assert found == (max(enough) if enough else 0)


def test_negative_uncertainty_is_refused() -> None:
    """Fails if a negative uncertainty passes for a precise one."""
    with pytest.raises(ValueError, match="less than zero"):
        resolution_for_uncertainty([-1.0], 7)


def test_place_rolls_up_through_the_parent() -> None:
    """Fails if a coarse record is indexed directly: 6 % would land in another cell."""
    lat, lon = points(400)
    rng = np.random.default_rng(5)
    uncertainty = 10 ** rng.uniform(0, 6, 400)
    uncertainty[::5] = np.nan
    lat[11] = np.nan
    found = place(lat, lon, uncertainty, 7)
    for i, cell in enumerate(found.tolist()):
        if i == 11:
            assert cell == 0
            continue
        (resolution,) = resolution_for_uncertainty([uncertainty[i]], 7).tolist()
        assert cell == h3.cell_to_parent(h3.latlng_to_cell(lat[i], lon[i], 7), resolution)
    with pytest.raises(ValueError, match="uncertainties"):
        place([1.0], [1.0], [1.0, 2.0], 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zz",
        "0",
        "8f",
        "85283473ffffff",
        "85283473fffffffff",
        "0x85283473fffffff",
        "ffffffffffffffff",
    ],
)
def test_text_that_is_no_cell_names_its_field(text: str) -> None:
    """Fails if a mistyped cell reaches the catalog, where it would match nothing."""
    with pytest.raises(InvalidQuery) as error:
        parse_cell(text, "filter.cells")
    assert error.value.field == "filter.cells"


@given(latitudes, longitudes, st.integers(0, 15))
@settings(max_examples=50, deadline=None)
def test_text_of_a_cell_comes_back(lat: float, lon: float, resolution: int) -> None:
    """Fails if the text form differs from H3's."""
    cell = h3.latlng_to_cell(lat, lon, resolution)
    assert format_cell(cell) == h3.int_to_str(cell)
    assert parse_cell(f" {format_cell(cell).upper()} ") == cell


def test_areas_are_h3s_and_missing_stays_missing() -> None:
    """Fails if a density divides by an average area or by the area of nothing."""
    lat, lon = points(30)
    codes = cells_of(lat, lon, 6)
    expected = [h3.cell_area(cell, "km^2") for cell in codes.tolist()]
    assert area_km2(codes).tolist() == pytest.approx(expected)
    assert np.isnan(area_km2([0])).all()


@pytest.mark.parametrize("resolution", [0, 1, 2])
def test_outlines_tile_the_world(resolution: int) -> None:
    """Fails if an outline at a pole or the antimeridian is torn: areas in degrees must add up."""
    world = cover(BoundingBox(-180.0, -90.0, 180.0, 90.0), resolution)
    assert len(world) == h3.get_num_cells(resolution)
    rings = [shapely.Polygon(ring) for cell in world.tolist() for ring in boundary(cell)]
    assert all(ring.is_valid and ring.exterior.is_ccw for ring in rings)
    bounds = shapely.bounds(rings)
    assert bounds.min() >= -180.0
    assert bounds.max() <= 180.0
    assert sum(ring.area for ring in rings) == pytest.approx(360.0 * 180.0, rel=1e-9)


@given(latitudes, longitudes, st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_boundary_holds_the_points_of_its_cell(lat: float, lon: float, resolution: int) -> None:
    """Fails if an outline is drawn where the cell is not."""
    cell = h3.latlng_to_cell(lat, lon, resolution)
    outline = shapely.MultiPolygon([shapely.Polygon(ring) for ring in boundary(cell)])
    # A piece of a great circle bends away from its chord by up to 0.03 degrees at resolution 0.
    assert outline.distance(shapely.Point(lon, lat)) <= 0.05 / 2.6**resolution + 1e-9


def test_boundary_of_what_is_no_cell() -> None:
    """Fails if a number that is no cell draws something."""
    with pytest.raises(ValueError, match="not an H3 cell"):
        boundary(17)


def assert_covered(shape: BoundingBox | Polygon, lat: np.ndarray, lon: np.ndarray, r: int) -> None:
    """Check that each point inside has its cell in the cover; the oracle is the exact test."""
    inside = shape.contains(lat, lon)
    missed = np.setdiff1d(cells_of(lat[inside], lon[inside], r), cover(shape, r))
    assert missed.tolist() == []


@given(
    longitudes,
    latitudes,
    st.floats(0, 360) | st.floats(0, 1),
    st.floats(0, 180) | st.floats(0, 1),
    st.integers(0, 4),
    st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None)
def test_cover_of_a_box_loses_no_point(
    west: float, south: float, width: float, height: float, resolution: int, seed: int
) -> None:
    """Fails if a wide box is filled as its complement, or a pole, seam or sliver is missed."""
    north = min(90.0, south + height)
    east = west + width
    box = BoundingBox(west, south, east, north)
    rng = np.random.default_rng(seed)
    lat = rng.uniform(south, north, 300)
    lon = (rng.uniform(west, west + min(width, 360.0), 300) + 180.0) % 360.0 - 180.0
    lat[:4], lon[:4] = (south, south, north, north), (box.west, box.east, box.west, box.east)
    assert_covered(box, lat, lon, resolution)


@pytest.mark.parametrize("resolution", [3, 5, 7])
@pytest.mark.parametrize(
    ("lat", "lon"), [(0, 0), (89.99, 10), (-89.9, 0), (65, 180), (-89.999, 180)]
)
def test_cover_of_a_square_smaller_than_a_cell(lat: float, lon: float, resolution: int) -> None:
    """Fails if a 1 km square has no cell, as it has by H3's centre containment."""
    box = BoundingBox(lon - 0.005, max(-90.0, lat - 0.005), lon + 0.005, min(90.0, lat + 0.005))
    rng = np.random.default_rng(1)
    some_lat = rng.uniform(box.south, box.north, 200)
    some_lon = (rng.uniform(lon - 0.005, lon + 0.005, 200) + 180.0) % 360.0 - 180.0
    assert_covered(box, some_lat, some_lon, resolution)
    assert len(cover(box, resolution)) >= 1


def test_cover_of_a_point_and_of_a_parallel() -> None:
    """Fails if a box without area covers nothing."""
    assert cells_of([48.2], [16.4], 7)[0] in cover(BoundingBox(16.4, 48.2, 16.4, 48.2), 7)
    line = BoundingBox(170.0, 60.0, -170.0, 60.0)
    lon = np.concatenate([np.linspace(170, 180, 200), np.linspace(-180, -170, 200)])
    assert_covered(line, np.full(400, 60.0), lon, 5)


def test_cover_is_tight() -> None:
    """Fails if a cover holds cells far from its shape, which would make a filter slow."""
    box = BoundingBox(5.0, 45.0, 8.0, 47.0)
    outline = shapely.box(5.0, 45.0, 8.0, 47.0).buffer(0.02)
    found = cover(box, 5)
    assert len(found) == len(np.unique(found))
    assert (np.diff(found.astype(np.int64)) > 0).all()
    assert all(outline.intersects(shapely.Polygon(boundary(cell)[0])) for cell in found.tolist())


@pytest.mark.parametrize("resolution", [1, 2, 4])
@pytest.mark.parametrize(
    "coordinates",
    [
        [[[-150, 70], [-90, 65], [-30, 75], [30, 70], [90, 80], [150, 70], [-150, 70]]],
        [[[150, -80], [90, -75], [30, -80], [-30, -70], [-90, -80], [-150, -75], [150, -80]]],
        [[[170, -20], [-160, -25], [-165, 15], [175, 10], [170, -20]]],
        [
            [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]],
            [[10, 10], [10, 30], [30, 30], [30, 10], [10, 10]],
        ],
    ],
)
def test_cover_of_a_polygon_loses_no_point(
    coordinates: list[list[list[float]]], resolution: int
) -> None:
    """Fails if a ring around a pole, a crossing or a hole is filled wrongly."""
    lat, lon = points(20_000)
    shape = Polygon.from_geojson(coordinates)
    assert_covered(shape, lat, lon, resolution)
    bounds = shape.bounds()
    assert len(cover(shape, resolution)) <= len(cover(bounds, resolution))


@pytest.mark.parametrize("max_cells", [10, 200, 5_000])
@pytest.mark.parametrize(
    "box",
    [
        (-180, -90, 180, 90),
        (5, 45, 8, 47),
        (170, 60, -170, 60),
        (16, 48, 16.01, 48.01),
        (0, 89, 90, 90),
    ],
)
def test_cover_resolution_keeps_the_budget(box: tuple[float, ...], max_cells: int) -> None:
    """Fails if a box around the world is covered with millions of cells."""
    shape = BoundingBox(*box)
    resolution = cover_resolution(shape, 7, max_cells)
    assert resolution == 0 or len(cover(shape, resolution)) <= 1.5 * max_cells


@given(st.floats(-720, 720))
def test_short_way_is_the_short_way(degrees: float) -> None:
    """Fails if a difference of longitude goes the long way around."""
    found = float(short_way(np.array([degrees]))[0])
    assert abs(found) <= 180.0 + 1e-9
    assert abs((found - degrees + 180.0) % 360.0 - 180.0) == pytest.approx(0.0, abs=1e-9)
