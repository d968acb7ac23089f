"""Views of maps: everything asked for is inside, in one piece, with areas kept."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atlas.geo.cells import area_km2, cells_of
from atlas.geo.outlines import outlines, world_polygons
from atlas.geo.shapes import BoundingBox
from atlas.geo.views import view_of, view_of_box

points = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20)
near = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 2**32 - 1))


@settings(max_examples=60)
@given(points)
def test_all_points_are_in_view(given_points: list[tuple[float, float]]) -> None:
    """Fails where a map leaves out a record, at the antimeridian or over a pole."""
    latitude, longitude = np.array(given_points).T
    view = view_of(latitude, longitude)
    x, y = view.plane(longitude, latitude)
    if view.whole_earth:
        assert view.frame().distance(shapely.points(x, y)).max() < 1_000.0
        return
    assert (view.left <= x).all()
    assert (x <= view.right).all()
    assert (view.bottom <= y).all()
    assert (y <= view.top).all()
    assert 0.49 <= view.aspect <= 0.91


@settings(max_examples=40)
@given(near)
@example((81.0, 172.0, 0))  # beyond the pole from the central meridian, and not over it
def test_cells_keep_their_area_and_are_whole(place: tuple[float, float, int]) -> None:
    """A cell that is cut, doubled or blown up would show another count by area."""
    latitude, longitude, seed = place
    rng = np.random.default_rng(seed)
    lat = np.clip(latitude + rng.normal(0.0, 4.0, 12), -90.0, 90.0)
    lon = (longitude + rng.normal(0.0, 4.0, 12) + 180.0) % 360.0 - 180.0
    view = view_of(lat, lon, margin=0.3)
    cells = np.unique(cells_of(lat, lon, 4))
    pieces, owner = world_polygons(outlines(cells))
    drawn, source = view.projected(pieces)
    area = np.bincount(owner[source], shapely.area(drawn) / 1e6, len(cells))
    # The sphere of H3 beside the ellipsoid of the map, and lines straight in degrees.
    assert area == pytest.approx(area_km2(cells), rel=0.02)


def test_a_range_across_the_antimeridian_is_one_map() -> None:
    """Fiji is six degrees wide, not three hundred and fifty-four."""
    view = view_of(np.array([-16.0, -19.0]), np.array([177.0, -178.0]))
    assert not view.whole_earth
    assert view.width_m < 1_000_000.0
    assert view.box.contains([-17.0], [180.0]).all()
    assert not view.box.contains([-17.0], [0.0]).any()


def test_the_whole_earth_is_turned_to_the_range() -> None:
    """A range around the Pacific is not cut in two by the edge of the map."""
    longitude = np.array([140.0, 170.0, -150.0, -120.0, -80.0, 180.0])
    pacific = view_of(np.array([40.0, -50.0, 60.0, 10.0, -40.0, 0.0]), longitude)
    assert pacific.whole_earth
    assert "lon_0=-150" in pacific.projection or "lon_0=-180" in pacific.projection
    world = view_of(np.array([50.0, -40.0, 30.0]), np.array([10.0, -60.0, 110.0]))
    assert "lon_0=0" in world.projection
    assert view_of(np.zeros(0), np.zeros(0)).whole_earth


def test_a_box_over_the_pole_is_seen_from_above() -> None:
    """The Arctic is round: all longitudes, and the pole in the middle."""
    view = view_of_box(BoundingBox(-180.0, 65.0, 180.0, 90.0))
    assert not view.whole_earth
    assert view.north == 90.0
    x, y = view.plane([0.0], [90.0])
    assert view.left < x[0] < view.right
    assert view.bottom < y[0] < view.top
