"""Making places coarse: the same for everybody who asks, and no finer than promised."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from atlas.geo.cells import RADIUS_M, place, resolution_of
from atlas.species.sensitive import (
    CATEGORIES,
    Category,
    category_of,
    generalise,
    may_lie_in,
    snap_obscured,
)

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)
ROUNDED: tuple[Category, ...] = CATEGORIES[1:]


def one(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """One number as an array."""
    return np.array([value], np.float64)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("withheld", "withheld"),
        (" Withheld ", "withheld"),
        ("1", "1"),
        ("2", "0.1"),
        ("3", "0.01"),
        ("4", "0.001"),
        ("0.1", "0.1"),
        ("0.001", "0.001"),
        ("5", None),
        ("0.2", None),
        ("", None),
    ],
)
def test_categories_by_number_and_by_degrees(text: str, category: str | None) -> None:
    """Would break: a table's category 2 is taken for two degrees, or a slip for no category."""
    assert category_of(text) == category


@pytest.mark.parametrize(
    ("category", "added_m"), [("1", 156_910), ("0.1", 15_691), ("0.01", 1_570), ("0.001", 157)]
)
def test_rounding_adds_its_published_uncertainty(category: Category, added_m: float) -> None:
    """Would break: a rounded place looks as exact as it was (Chapman 2020, added uncertainties)."""
    known = generalise(one(10.12345), one(-84.98765), one(100.0), category)
    unknown = generalise(one(10.12345), one(-84.98765), one(np.nan), category)
    assert known.uncertainty_m[0] == 100.0 + added_m
    assert unknown.uncertainty_m[0] == 30.0 + added_m


def test_rounded_places_by_hand() -> None:
    """Would break: rounding goes to another digit, or to a corner of the grid."""
    for category, expected in (
        ("1", (10.0, -85.0)),
        ("0.1", (10.1, -85.0)),
        ("0.01", (10.12, -84.99)),
        ("0.001", (10.123, -84.988)),
    ):
        found = generalise(one(10.12345), one(-84.98765), one(5.0), category)  # type: ignore[arg-type]
        assert (found.latitude[0], found.longitude[0]) == expected
    hidden = generalise(one(10.12345), one(-84.98765), one(5.0), "withheld")
    assert np.isnan([*hidden.latitude, *hidden.longitude, *hidden.uncertainty_m]).all()


@given(LATITUDES, LONGITUDES, st.sampled_from(ROUNDED))
def test_a_rounded_place_is_coarse_near_and_final(
    latitude: float, longitude: float, category: Category
) -> None:
    """Would break: a place moves further than its uncertainty says, or rounding it again moves it.

    The cell it is stored in holds the uncertainty, so no map draws it finer.
    """
    found = generalise(one(latitude), one(longitude), one(np.nan), category)
    step = float(category)
    assert abs(found.latitude[0] - latitude) <= step / 2 + 1e-9
    assert abs(found.longitude[0] - longitude) <= step / 2 + 1e-9
    assert found.latitude[0] / step == pytest.approx(round(found.latitude[0] / step), abs=1e-6)
    again = generalise(found.latitude, found.longitude, one(np.nan), category)
    assert (again.latitude[0], again.longitude[0]) == (found.latitude[0], found.longitude[0])
    cell = place(found.latitude, found.longitude, found.uncertainty_m, 9)
    resolution = int(resolution_of(cell)[0])
    assert resolution == 0 or RADIUS_M[resolution] >= found.uncertainty_m[0]


@given(LATITUDES, LONGITUDES, st.floats(0, 1), st.floats(0, 1), st.sampled_from(ROUNDED))
def test_all_points_of_a_grid_square_become_one(
    latitude: float, longitude: float, up: float, along: float, category: Category
) -> None:
    """Would break: where in its square a point lay can be told from what is left of it."""
    step = float(category)
    first = generalise(one(latitude), one(longitude), one(np.nan), category)
    inside = generalise(
        np.clip(first.latitude + (up - 0.5) * step * 0.999, -90, 90),
        np.clip(first.longitude + (along - 0.5) * step * 0.999, -180, 180),
        one(np.nan),
        category,
    )
    assert inside.latitude[0] == first.latitude[0]
    assert inside.longitude[0] == first.longitude[0]


def test_records_without_a_place_stay_without() -> None:
    """Would break: a record without coordinates is placed on the null island."""
    for category in CATEGORIES:
        found = generalise(one(np.nan), one(np.nan), one(np.nan), category)
        assert np.isnan([*found.latitude, *found.longitude, *found.uncertainty_m]).all()


@given(st.floats(-89.99, 89.99), st.floats(-179.99, 179.99))
def test_obscured_points_go_to_the_centre_of_their_square(
    latitude: float, longitude: float
) -> None:
    """Would break: random places within a square are mapped as if they were found there."""
    lat, lon = snap_obscured(one(latitude), one(longitude))
    assert abs(lat[0] - latitude) <= 0.1 + 1e-6
    assert abs(lon[0] - longitude) <= 0.1 + 1e-6
    # Centres are the odd tenths.
    assert round(lat[0] * 10) % 2 == 1
    assert round(lon[0] * 10) % 2 == 1
    again = snap_obscured(lat, lon)
    assert (again[0][0], again[1][0]) == (lat[0], lon[0])


def test_a_region_is_asked_of_the_square_not_of_the_point() -> None:
    """Would break: whether a record was rounded says on which side of a border it was found."""
    region = shapely.box(10.0, 0.0, 10.02, 1.0)
    lon = np.array([9.951, 9.999, 10.049, 10.051, 9.949, np.nan])
    lat = np.full(6, 0.5)
    found = may_lie_in(lat, lon, "0.1", region)
    assert found.tolist() == [True, True, True, False, False, False]


def test_a_region_across_the_antimeridian_is_met_from_both_sides() -> None:
    """Would break: a square that reaches over 180 degrees is taken for one outside the region."""
    region = shapely.box(-180.0, 0.0, -179.99, 1.0)
    found = may_lie_in(np.array([0.5, 0.5]), np.array([179.98, 179.8]), "0.1", region)
    assert found.tolist() == [True, False]
