"""Places of sensitive taxa, made coarse: rounded to a grid, never moved at random.

Knows coordinates and categories, nothing of records or files. Pure functions, safe from any thread.

Source: Chapman A. D. (2020), Current Best Practices for Generalizing Sensitive Species Occurrence
Data, GBIF Secretariat; the added uncertainties are those of its tables.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

Numbers = npt.NDArray[np.float64]
Category = Literal["withheld", "1", "0.1", "0.01", "0.001"]

# Strictest first: where several categories hold for a record, the first of them does.
CATEGORIES: tuple[Category, ...] = ("withheld", "1", "0.1", "0.01", "0.001")
_NUMBERED: dict[str, Category] = {"1": "1", "2": "0.1", "3": "0.01", "4": "0.001"}
_DECIMALS: dict[Category, int] = {"1": 0, "0.1": 1, "0.01": 2, "0.001": 3}
# Metres that rounding adds to the uncertainty; one degree in proportion to a tenth of one.
_ADDED_M: dict[Category, float] = {"1": 156_910.0, "0.1": 15_691.0, "0.01": 1_570.0, "0.001": 157.0}
# What a point whose uncertainty is not stated is taken to have before it is rounded.
ASSUMED_UNCERTAINTY_M = 30.0
# iNaturalist places an obscured record at random inside a fixed square of this size.
OBSCURED_SQUARE_DEG = 0.2


class GeneralPlaces(NamedTuple):
    """Points in degrees with their uncertainty in metres, (n,) float64; NaN where there is none."""

    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers


def category_of(text: str) -> Category | None:
    """The category that a table names (`withheld`, 1 to 4, or degrees); None for anything else.

    Category 1 is rounded to one degree, 2 to a tenth, 3 to a hundredth, 4 to a thousandth.
    """
    written = text.strip().casefold()
    if written in _NUMBERED:
        return _NUMBERED[written]
    return next((category for category in CATEGORIES if category == written), None)


def generalise(
    latitude: Numbers, longitude: Numbers, uncertainty_m: Numbers, category: Category
) -> GeneralPlaces:
    """Round points, (n,) degrees, to the category's grid, and add what that adds in uncertainty.

    The same point always gives the same grid point. Points without a place stay without; withheld
    ones lose it, and with it their uncertainty.
    """
    nowhere = np.full(latitude.shape, np.nan)
    if category == "withheld":
        return GeneralPlaces(nowhere, nowhere, nowhere)
    decimals = _DECIMALS[category]
    known = np.where(np.isnan(uncertainty_m), ASSUMED_UNCERTAINTY_M, uncertainty_m)
    placed = ~(np.isnan(latitude) | np.isnan(longitude))
    return GeneralPlaces(
        # Adding zero turns -0.0 into 0.0, which two neighbours of the equator would else differ by.
        np.where(placed, np.round(latitude, decimals) + 0.0, np.nan),
        np.where(placed, np.round(longitude, decimals) + 0.0, np.nan),
        np.where(placed, known + _ADDED_M[category], np.nan),
    )


def may_lie_in(
    latitude: Numbers, longitude: Numbers, category: Category, region: shapely.Geometry
) -> npt.NDArray[np.bool_]:
    """Whether the grid square that each point is rounded from touches a region, bool (n,).

    Asked of the square and not of the point: who knows the region and sees that a record was
    generalised must learn no more than its grid point. Withheld points are asked for by squares
    of one degree. False for a point without a place.
    """
    asked: Category = "1" if category == "withheld" else category
    decimals = _DECIMALS[asked]
    half = 0.5 * 10.0**-decimals
    lat, lon = np.round(latitude, decimals), np.round(longitude, decimals)
    placed = np.flatnonzero(~(np.isnan(lat) | np.isnan(lon)))
    found = np.zeros(latitude.shape, bool)
    squares = shapely.box(
        lon[placed] - half, lat[placed] - half, lon[placed] + half, lat[placed] + half
    )
    shapely.prepare(region)
    touches = shapely.intersects(region, squares)
    for turn in (-360.0, 360.0):  # a square at the antimeridian reaches round to the other side
        around = np.abs(lon[placed] + turn) <= 180.0 + half
        moved = shapely.box(
            lon[placed][around] + turn - half,
            lat[placed][around] - half,
            lon[placed][around] + turn + half,
            lat[placed][around] + half,
        )
        touches[around] |= shapely.intersects(region, moved)
    found[placed] = touches
    return found


def snap_obscured(latitude: Numbers, longitude: Numbers) -> tuple[Numbers, Numbers]:
    """The centres, (n,) degrees, of the squares of 0.2 degrees that obscured points lie in.

    The point within the square is random and means nothing, so all records of one square are given
    one place. NaN stays NaN.
    """
    snapped = []
    for degrees, limit in ((latitude, 90.0), (longitude, 180.0)):
        # Five squares a degree: their edges are numbers that no rounding moves.
        centre = np.round(np.floor(degrees / OBSCURED_SQUARE_DEG + 1e-9) / 5.0 + 0.1, 1)
        snapped.append(np.clip(centre, -limit + 0.1, limit - 0.1))
    return snapped[0], snapped[1]
