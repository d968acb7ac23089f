"""Distances on the ellipsoid against PROJ's geodesics, everywhere on the earth."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.geo.distance import (
    PIECE_M,
    TOLERANCE,
    PieceTree,
    cut_into_pieces,
    from_space,
    geodesic_m,
    to_space,
)
from atlas.geo.outlines import Floats, short_way

GEOD = pyproj.Geod(ellps="WGS84")
LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def dense(longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Points at most 50 m apart along a line that is straight in degrees."""
    lon, lat = [longitude[:1]], [latitude[:1]]
    for at in range(len(longitude) - 1):
        across = short_way(longitude[at + 1] - longitude[at])
        up = latitude[at + 1] - latitude[at]
        share = np.linspace(0, 1, 2 + int(np.hypot(across, up) * 111_320 / 50))
        lon.append(longitude[at] + share * across)
        lat.append(latitude[at] + share * up)
    return np.concatenate(lon), np.concatenate(lat)


def oracle_m(lon: float, lat: float, points: tuple[Floats, Floats]) -> float:
    """The least geodesic distance to any of the points."""
    count = len(points[0])
    _, _, metres = GEOD.inv(np.full(count, lon), np.full(count, lat), *points)
    return float(np.min(metres))


@given(st.lists(st.tuples(LATITUDES, LONGITUDES), min_size=1, max_size=20))
def test_space_and_back(places: list[tuple[float, float]]) -> None:
    """A place that moved on its way through space would be measured from elsewhere."""
    lat, lon = np.array(places).T
    found_lat, found_lon = from_space(to_space(lat, lon))
    _, _, moved = GEOD.inv(lon, lat, found_lon, found_lat)
    assert np.max(moved) < 1e-3


@settings(max_examples=60)
@given(
    st.tuples(LATITUDES, LONGITUDES),
    st.tuples(st.floats(-89.9, 89.9), LONGITUDES),
    st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.4, 0.4)), min_size=1, max_size=4),
)
def test_nearest_of_a_line_agrees_with_the_oracle(
    place: tuple[float, float], begin: tuple[float, float], steps: list[tuple[float, float]]
) -> None:
    """Poles and the antimeridian included; never less than the true distance, as a filter needs."""
    lat = np.clip(begin[0] + np.cumsum([0, *(up for up, _ in steps)]), -90, 90)
    lon = begin[1] + np.cumsum([0, *(across for _, across in steps)])
    lon = (lon + 180) % 360 - 180
    tree = PieceTree(cut_into_pieces(lon, lat, np.zeros(len(lon)), np.zeros(1)))
    here = (np.array([place[0]]), np.array([place[1]]))
    found = tree.nearest(to_space(*here))
    metres = float(geodesic_m(*here, found.foot)[0])
    true_m = oracle_m(place[1], place[0], dense(lon, lat))
    assert metres == pytest.approx(true_m, rel=0.005, abs=30)


def test_many_lines_and_batches_find_the_same() -> None:
    """Bounds from an earlier batch must not hide a nearer piece of a later one."""
    rng = np.random.default_rng(3)
    begin = np.stack([rng.uniform(-180, 180, 400), np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))])
    lon = np.stack([begin[0], begin[0] + rng.uniform(-1, 1, 400)], axis=1).ravel()
    lat = np.clip(np.stack([begin[1], begin[1] + rng.uniform(-1, 1, 400)], axis=1).ravel(), -90, 90)
    line = np.repeat(np.arange(400), 2)
    points = to_space(np.degrees(np.arcsin(rng.uniform(-1, 1, 500))), rng.uniform(-180, 180, 500))
    whole = PieceTree(cut_into_pieces(lon, lat, line, np.arange(400))).nearest(points)
    least = np.full(len(points), np.inf)
    for first in range(0, 400, 50):
        part = slice(2 * first, 2 * first + 100)
        tree = PieceTree(cut_into_pieces(lon[part], lat[part], line[part] - first, np.arange(50)))
        found = tree.nearest(points, least)
        assert np.all((found.owner >= 0) == np.isfinite(found.distance_m))
        least = np.minimum(least, found.distance_m)
    assert np.allclose(least, whole.distance_m, rtol=2 * TOLERANCE)
    pieces = cut_into_pieces(lon, lat, line, np.arange(400))
    exact = np.full(len(points), np.inf)
    for begins, ends in zip(pieces.start, pieces.end, strict=True):
        share = np.clip((points - begins) @ (ends - begins) / np.sum((ends - begins) ** 2), 0, 1)
        feet = begins + share[:, None] * (ends - begins)
        exact = np.minimum(exact, np.linalg.norm(points - feet, axis=1))
    assert np.all(whole.distance_m >= exact - 1e-6)
    assert np.all(whole.distance_m <= exact * (1 + 2 * TOLERANCE) + 1e-6)


def test_pieces_are_short_and_keep_their_owner() -> None:
    """A long piece would lie kilometres below the ground that it stands for."""
    lon = np.array([170.0, -170.0, 10.0, 20.0, 20.5])
    lat = np.array([60.0, 60.0, 5.0, 0.0, 0.0])
    pieces = cut_into_pieces(lon, lat, np.array([0, 0, 1, 2, 2]), np.array([7, 8, 9]))
    lengths = np.linalg.norm(pieces.end - pieces.start, axis=1)
    assert lengths.max() <= PIECE_M * 1.01
    assert set(pieces.owner.tolist()) == {7, 8, 9}
    assert lengths[pieces.owner == 8].tolist() == [0.0]  # one vertex is a point
    # Twenty degrees along the parallel of 60, not three hundred and forty.
    assert lengths[pieces.owner == 7].sum() == pytest.approx(1_116_000, rel=0.01)


def test_no_pieces_is_no_distance() -> None:
    """A batch may have no feature of an order class."""
    empty = np.empty(0)
    tree = PieceTree(cut_into_pieces(empty, empty, empty, empty))
    found = tree.nearest(to_space([0.0], [0.0]))
    assert np.isinf(found.distance_m[0])
    assert found.owner[0] == -1
