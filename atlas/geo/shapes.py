"""Boxes and polygons that a question may be limited to, in degrees of longitude and latitude.

Edges are straight lines in degrees, as GeoJSON has them. Knows nothing of cells or records.
Both types are immutable; any thread may call them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from atlas.errors import InvalidQuery

Flags = NDArray[np.bool_]
MAX_VERTICES = 5_000
# A map that has been dragged once around gives longitudes up to here; beyond it they are a mistake.
MAX_LONGITUDE_DEG = 540.0
WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


class BoundingBox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A box between two meridians and two parallels, edges included.

    `west` greater than `east` crosses the antimeridian. Longitudes beyond 180 degrees, as a map
    that was dragged around gives them, are brought back; 360 degrees or more are the whole circle.
    """

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        """Raise `InvalidQuery` for numbers that are no box; bring longitudes into [-180, 180]."""
        field = "filter.bbox"
        edges = (self.west, self.south, self.east, self.north)
        if not all(math.isfinite(edge) for edge in edges):
            raise InvalidQuery(field, "has a number that is not finite")
        if not -90.0 <= self.south <= 90.0 or not -90.0 <= self.north <= 90.0:
            raise InvalidQuery(field, "has a latitude outside -90 to 90")
        if self.south > self.north:
            raise InvalidQuery(field, f"south ({self.south}) is greater than north ({self.north})")
        if max(abs(self.west), abs(self.east)) > MAX_LONGITUDE_DEG:
            raise InvalidQuery(field, f"has a longitude beyond {MAX_LONGITUDE_DEG:.0f} degrees")
        whole = self.east - self.west >= 360.0
        west, east = (-180.0, 180.0) if whole else (_wrapped(self.west), _wrapped(self.east))
        msgspec.structs.force_setattr(self, "west", west)
        msgspec.structs.force_setattr(self, "east", east)

    @classmethod
    def parse(cls, text: str, field: str = "bbox") -> BoundingBox:
        """The box written as `west,south,east,north`; InvalidQuery naming `field` if none is."""
        try:
            west, south, east, north = (float(part) for part in text.split(","))
        except ValueError as error:
            raise InvalidQuery(field, "must be four numbers: west,south,east,north") from error
        try:
            return cls(west=west, south=south, east=east, north=north)
        except InvalidQuery as error:
            raise InvalidQuery(field, error.problem) from error

    def parts(self) -> list[BoundingBox]:
        """Return this box as one or two boxes, none of which crosses the antimeridian."""
        if self.west <= self.east:
            return [self]
        return [
            BoundingBox(self.west, self.south, 180.0, self.north),
            BoundingBox(-180.0, self.south, self.east, self.north),
        ]

    def contains(self, latitude: ArrayLike, longitude: ArrayLike) -> Flags:
        """Return bool[n]: which points lie in the box; NaN lies nowhere.

        -180 and 180 degrees are one meridian. Longitudes must be in [-180, 180].
        """
        lat, lon = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        if self.west <= self.east:
            inside = (lon >= self.west) & (lon <= self.east)
        else:
            inside = (lon >= self.west) | (lon <= self.east)
        if self.west == -180.0 or self.east == 180.0:
            inside |= np.abs(lon) == 180.0
        found: Flags = np.asarray(inside & (lat >= self.south) & (lat <= self.north))
        return found

    @property
    def geometry(self) -> shapely.Geometry:
        """The box as a shapely geometry inside [-180, 180]; a line or point where it is flat."""
        return shapely.union_all([_box_geometry(part) for part in self.parts()])

    def bounds(self) -> BoundingBox:
        """Return the box itself, so that boxes and polygons can be asked alike."""
        return self


