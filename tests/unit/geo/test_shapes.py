"""Boxes and polygons: which points they hold, also across the antimeridian and at the poles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import InvalidQuery
from atlas.geo.shapes import BoundingBox, Polygon

longitudes = st.integers(-180, 180).map(float)
latitudes = st.integers(-90, 90).map(float)
GRID_LON, GRID_LAT = (
    a.ravel() for a in np.meshgrid(np.arange(-180, 181, 7.5), np.arange(-90, 91, 7.5))
)


def ring(*positions: tuple[float, float]) -> list[list[float]]:
    """Close a ring."""
    return [list(position) for position in (*positions, positions[0])]


def in_box_by_hand(box: BoundingBox, lat: float, lon: float) -> bool:
    """Walk east from the western edge: the oracle for boxes."""
    if not box.south <= lat <= box.north:
        return False
    width = box.east - box.west if box.east >= box.west else box.east - box.west + 360
    offsets = ((lon - box.west) % 360, (lon - box.west) % 360 - 360, (lon - box.west) % 360 + 360)
    return any(0 <= offset <= width for offset in offsets)


@given(longitudes, latitudes, longitudes, latitudes)
@settings(max_examples=60, deadline=None)
def test_box_holds_what_a_walk_east_meets(west: float, a: float, east: float, b: float) -> None:
    """Fails if a box that crosses the antimeridian is read as its complement."""
    box = BoundingBox(west, min(a, b), east, max(a, b))
    expected = [in_box_by_hand(box, lat, lon) for lat, lon in zip(GRID_LAT, GRID_LON, strict=True)]
    assert box.contains(GRID_LAT, GRID_LON).tolist() == expected


@given(longitudes, latitudes, longitudes, latitudes)
@settings(max_examples=40, deadline=None)
def test_parts_never_cross_and_hold_the_same(west: float, a: float, east: float, b: float) -> None:
    """Fails if splitting a box loses or adds points: SQL is written from the parts."""
    box = BoundingBox(west, min(a, b), east, max(a, b))
    parts = box.parts()
    assert 1 <= len(parts) <= 2
    assert all(part.west <= part.east for part in parts)
    together = np.any([part.contains(GRID_LAT, GRID_LON) for part in parts], axis=0)
    assert (together == box.contains(GRID_LAT, GRID_LON)).all()


@pytest.mark.parametrize(
    ("given_edges", "west", "east"),
    [
        ((170.0, 190.0), 170.0, -170.0),
        ((-190.0, -170.0), 170.0, -170.0),
        ((-200.0, 200.0), -180.0, 180.0),
        ((-180.0, 180.0), -180.0, 180.0),
        ((190.0, 200.0), -170.0, -160.0),
        ((10.0, 10.0), 10.0, 10.0),
    ],
)
def test_box_from_a_dragged_map(given_edges: tuple[float, float], west: float, east: float) -> None:
    """Fails if longitudes beyond 180, as map widgets send them, are refused or misread."""
    box = BoundingBox(given_edges[0], -1.0, given_edges[1], 1.0)
    assert (box.west, box.east) == (west, east)


@pytest.mark.parametrize(
    "edges",
    [
        (0.0, 10.0, 1.0, 5.0),
        (0.0, -91.0, 1.0, 5.0),
        (0.0, 0.0, 1.0, 95.0),
        (0.0, 0.0, 541.0, 5.0),
        (float("nan"), 0.0, 1.0, 5.0),
        (0.0, 0.0, float("inf"), 5.0),
    ],
)
def test_impossible_box_names_its_field(edges: tuple[float, float, float, float]) -> None:
    """Fails if a box with latitudes swapped, or out of range, gives an empty answer instead."""
    with pytest.raises(InvalidQuery) as error:
        BoundingBox(*edges)
    assert error.value.field == "filter.bbox"


def test_missing_coordinates_lie_nowhere() -> None:
    """Fails if a record without coordinates passes a filter by place."""
    world = BoundingBox(-180.0, -90.0, 180.0, 90.0)
    square = Polygon.from_geojson([ring((0, 0), (1, 0), (1, 1), (0, 1))])
    for shape in (world, square):
        assert not shape.contains([np.nan, 0.5], [0.5, np.nan]).any()


def crosses_by_hand(lat: float, lon: float, positions: list[list[float]]) -> bool | None:
    """Count edges north of the point; None on an edge (oracle for polygons that do not cross)."""
    inside = False
    for (x1, y1), (x2, y2) in pairwise(positions):
        cross = (x2 - x1) * (lat - y1) - (y2 - y1) * (lon - x1)
        if cross == 0 and min(x1, x2) <= lon <= max(x1, x2) and min(y1, y2) <= lat <= max(y1, y2):
            return None
        if (x1 > lon) != (x2 > lon) and lat < y1 + (y2 - y1) * (lon - x1) / (x2 - x1):
            inside = not inside
    return inside


@given(
    st.lists(st.tuples(st.integers(5, 40), st.integers(1, 12)), min_size=3, max_size=9),
    st.integers(-540, 540),
    st.integers(-40, 40),
)
@settings(max_examples=60, deadline=None)
def test_polygon_holds_what_counting_edges_holds(
    spokes: list[tuple[int, int]], longitude: int, latitude: int
) -> None:
    """Fails if a polygon moved anywhere around the world, also across 180, changes its content."""
    angles = np.cumsum([step for _, step in spokes]) * (2 * np.pi / sum(s for _, s in spokes))
    star = [
        [float(np.round(radius * np.cos(angle), 1)), float(np.round(radius * np.sin(angle), 1))]
        for (radius, _), angle in zip(spokes, angles, strict=True)
    ]
    star.append(star[0])
    longitude = int(np.clip(longitude, -500, 500))
    moved = [[lon + longitude, lat + latitude] for lon, lat in star]
    try:
        polygon = Polygon.from_geojson([moved])
    except InvalidQuery:
        return  # the star has no area, or its rounding touches itself
    rng = np.random.default_rng(7)
    lon, lat = rng.integers(-45, 46, 60) + 0.031, rng.integers(-45, 46, 60) + 0.017
    expected = [crosses_by_hand(b, a, star) for a, b in zip(lon, lat, strict=True)]
    around = (lon + longitude + 180.0) % 360.0 - 180.0
    found = polygon.contains(lat + latitude, around).tolist()
    assert [f for f, e in zip(found, expected, strict=True) if e is not None] == [
        e for e in expected if e is not None
    ]


def test_polygon_across_the_antimeridian() -> None:
    """Fails if an edge from 170 to -170 is taken the long way around."""
    polygon = Polygon.from_geojson([ring((170, -10), (-170, -10), (-170, 10), (170, 10))])
    assert polygon.contains([0, 0, 0, 0, 0], [175, -175, 180, -180, 0]).tolist() == [True] * 4 + [
        False
    ]
    assert polygon.bounds() == BoundingBox(170.0, -10.0, -170.0, 10.0)


def test_polygon_written_with_both_sides_of_the_antimeridian() -> None:
    """Fails if a hop from 180 to -180 at one place is taken for a way around the world."""
    polygon = Polygon.from_geojson(
        [ring((170, -10), (180, -10), (-180, -10), (-170, -10), (-170, 10), (170, 10))]
    )
    assert polygon.contains([0, 0, 0], [175, -175, 0]).tolist() == [True, True, False]


@pytest.mark.parametrize(("latitude", "inside", "outside"), [(60, 75, 30), (-60, -75, -30)])
@pytest.mark.parametrize("eastward", [True, False])
def test_ring_around_a_pole_holds_the_pole(
    latitude: int, inside: int, outside: int, eastward: bool
) -> None:
    """Fails if "everything south of 60 S" raises or gives the tropics."""
    corners = [(lon, latitude) for lon in (-150, -90, -30, 30, 90, 150)]
    polygon = Polygon.from_geojson([ring(*(corners if eastward else corners[::-1]))])
    lon = np.arange(-180.0, 181.0, 10.0)
    assert polygon.contains(np.full(37, float(inside)), lon).all()
    assert polygon.contains(np.full(37, np.sign(latitude) * 90.0), lon).all()
    assert not polygon.contains(np.full(37, float(outside)), lon).any()
    assert (polygon.bounds().west, polygon.bounds().east) == (-180.0, 180.0)


def test_hole_around_a_pole_leaves_a_belt() -> None:
    """Fails if a hole that goes around a pole is lost."""
    outer, inner = ([(lon, lat) for lon in range(-180, 180, 60)] for lat in (50, 70))
    belt = Polygon.from_geojson([ring(*outer), ring(*inner)])
    assert belt.contains([60, 80, 40, 90], [12, 12, 12, 12]).tolist() == [True, False, False, False]


def test_corners_of_the_world_are_the_world() -> None:
    """Fails if the ring that people write for "everywhere" collapses to the antimeridian."""
    world = Polygon.from_geojson([ring((-180, -90), (180, -90), (180, 90), (-180, 90))])
    assert world.contains(GRID_LAT, GRID_LON).all()


def test_holes_and_members() -> None:
    """Fails if a MultiPolygon loses a member or a hole."""
    square = ring((0, 0), (10, 0), (10, 10), (0, 10))
    hole = ring((4, 4), (6, 4), (6, 6), (4, 6))
    far = ring((100, 0), (101, 0), (101, 1), (100, 1))
    shape = {"type": "MultiPolygon", "coordinates": [[square, hole], [far]]}
    for given_shape in (shape, shape["coordinates"]):
        polygon = Polygon.from_geojson(given_shape)
        assert polygon.contains([5, 1, 0.5, 5], [5, 1, 100.5, 50]).tolist() == [
            False,
            True,
            True,
            False,
        ]
        assert polygon.bounds() == BoundingBox(0.0, 0.0, 101.0, 10.0)


BOW_TIE = ring((0, 0), (10, 10), (10, 0), (0, 10))


@pytest.mark.parametrize(
    "shape",
    [
        [],
        [[]],
        {},
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "Polygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
        [BOW_TIE],
        [[[0, 0], [1, 0], [1, 1]]],
        [[[0, 0], [1, 0], [1, 1], [0, 1]]],
        [ring((0, 0), (1, 0), (2, 0))],
        [ring((0, 0), (91, 0), (1, 91))],
        [ring((0, 0), (600, 0), (1, 1))],
        [[["0", "0"], [1, 0], [1, 1], ["0", "0"]]],
        [[[0, True], [1, 0], [1, 1], [0, True]]],
        [[[0, float("nan")], [1, 0], [1, 1], [0, float("nan")]]],
        [[[0, 10**400], [1, 0], [1, 1], [0, 10**400]]],
        [[[0], [1, 0], [1, 1], [0]]],
        [ring((0, 0), (1, 0), (1, 1)), []],
        [[ring((0, 0), (1, 0), (1, 1))], []],
        [ring((0, 0), (1, 0), (1, 1)), 5],
        [ring(*((i % 360 - 180 + i / 1e4, i / 1e3) for i in range(5001)))],
        "POLYGON",
        None,
        [[[[[[[1]]]]]]],
    ],
)
def test_what_is_no_polygon_names_its_field(shape: Any) -> None:
    """Fails if malformed GeoJSON becomes an internal error instead of a question refused."""
    with pytest.raises(InvalidQuery) as error:
        Polygon.from_geojson(shape, field="filter.polygon")
    assert error.value.field == "filter.polygon"


def test_polygons_cannot_be_changed() -> None:
    """Fails if a polygon that threads share could be altered."""
    polygon = Polygon.from_geojson([ring((0, 0), (1, 0), (1, 1))])
    with pytest.raises(AttributeError):
        polygon.geometry = None
