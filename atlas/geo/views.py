"""Where a picture of a map looks: a projection, the part of the plane shown, what lies inside.

The projections keep areas: a map of counts by cell must not blow up the poles. Knows nothing of
colours or records. Immutable; any thread.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike
from pyproj import Transformer

from atlas.geo.outlines import Floats, Geometries, Integers
from atlas.geo.shapes import BoundingBox

# A region that reaches further around the earth bends too much: the whole earth is drawn then.
_REGION_REACH_DEG = 70.0
# Lines that are straight in degrees are drawn in pieces of this length: curves in the plane.
_PIECE_DEG = 1.0
_MARGIN = 0.08
_LEAST_HALF_WIDTH_M = 120_000.0
_EDGE_POINTS = 60
_EDGE_DEG = 1e-7
_POLAR_DEG = 80.0
# Height over width: a picture is never a strip.
_FLATTEST, _STEEPEST = 0.5, 0.9
# The whole earth is turned so that a range across the antimeridian is in one piece, where a gap in
# longitude is left that is at least so wide.
_LEAST_GAP_DEG = 60.0
_TURN_STEP_DEG = 30.0


class View(NamedTuple):
    """A rectangle of the projected plane, in metres, and the degrees that it shows.

    `west` and `east` are continuous: they may lie beyond 180 degrees.
    """

    projection: str
    left: float
    bottom: float
    right: float
    top: float
    west: float
    south: float
    east: float
    north: float

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.top - self.bottom) / (self.right - self.left)

    @property
    def width_m(self) -> float:
        """Width in metres, true to scale in the middle of the map."""
        return self.right - self.left

    @property
    def whole_earth(self) -> bool:
        """Whether every longitude and latitude is shown."""
        return self.east - self.west >= 360.0 and self.north - self.south >= 180.0

    @property
    def box(self) -> BoundingBox:
        """The degrees shown; may cross the antimeridian."""
        if self.east - self.west >= 360.0:
            return BoundingBox(-180.0, self.south, 180.0, self.north)
        return BoundingBox(self.west, self.south, self.east, self.north)

    def plane(self, longitude: ArrayLike, latitude: ArrayLike) -> tuple[Floats, Floats]:
        """Metres in the plane of points in degrees."""
        lon = np.asarray(longitude, np.float64)
        # Both edges of the whole earth are one meridian, which would be drawn on one side only.
        lon = np.where(np.abs(lon - self.west) < _EDGE_DEG, self.west + _EDGE_DEG, lon)
        lon = np.where(np.abs(lon - self.east) < _EDGE_DEG, self.east - _EDGE_DEG, lon)
        x, y = _transformer(self.projection).transform(lon, latitude)
        return x, y

    def projected(self, shapes: Geometries) -> tuple[Geometries, Integers]:
        """What the view shows of polygons or lines in degrees from -180 to 180, in metres.

        Returns the pieces, cut at the view's edge, and the index of the shape each belongs to.
        """
        frame = shapely.box(self.west, self.south, self.east, self.north)
        bounds = shapely.bounds(shapes)
        pieces, owners = [], []
        for turn in (-360.0, 0.0, 360.0):
            west, south, east, north = bounds.T + np.array([[turn], [0.0], [turn], [0.0]])
            shown = (west < self.east) & (east > self.west)
            index = np.flatnonzero(shown & (south < self.north) & (north > self.south))
            moved = shapely.transform(shapes[index], lambda xy, turn=turn: np.add(xy, [turn, 0.0]))
            inside = (west >= self.west) & (east <= self.east)
            cut = ~(inside & (south >= self.south) & (north <= self.north))[index]
            moved[cut] = shapely.intersection(moved[cut], frame)
            pieces.append(moved)
            owners.append(index)
        parts, place = shapely.get_parts(np.concatenate(pieces), return_index=True)
        whole = ~shapely.is_empty(parts)
        dense = shapely.segmentize(parts[whole], _PIECE_DEG)
        found = shapely.transform(dense, lambda xy: np.stack(self.plane(*xy.T), axis=1))
        return found, np.concatenate(owners)[place[whole]]

    def frame(self) -> shapely.Geometry:
        """The edge of what is shown: the rectangle, or the outline of the whole earth."""
        if not self.whole_earth:
            return shapely.box(self.left, self.bottom, self.right, self.top)
        degrees = shapely.box(self.west, self.south, self.east, self.north)
        dense = shapely.segmentize(degrees, _PIECE_DEG)
        return shapely.transform(dense, lambda xy: np.stack(self.plane(*xy.T), axis=1))


def view_of(latitude: Floats, longitude: Floats, *, margin: float = _MARGIN) -> View:
    """The view that shows all of these points with a margin around them.

    One side of the earth in Lambert's azimuthal projection; where the points reach further, or
    there are none, the whole earth in Equal Earth (Šavrič, Patterson & Jenny 2019).
    """
    if not len(latitude):
        return _whole_earth(0.0)
    phi, theta = np.radians(latitude), np.radians(longitude)
    vectors = np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)])
    middle = vectors.mean(axis=1)
    length = float(np.linalg.norm(middle))
    reach = np.degrees(np.arccos(np.clip(middle @ vectors / max(length, 1e-9), -1.0, 1.0)).max())
    if length < 1e-6 or reach > _REGION_REACH_DEG:
        return _whole_earth(_turn(longitude))
    centre_latitude = float(np.degrees(np.arcsin(middle[2] / length)))
    # Beside a pole every meridian is as good as another: Greenwich points down, or up.
    near_pole = abs(centre_latitude) > _POLAR_DEG
    centre_longitude = 0.0 if near_pole else float(np.degrees(np.arctan2(middle[1], middle[0])))
    projection = f"+proj=laea +lat_0={centre_latitude:.3f} +lon_0={centre_longitude:.3f}"
    x, y = _transformer(projection).transform(longitude, latitude)
    span = max(float(np.ptp(x)), float(np.ptp(y)))
    pad = margin * span
    half_width = max(np.ptp(x) / 2.0 + pad, _LEAST_HALF_WIDTH_M if margin else 1.0)
    half_height = np.ptp(y) / 2.0 + pad
    half_height = float(np.clip(half_height, _FLATTEST * half_width, None))
    half_width = max(half_width, half_height / _STEEPEST)
    x_middle, y_middle = (float((values.min() + values.max()) / 2.0) for values in (x, y))
    return _region(
        projection,
        centre_longitude,
        x_middle - half_width,
        y_middle - half_height,
        x_middle + half_width,
        y_middle + half_height,
    )


def view_of_box(box: BoundingBox) -> View:
    """The view that shows all of a box, without a margin."""
    longitude, latitude = [], []
    for part in box.parts():
        edge = shapely.box(part.west, part.south, max(part.east, part.west + 1e-6), part.north)
        points = shapely.get_coordinates(shapely.segmentize(edge, _PIECE_DEG))
        longitude.append(points[:, 0])
        latitude.append(points[:, 1])
    return view_of(np.concatenate(latitude), np.concatenate(longitude), margin=0.0)


def _region(
    projection: str,
    centre_longitude: float,
    left: float,
    bottom: float,
    right: float,
    top: float,
) -> View:
    """A view of one side of the earth; its degrees are read off the rectangle's edge."""
    edge = shapely.get_coordinates(
        shapely.segmentize(
            shapely.box(left, bottom, right, top), max(right - left, top - bottom) / _EDGE_POINTS
        )
    )
    longitude, latitude = _transformer(projection).transform(
        edge[:, 0], edge[:, 1], direction="INVERSE"
    )
    west, east = _arc(longitude)
    south, north = float(latitude.min()), float(latitude.max())
    for pole in (-90.0, 90.0):
        x, y = _transformer(projection).transform(centre_longitude, pole)
        if left <= x <= right and bottom <= y <= top:
            west, east = centre_longitude - 180.0, centre_longitude + 180.0
            south, north = (pole, north) if pole < 0.0 else (south, pole)
    return View(projection, left, bottom, right, top, west, south, east, north)


