"""Boxes around circles against geodesics that PROJ walks."""

from __future__ import annotations

import pyproj
from hypothesis import example, given
from hypothesis import strategies as st

from atlas.geo.circles import CircleBox, box_of_circle

WGS84 = pyproj.Geod(ellps="WGS84")


def holds(box: CircleBox, latitude: float, longitude: float) -> bool:
    """Whether a place is in a box."""
    across = any(west <= longitude <= east for west, east in box.longitudes)
    return box.south <= latitude <= box.north and across


@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    radius_m=st.floats(0.01, 2.01e7),
    azimuth=st.floats(-180, 180),
    part=st.floats(0, 1),
)
@example(latitude=0.0, longitude=180.0, radius_m=1.0, azimuth=90.0, part=1.0)
@example(latitude=0.0, longitude=-180.0, radius_m=1.0, azimuth=-90.0, part=1.0)
@example(latitude=-17.8, longitude=179.9, radius_m=50_000.0, azimuth=90.0, part=0.99)
@example(latitude=89.9999, longitude=0.0, radius_m=11.0, azimuth=0.0, part=1.0)
@example(latitude=89.5, longitude=0.0, radius_m=50_000.0, azimuth=90.0, part=1.0)
@example(latitude=-60.0, longitude=10.0, radius_m=3e6, azimuth=120.0, part=1.0)
def test_no_place_of_a_circle_lies_outside_its_box(
    latitude: float, longitude: float, radius_m: float, azimuth: float, part: float
) -> None:
    """A record outside would be missing from an answer, and nobody would see it."""
    box = box_of_circle(latitude, longitude, radius_m)
    walked = 0.999999 * part * radius_m
    east, north, _ = WGS84.fwd(longitude, latitude, azimuth, walked)
    assert holds(box, north, east)
    for west, end in box.longitudes:
        assert -180 <= west <= end <= 180
    assert -90 <= box.south <= box.north <= 90


@given(latitude=st.floats(-70, 70), longitude=st.floats(-180, 180))
def test_a_town_leaves_little_of_the_earth(latitude: float, longitude: float) -> None:
    """A box that held everything would never be wrong, and would narrow nothing."""
    box = box_of_circle(latitude, longitude, 30_000.0)
    width = sum(east - west for west, east in box.longitudes)
    assert box.north - box.south < 0.55
    assert width < 2.0
    sides = [(5.0, latitude), (-5.0, latitude)]
    assert not any(holds(box, north, (longitude + east + 180) % 360 - 180) for east, north in sides)


def test_a_circle_that_reaches_far_has_every_longitude() -> None:
    """Beside a pole all longitudes are near."""
    whole = ((-180.0, 180.0),)
    assert box_of_circle(89.9, 10.0, 50_000.0) == (89.9 - 50_000 / 110_500, 90.0, whole)
    assert box_of_circle(0.0, 10.0, float("inf")) == (-90.0, 90.0, whole)
    assert box_of_circle(89.0, 10.0, 1e5).longitudes == whole
    assert len(box_of_circle(0.0, 179.9, 50_000.0).longitudes) == 2
