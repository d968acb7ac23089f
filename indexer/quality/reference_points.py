"""Points at which a record is doubtful: centroids and capitals of countries, and institutions.

Countries come from the package `countryinfo` (MIT); a plan may add points of its own. Read once a
build; the points never change, so any process may use them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from countryinfo import all_countries

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from atlas.geo.cells import EARTH_RADIUS_KM
from indexer.quality.rule_table import rules_in

Numbers = npt.NDArray[np.float64]
KINDS = {
    "centroid": Flag.ON_COUNTRY_CENTROID,
    "capital": Flag.ON_CAPITAL,
    "institution": Flag.ON_INSTITUTION,
}
_COLUMNS = ("kind", "name", "latitude", "longitude", "radius_m")
_METRES_PER_DEG = math.radians(EARTH_RADIUS_KM * 1000.0)
# Capitals that the package places in another country, or in the middle of their own: compared with
# GeoNames, 18 of 246 lay more than 10 km away, the others no more.
_CAPITALS = {
    "AI": (18.217, -63.058),
    "AG": (17.121, -61.843),
    "BR": (-15.780, -47.930),
    "DJ": (11.589, 43.145),
    "TL": (-8.559, 125.574),
    "GD": (12.053, -61.752),
    "LU": (49.610, 6.133),
    "IM": (54.150, -4.483),
    "ME": (42.441, 19.263),
    "MS": (16.706, -62.213),
    "NF": (-29.055, 167.966),
    "OM": (23.584, 58.408),
    "RE": (-20.882, 55.450),
    "RW": (-1.950, 30.059),
    "SH": (-15.925, -5.718),
    "PM": (46.779, -56.177),
    "TZ": (-6.172, 35.739),
    "TN": (36.819, 10.166),
}


class ReferencePoints(NamedTuple):
    """Points in degrees, the radius of each in metres, and the flag of records within it, (n,)."""

    latitude: Numbers
    longitude: Numbers
    radius_m: Numbers
    flag: npt.NDArray[np.int32]

    def flags_at(self, latitude: Numbers, longitude: Numbers) -> npt.NDArray[np.int32]:
        """Flags of points, (n,) degrees; none for NaN.

        Each reference point looks only at the rows in its own band of latitude.
        """
        order = np.argsort(latitude, kind="stable")  # NaN comes last
        lat, lon = latitude[order], longitude[order]
        reach = self.radius_m / _METRES_PER_DEG
        first = np.searchsorted(lat, self.latitude - reach, side="left")
        last = np.searchsorted(lat, self.latitude + reach, side="right")
        found = np.zeros(len(lat), np.int32)
        for at in np.flatnonzero(first < last).tolist():
            band = slice(int(first[at]), int(last[at]))
            metres = _metres(lat[band], lon[band], self.latitude[at], self.longitude[at])
            found[band][metres <= self.radius_m[at]] |= self.flag[at]
        flags = np.empty(len(lat), np.int32)
        flags[order] = found
        return flags


def reference_points(path: Path | None, *, centroid_m: float, capital_m: float) -> ReferencePoints:
    """The points of all countries, within the radii given (0: none), and those of a plan's file.

    Raises PlanError with file and line where a row of the file cannot be read.
    """
    rows = [*_countries(centroid_m, capital_m)]
    if path is not None:
        rows += (_row_of(path, line, row) for line, row in rules_in(path, _COLUMNS))
    places = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    flags = np.array([row[3] for row in rows], np.int32)
    return ReferencePoints(places[:, 0], places[:, 1], places[:, 2], flags)


Row = tuple[float, float, float, int]


def _countries(centroid_m: float, capital_m: float) -> Iterator[Row]:
    for country in all_countries():
        known: Mapping[str, Any] = country.info()
        for lat, lon in _centroids(known) if centroid_m else ():
            yield lat, lon, centroid_m, int(Flag.ON_COUNTRY_CENTROID)
        for lat, lon in _capitals(known) if capital_m else ():
            yield lat, lon, capital_m, int(Flag.ON_CAPITAL)


def _centroids(country: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """The rounded centre that gazetteers give, and the centroid of the country's outline."""
    yield from _pairs(country.get("latlng"))
    for feature in (country.get("geoJSON") or {}).get("features", ()):
        centre = shapely.geometry.shape(feature["geometry"]).centroid
        if not centre.is_empty:
            yield centre.y, centre.x


def _capitals(country: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    corrected = _CAPITALS.get(str((country.get("ISO") or {}).get("alpha2")))
    yield from _pairs(corrected or country.get("capital_latlng"))


def _pairs(value: Any) -> Iterator[tuple[float, float]]:  # noqa: ANN401 - of somebody else's JSON
    """Latitude and longitude, or several of them: a few countries have more than one capital."""
    if not value:
        return
    for lat, lon in value if isinstance(value[0], list) else [value]:
        yield float(lat), float(lon)


def _row_of(path: Path, line: int, row: dict[str, str]) -> Row:
    flag = KINDS.get((row["kind"] or "").strip())
    if flag is None:
        raise PlanError(path, f"`kind` is {row['kind']!r}, not one of {', '.join(KINDS)}", line)
    try:
        lat, lon, radius_m = (float(row[name]) for name in ("latitude", "longitude", "radius_m"))
    except (TypeError, ValueError) as error:
        raise PlanError(path, f"a coordinate or the radius is no number: {error}", line) from error
    if not (abs(lat) <= 90 and abs(lon) <= 180 and 0 < radius_m <= 100_000):
        raise PlanError(path, "is no point on the globe with a radius of up to 100 km", line)
    return lat, lon, radius_m, int(flag)


def _metres(lat: Numbers, lon: Numbers, to_lat: float, to_lon: float) -> Numbers:
    """Great-circle distances from points to one point (haversine, on the sphere of H3's areas)."""
    half_lat = np.radians(lat - to_lat) / 2.0
    half_lon = np.radians(lon - to_lon) / 2.0
    across = np.cos(np.radians(lat)) * math.cos(math.radians(to_lat)) * np.sin(half_lon) ** 2
    metres: Numbers = 2000.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.sin(half_lat) ** 2 + across))
    return metres