def _arc(longitude: Floats) -> tuple[float, float]:
    """The shortest arc, west and east, that holds all longitudes; `east` may lie beyond 180.

    Not the least and the greatest: a rectangle beyond the pole from its map's central meridian has
    that meridian's opposite inside it, and would be cut there.
    """
    ordered = np.unique((longitude + 180.0) % 360.0 - 180.0)
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    last = int(gaps.argmax())
    west = float(ordered[(last + 1) % len(ordered)])
    return west, west + 360.0 - float(gaps[last])


def _whole_earth(centre_longitude: float) -> View:
    projection = f"+proj=eqearth +lon_0={centre_longitude:.0f}"
    right, _ = _transformer(projection).transform(centre_longitude + 179.999_999, 0.0)
    _, top = _transformer(projection).transform(centre_longitude, 90.0)
    margin = 0.01 * right
    return View(
        projection,
        -right - margin,
        -top - margin,
        right + margin,
        top + margin,
        centre_longitude - 180.0,
        -90.0,
        centre_longitude + 180.0,
        90.0,
    )


def _turn(longitude: Floats) -> float:
    """Central meridian of the whole earth: Greenwich, unless that would cut the range in two."""
    ordered = np.unique(longitude)
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    widest = int(gaps.argmax())
    gap_west, gap_east = float(ordered[widest]), float(ordered[widest] + gaps[widest])
    if gaps[widest] < _LEAST_GAP_DEG or gap_west <= 180.0 <= gap_east:
        return 0.0
    middle = (gap_west + gap_east) / 2.0 + 180.0
    turned = round(middle / _TURN_STEP_DEG) * _TURN_STEP_DEG
    return (turned + 180.0) % 360.0 - 180.0


@lru_cache(maxsize=256)
def _transformer(projection: str) -> Transformer:
    return Transformer.from_crs(
        "EPSG:4326", f"{projection} +datum=WGS84 +units=m +type=crs", always_xy=True
    )
