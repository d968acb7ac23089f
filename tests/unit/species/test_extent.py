"""Extent and occupancy: published values where they are present, and oracles of our own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from pyproj import Geod

from atlas.species.extent import area_of_occupancy_km2, extent_of_occurrence_km2

GEOD = Geod(ellps="WGS84")

latitudes = st.floats(-90, 90, allow_nan=False)
longitudes = st.floats(-180, 180, allow_nan=False)
points = st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=12)


def _extent(lat: ArrayLike, lon: ArrayLike) -> float:
    found = extent_of_occurrence_km2(lat, lon)
    assert found is not None
    return found


def _geodesic_km2(lat: list[float], lon: list[float]) -> float:
    return abs(float(GEOD.polygon_area_perimeter(lon, lat)[0])) / 1e6


def test_published_values(shared_data: Path) -> None:
    """ConR's vignette: the extent to 1 km², the occupancy to a cell or two of another grid."""
    text = (shared_data / "estimators" / "conr_public.json").read_text(encoding="utf-8")
    for taxon in json.loads(text)["taxa"].values():
        lat, lon = np.array(taxon["latlon"]).T
        published = taxon["published_ConR"]
        assert round(_extent(lat, lon)) == published["EOO_km2"]
        assert abs(area_of_occupancy_km2(lat, lon) - published["AOO_km2"]) <= 2 * 4


def test_a_hull_is_the_geodesic_polygon_of_its_corners() -> None:
    """Inner points and repeated ones add nothing; the corners' polygon has the area."""
    lat, lon = [10.0, 30.0, 25.0, -5.0], [0.0, 5.0, 40.0, 30.0]
    inner = [(12.0, 20.0), (10.0, 0.0), (15.0, 15.0)]
    found = _extent([*lat, *(p[0] for p in inner)], [*lon, *(p[1] for p in inner)])
    assert found == pytest.approx(_geodesic_km2(lat, lon))


@pytest.mark.parametrize("west", [-180.0, -171.0, 171.0, 179.9, 0.0])
def test_the_antimeridian_cuts_nothing(west: float) -> None:
    """The same shape has the same extent and occupancy wherever it lies along its parallel."""
    # Steps that move the grid's columns by whole cells, so that occupancy is comparable.
    lat = np.array([-18.0, -17.0, -19.0, -16.5])
    turns = np.array([0, 300, 500, 900]) * 360.0 / 17_367 + 1e-4
    lon = (np.round(west / (360.0 / 17_367)) * 360.0 / 17_367 + turns + 180.0) % 360.0 - 180.0
    expected_lon = turns
    assert _extent(lat, lon) == pytest.approx(_extent(lat, expected_lon), rel=1e-9)
    assert area_of_occupancy_km2(lat, lon) == area_of_occupancy_km2(lat, expected_lon) == 16.0


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_range_over_a_pole_holds_the_pole(side: float) -> None:
    """Points around a pole: the area up to it, not the sliver along their parallel."""
    lon = np.arange(-180.0, 180.0, 5.0)
    found = _extent(list(np.full(72, 70.0 * side)), list(lon))
    cap = 2.0 * np.pi * 6371.007**2 * (1.0 - np.sin(np.radians(70.0)))
    assert found == pytest.approx(cap, rel=0.01)
    assert _extent([*np.full(72, 70.0 * side), 90.0 * side], [*lon, 12.0]) == pytest.approx(found)


def test_beside_the_pole_longitudes_say_nothing() -> None:
    """A small triangle that does not hold the pole, on meridians a third of a turn apart."""
    found = _extent([89.9, 89.5, 89.9], [0.0, 60.0, 120.0])
    assert found == pytest.approx(_geodesic_km2([89.9, 89.5, 89.9], [0.0, 60.0, 120.0]), rel=1e-6)


