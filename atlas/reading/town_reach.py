"""How far a town is taken to reach from its point: the gazetteer bounds no town. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec
import pyproj

from atlas.reading.places import Box, Place

# Twice the density from which a place is an urban centre (1,500 people to the square kilometre,
# Degree of Urbanisation, UN Statistical Commission 2020) and less than half the mean of the world's
# large urban areas (7,500, Demographia 2006): no town is a disc around its point.
PEOPLE_PER_KM2 = 3_000.0
# Of a smaller circle the uncertainty of many records would leave nothing.
LEAST_REACH_KM = 5
_GEOD = pyproj.Geod(ellps="WGS84")


def with_reaches(places: Iterable[Place], people_per_km2: float) -> Iterator[Place]:
    """The places, every town that has a point with its reach."""
    for place in places:
        if place.kind != "city" or place.latitude is None or place.longitude is None:
            yield place
        elif place.box is None:
            reach = reach_m(place.population, people_per_km2)
            yield msgspec.structs.replace(place, reach_m=reach)
        else:
            reach = to_corners_m(place.latitude, place.longitude, place.box)
            yield msgspec.structs.replace(place, reach_m=reach)


def reach_m(population: int, people_per_km2: float) -> int:
    """Metres from a town's point to its edge, were it a disc of this density.

    In whole kilometres, rounded up, and at least 5: sqrt(population / (pi * density)).
    """
    km = math.sqrt(population / (math.pi * people_per_km2))
    return 1_000 * max(LEAST_REACH_KM, math.ceil(km))


def to_corners_m(latitude: float, longitude: float, box: Box) -> int:
    """Metres from a point to the farthest corner of a box, in whole kilometres, rounded up."""
    west, south, east, north = box
    corners = [(lon, lat) for lon in (west, east) for lat in (south, north)]
    metres = [float(_GEOD.inv(longitude, latitude, lon, lat)[2]) for lon, lat in corners]
    return 1_000 * math.ceil(max(metres) / 1_000)
