"""Boxes of degrees that hold a circle on the WGS84 ellipsoid, for narrowing a search. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from atlas.geo.distance import EQUATOR_M

# Less than the shortest degree of latitude on the ellipsoid, 110,574 m.
DEGREE_M = 110_500.0
_WHOLE = ((-180.0, 180.0),)
# Rounding of a longitude is far below this; on the ground it is a tenth of a millimetre.
_MARGIN_DEGREES = 1e-9


class CircleBox(NamedTuple):
    """Degrees, ends included; two ranges of longitudes where it crosses the antimeridian."""

    south: float
    north: float
    longitudes: tuple[tuple[float, float], ...]


def box_of_circle(latitude: float, longitude: float, radius_m: float) -> CircleBox:
    """A box that holds every place within a geodesic distance of a point, poles included.

    No path of length r leaves the latitudes within r / 110,500 degrees, for each of its metres is
    at least what it gains on the meridian. There a degree of longitude is nowhere shorter than
    a cos(furthest latitude) pi / 180, because the ellipsoid's normal is at least a. So the box is
    a little wider than the narrowest one, and never narrower.
    """
    reach = radius_m / DEGREE_M
    furthest = abs(latitude) + reach
    south, north = max(-90.0, latitude - reach), min(90.0, latitude + reach)
    if furthest >= 90.0:
        return CircleBox(south, north, _WHOLE)
    half = math.degrees(radius_m / (EQUATOR_M * math.cos(math.radians(furthest))))
    half += _MARGIN_DEGREES
    if half >= 180.0:
        return CircleBox(south, north, _WHOLE)
    west, east = longitude - half, longitude + half
    if west <= -180.0:
        return CircleBox(south, north, ((-180.0, east), (west + 360.0, 180.0)))
    if east >= 180.0:
        return CircleBox(south, north, ((-180.0, east - 360.0), (west, 180.0)))
    return CircleBox(south, north, ((west, east),))