def test_a_belt_around_the_world_keeps_to_its_parallels() -> None:
    """More than half a turn wide, and more than half the Earth: neither may turn inside out."""
    lon = np.arange(-180.0, 180.0, 20.0)
    both = np.concatenate([lon, lon])
    sphere = 4.0 * np.pi * 6371.007**2
    for degrees in (15.0, 80.0):
        lat = np.repeat([-degrees, degrees], len(lon))
        belt = sphere * np.sin(np.radians(degrees)) * 340.0 / 360.0
        assert _extent(list(lat), list(both)) == pytest.approx(belt, rel=0.006)


def test_too_few_points_and_points_in_a_line() -> None:
    """Two places have no extent; three in a line have none of their own, but never below AOO."""
    assert extent_of_occurrence_km2([], []) is None
    assert extent_of_occurrence_km2([1.0, 2.0, 1.0], [5.0, 5.0, 5.0]) is None
    assert extent_of_occurrence_km2([1.0, 2.0, 1.0], [180.0, 5.0, -180.0]) is None
    assert extent_of_occurrence_km2([0.0, 1.0, 2.0], [5.0, 5.0, 5.0]) == 12.0


def test_occupancy_by_hand() -> None:
    """Points within one cell count once, at whatever side of a fixed grid's line they lie."""
    assert area_of_occupancy_km2([], []) == 0.0
    # 0.009° of latitude at the equator is 1 km, so the four lie within 1.5 km of each other, and
    # half-kilometre origins find a cell that holds them all.
    around = np.array([0.0, 0.009, 0.009, 0.0]) + 12.3456
    assert area_of_occupancy_km2(around, np.array([0.0, 0.0, 0.009, 0.009])) == 4.0
    apart = np.arange(25) * 1.0
    assert area_of_occupancy_km2(np.zeros(25), apart) == 100.0


@pytest.mark.parametrize(("lat", "lon"), [([91.0], [0.0]), ([0.0], [181.0]), ([np.nan], [0.0])])
def test_coordinates_out_of_range_are_refused(lat: list[float], lon: list[float]) -> None:
    """A wrapped or unknown coordinate would give an extent that looks right."""
    with pytest.raises(ValueError, match="out of range"):
        area_of_occupancy_km2(lat, lon)
    with pytest.raises(ValueError, match="out of range"):
        extent_of_occurrence_km2(lat, lon)


@given(points)
def test_extent_is_never_below_occupancy_nor_above_the_earth(
    places: list[tuple[float, float]],
) -> None:
    """Whatever the points; below three different ones there is no extent."""
    lat, lon = (list(values) for values in zip(*places, strict=True))
    occupied = area_of_occupancy_km2(lat, lon)
    extent = extent_of_occurrence_km2(lat, lon)
    assert 4.0 <= occupied <= 4.0 * len(places)
    if extent is None:
        assert len(set(places)) <= 3
    else:
        assert occupied <= extent <= 510_065_622.0


@given(points, latitudes, longitudes)
def test_another_record_never_shrinks_the_occupancy(
    places: list[tuple[float, float]], lat: float, lon: float
) -> None:
    """The grid is fixed, so cells stay occupied whatever is added."""
    lats, lons = (list(values) for values in zip(*places, strict=True))
    before = area_of_occupancy_km2(lats, lons)
    assert area_of_occupancy_km2([*lats, lat], [*lons, lon]) >= before


@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(-60, 60)), min_size=3, max_size=12),
    st.floats(-180, 180),
)
def test_the_extent_does_not_depend_on_where_longitudes_begin(
    places: list[tuple[float, float]], turn: float
) -> None:
    """Turning the Earth under a range of less than half a turn changes nothing."""
    lat, lon = (np.array(values) for values in zip(*places, strict=True))
    turned = (lon + turn + 180.0) % 360.0 - 180.0
    before, after = extent_of_occurrence_km2(lat, lon), extent_of_occurrence_km2(lat, turned)
    if before is not None and after is not None and before > 1000.0:
        assert after == pytest.approx(before, rel=1e-6)
