"""Which rows lie in a box or a polygon, from the segments' places in order.

Their coordinates alone are asked for, as a map shows them, whatever their uncertainty. Threads:
safe from any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.geo.place_order import PlaceOrder
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.search.filters import Filter
from atlas.search.place_statements import Passing, Rows
from atlas.search.selection import Selection
from atlas.search.set_operations import both
from atlas.search.surroundings import OfCoordinates

ScalarT = TypeVar("ScalarT", bound=np.generic)
# From one passing row in so many they are marked one by one; fewer are put in order.
_BITS_FROM_ONE_IN = 64


def shapes_of(asked: Filter) -> Iterator[BoundingBox | Polygon]:
    """The box and the polygon of a filter; InvalidQuery names the field where it is none."""
    if asked.bbox is not None:
        yield BoundingBox(*asked.bbox)
    if asked.polygon is not None:
        yield Polygon.from_geojson(msgspec.to_builtins(asked.polygon))


def without_shapes(asked: Filter) -> Filter:
    """The same filter without its box and polygon."""
    return msgspec.structs.replace(asked, bbox=None, polygon=None)


class LiesIn(OfCoordinates, frozen=True, kw_only=True, eq=False):
    """The statement that a record's coordinates lie in a shape: rows that do, a segment."""

    inside: tuple[Selection, ...]

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment lie in it."""
        return self.inside[segment].holds(rows)

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """The same: no uncertainty is asked for."""
        return self.passes(segment, rows)

    def passing(self, segment: int, within: Selection) -> Selection:
        """Rows of a segment that lie in it."""
        return both(within, self.inside[segment])

    def possible(self, segment: int, within: Selection) -> Selection:
        """The same."""
        return self.passing(segment, within)

    def number_possible(self, segment: int) -> int:
        """How many lie in it."""
        return self.inside[segment].count


class LocatedRows:
    """Segments that keep their places in order."""

    def __init__(self, orders: Sequence[tuple[int, PlaceOrder]]) -> None:
        """The rows of each segment and their places."""
        self._orders = tuple(orders)

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> LocatedRows | None:
        """None where some segment was made before places were kept in order."""
        orders = [(segment.rows, segment.place_order) for segment in segments]
        known = [(rows, order) for rows, order in orders if order is not None]
        return cls(known) if len(known) == len(orders) else None

    def inside(self, shape: BoundingBox | Polygon) -> LiesIn:
        """The rows whose coordinates lie in a shape, edges included."""
        return LiesIn(inside=tuple(_selection(order, rows, shape) for rows, order in self._orders))


def _selection(order: PlaceOrder, rows: int, shape: BoundingBox | Polygon) -> Selection:
    box = shape.bounds()
    runs = order.runs(box.south, box.north, tuple(_longitudes(box)))

    def joined(column: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        return np.concatenate([column[:0], *(column[run] for run in runs)])

    latitude = joined(order.latitude)
    if isinstance(shape, BoundingBox):
        inside = (latitude >= box.south) & (latitude <= box.north)  # and so are the longitudes
    else:
        inside = shape.contains(latitude, joined(order.longitude))
    chosen = joined(order.row)[inside]
    if len(chosen) * _BITS_FROM_ONE_IN < rows:
        return Selection.of_positions(np.sort(chosen).astype(np.int64), rows)
    mask = np.zeros(rows, np.bool_)
    mask[chosen] = True
    return Selection.of_mask(mask)


def _longitudes(box: BoundingBox) -> Iterator[tuple[float, float]]:
    """Ranges of longitudes, apart from each other; -180 and 180 degrees are one meridian."""
    parts = [(part.west, part.east) for part in box.parts()]
    yield from parts
    edges = {edge for part in parts for edge in part}
    for seam in (-180.0, 180.0):
        if -seam in edges and seam not in edges:
            yield seam, seam