class Polygon:
    """A GeoJSON Polygon or MultiPolygon, brought into [-180, 180] and cut at the antimeridian.

    An edge longer than 180 degrees crosses the antimeridian. A ring around a pole holds the pole
    of the hemisphere that most of it lies in. Its edges belong to it.
    """

    __slots__ = ("geometry",)

    geometry: shapely.Geometry

    def __init__(self, geometry: shapely.Geometry) -> None:
        """Take a valid shapely geometry inside [-180, 180]; `from_geojson` reads all others."""
        shapely.prepare(geometry)
        # GEOS builds the index of a prepared geometry at the first question; asking it here makes
        # every later question a read, which threads may share.
        shapely.intersects_xy(geometry, 0.0, 0.0)
        object.__setattr__(self, "geometry", geometry)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: threads share polygons."""
        raise AttributeError(f"Polygon is immutable; {name} cannot be set")

    @classmethod
    def from_geojson(
        cls,
        shape: Mapping[str, Any] | Sequence[Any],
        *,
        max_vertices: int = MAX_VERTICES,
        field: str = "filter.polygon",
    ) -> Polygon:
        """Read a geometry object, or the bare coordinates of a Polygon or MultiPolygon.

        Raises `InvalidQuery` naming `field` for anything that is not one.
        """
        members = _members(shape, field)
        rings = [ring for member in members for ring in member]
        count = sum(len(ring) for ring in rings if isinstance(ring, list | tuple))
        if count > max_vertices:
            raise InvalidQuery(field, f"has {count} vertices; at most {max_vertices} are allowed")
        parts = []
        for member in members:
            outside, *holes = [_ring_geometry(ring, field) for ring in member]
            parts.append(
                shapely.difference(outside, shapely.union_all(holes)) if holes else outside
            )
        whole = shapely.union_all(parts)
        if whole.is_empty or whole.area == 0.0:
            raise InvalidQuery(field, "encloses no area")
        return cls(whole)

    def contains(self, latitude: ArrayLike, longitude: ArrayLike) -> Flags:
        """Return bool[n]: which points lie in the polygon or on its edge; NaN lies nowhere.

        -180 and 180 degrees are one meridian. Longitudes must be in [-180, 180].
        """
        lat, lon = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        inside: Flags = np.asarray(shapely.intersects_xy(self.geometry, lon, lat))
        seam = np.abs(lon) == 180.0
        if seam.any():
            inside = inside | (seam & np.asarray(shapely.intersects_xy(self.geometry, -lon, lat)))
        return inside

    def bounds(self) -> BoundingBox:
        """Return the narrowest box around the polygon; it may cross the antimeridian."""
        boxes = shapely.bounds(shapely.get_parts(self.geometry))
        south, north = float(boxes[:, 1].min()), float(boxes[:, 3].max())
        spans = sorted((float(west), float(east)) for west, east in boxes[:, [0, 2]])
        gaps, reach = [], spans[0][1]
        for west, east in spans[1:]:
            gaps.append((west - reach, west, reach))
            reach = max(reach, east)
        gaps.append((spans[0][0] + 360.0 - reach, spans[0][0], reach))
        _, west, east = max(gaps)
        if west == -180.0 and east == 180.0:
            return BoundingBox(-180.0, south, 180.0, north)
        return BoundingBox(west, south, east, north)


def _wrapped(longitude: float) -> float:
    """Return the same meridian in [-180, 180]; both ends stay as they are."""
    if -180.0 <= longitude <= 180.0:
        return longitude
    return (longitude + 180.0) % 360.0 - 180.0


def _box_geometry(box: BoundingBox) -> shapely.Geometry:
    # GEOS divides by zero on boxes of 1e-309 degrees; less than a tenth of a millimetre is a line.
    wide, high = box.east - box.west > 1e-9, box.north - box.south > 1e-9
    if wide and high:
        return shapely.box(box.west, box.south, box.east, box.north)
    if wide or high:
        far = (box.east if wide else box.west, box.north if high else box.south)
        return shapely.LineString([(box.west, box.south), far])
    return shapely.Point(box.west, box.south)


def _members(shape: Mapping[str, Any] | Sequence[Any], field: str) -> list[Sequence[Any]]:
    """Return the polygons of a geometry object or of bare coordinates, each a list of rings."""
    coordinates: Any = shape
    kind = None
    if isinstance(shape, Mapping):
        kind, coordinates = shape.get("type"), shape.get("coordinates")
        if kind not in {"Polygon", "MultiPolygon"}:
            raise InvalidQuery(field, f"type must be Polygon or MultiPolygon, not {kind!r}")
    depth = _depth(coordinates)
    if depth not in {3, 4} or (
        kind is not None and depth != {"Polygon": 3, "MultiPolygon": 4}[kind]
    ):
        raise InvalidQuery(field, "must hold the coordinates of a GeoJSON Polygon or MultiPolygon")
    members = [coordinates] if depth == 3 else list(coordinates)
    if not all(isinstance(member, list | tuple) and member for member in members):
        raise InvalidQuery(field, "has a member without rings")
    return members


def _depth(coordinates: Any) -> int:  # noqa: ANN401  # whatever JSON a person sent
    depth = 0
    while isinstance(coordinates, list | tuple):
        depth += 1
        if not coordinates or depth > 4:
            return depth if depth > 4 else 0
        coordinates = coordinates[0]
    return depth


def _positions(ring: Any, field: str) -> NDArray[np.float64]:  # noqa: ANN401  # unchecked JSON
    """Return a ring as float64[n, 2] of longitude and latitude, its first position again last."""
    if not isinstance(ring, list | tuple) or len(ring) < 4:
        raise InvalidQuery(field, "a ring needs at least four positions")
    positions = []
    for position in ring:
        if not isinstance(position, list | tuple) or not 2 <= len(position) <= 4:
            raise InvalidQuery(field, "a position is a longitude and a latitude")
        longitude, latitude = position[0], position[1]
        if not (_is_number(longitude) and _is_number(latitude)):
            raise InvalidQuery(field, "a position must be two finite numbers")
        if abs(latitude) > 90.0 or abs(longitude) > MAX_LONGITUDE_DEG:
            raise InvalidQuery(
                field,
                f"position [{longitude}, {latitude}] is out of range (longitude comes first)",
            )
        positions.append((float(longitude), float(latitude)))
    if positions[0] != positions[-1]:
        raise InvalidQuery(field, "a ring must end with the position it begins with")
    return np.array(positions)


def _is_number(value: Any) -> bool:  # noqa: ANN401  # unchecked JSON
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # An integer of hundreds of digits is legal JSON and has no float.
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1_000


def _ring_geometry(ring: Any, field: str) -> shapely.Geometry:  # noqa: ANN401  # unchecked JSON
    """Return the area inside one ring, in [-180, 180]."""
    raw = _positions(ring, field)
    step = np.diff(raw[:, 0])
    # Whole turns are added to the longitudes given, so that these keep every digit.
    turns = np.concatenate(
        ([0.0], np.cumsum(-np.sign(step) * np.ceil((np.abs(step) - 180.0) / 360.0)))
    )
    line = raw + np.stack([360.0 * turns, np.zeros(len(turns))], axis=1)
    around = round((line[-1, 0] - line[0, 0]) / 360.0)
    if abs(around) > 1:
        raise InvalidQuery(field, "a ring winds around the world more than once")
    if around:
        pole = 90.0 if line[:-1, 1].mean() > 0.0 else -90.0
        line = np.concatenate([line, [[line[-1, 0], pole], [line[0, 0], pole]], line[:1]])
    area = shapely.Polygon(line)
    if area.area == 0.0 and np.abs(raw[:, 0]).max() <= 180.0:
        # The corners of the whole world: every edge from -180 to 180 reads as a step of nothing.
        area = shapely.Polygon(raw)
    if not area.is_valid:
        raise InvalidQuery(field, f"a ring is not valid: {shapely.is_valid_reason(area)}")
    return _into_world(area, around=bool(around), field=field)


def _into_world(area: shapely.Geometry, *, around: bool, field: str) -> shapely.Geometry:
    """Bring an area that may reach beyond 180 degrees into [-180, 180]."""
    west, _, east, _ = area.bounds
    if east - west > 360.0 and not around:
        raise InvalidQuery(field, "a ring is wider than the world")
    if west >= -180.0 and east <= 180.0 and not around:
        return area
    first = math.floor((west + 180.0) / 360.0)
    last = math.floor((east + 180.0) / 360.0)
    pieces: Iterable[shapely.Geometry] = (
        shapely.intersection(
            shapely.transform(area, lambda xy, turn=turn: xy - [360.0 * turn, 0]), WORLD
        )
        for turn in range(first, last + 1)
    )
    # Where a ring goes around a pole its two ends meet again; rounding them to a tenth of a
    # millimetre closes the crack of 1e-14 degrees that whole turns leave.
    joined = shapely.union_all(list(pieces), grid_size=1e-9 if around else None)
    return shapely.union_all([part for part in shapely.get_parts(joined) if part.area > 0.0])
