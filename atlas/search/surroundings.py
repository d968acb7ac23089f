"""Which records lie within a distance of a point, wherever in their uncertainty they were.

Knows no layer. Threads: safe from any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.manifest import LayerEntry
from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.geo.distance import geodesic_m, most_m, to_space
from atlas.search.place_filters import Around, PlaceFilter
from atlas.search.place_sources import Numbers, Ranges, RowIds, place_source
from atlas.search.place_statements import Passing, Rows
from atlas.search.recorded_places import RecordedPlaces
from atlas.search.selection import Selection
from atlas.search.set_operations import both, either


class Judged(NamedTuple):
    """Which rows pass for certain, and which may; bool, one a row asked for."""

    passes: Passing
    possible: Passing


_UNKNOWN = "latitude IS NULL OR longitude IS NULL OR uncertainty_m IS NULL"


class OfCoordinates(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A statement that coordinates tell of, and no layer."""

    @property
    def entry(self) -> LayerEntry | None:
        """No layer tells of it."""
        return None

    def covers(self, segment: int) -> bool:  # noqa: ARG002 - a protocol's signature
        """The catalog has every row."""
        return True

    def number_possible(self, segment: int) -> int | None:  # noqa: ARG002 - as above
        """They must be counted."""
        return None


class NearPoint(OfCoordinates, frozen=True, kw_only=True, eq=False):
    """The statement that a record lies near a point: rows that do, and that may, a segment."""

    certain: tuple[Selection, ...]
    perhaps: tuple[Selection, ...]

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment lie near wherever in their uncertainty they were."""
        return self.certain[segment].holds(rows)

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment may lie near."""
        return self.perhaps[segment].holds(rows)

    def passing(self, segment: int, within: Selection) -> Selection:
        """Rows of a segment that lie near wherever they were, of those it was made for."""
        return both(within, self.certain[segment])

    def possible(self, segment: int, within: Selection) -> Selection:
        """Rows of a segment that may lie near, of those it was made for."""
        return both(within, self.perhaps[segment])

    def number_possible(self, segment: int) -> int:
        """How many rows of a segment may lie near, of those it was made for."""
        return self.perhaps[segment].count


class NearAny(OfCoordinates, frozen=True, kw_only=True, eq=False):
    """The statement that a record lies near one of some points.

    It holds for certain where it does for one of them; a record that is certain to lie in one of
    two circles and in neither for certain cannot be judged.
    """

    points: tuple[NearPoint, ...]

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment lie near one of the points wherever they were."""
        first, *others = (point.passes(segment, rows) for point in self.points)
        for near in others:
            first |= near
        return first

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment may lie near one of the points."""
        first, *others = (point.may_pass(segment, rows) for point in self.points)
        for near in others:
            first |= near
        return first

    def passing(self, segment: int, within: Selection) -> Selection:
        """Rows of a segment that lie near one of the points wherever they were."""
        return both(within, either([point.certain[segment] for point in self.points]))

    def possible(self, segment: int, within: Selection) -> Selection:
        """Rows of a segment that may lie near one of the points."""
        return both(within, either([point.perhaps[segment] for point in self.points]))


class Surroundings:
    """Finds the records around points of one bundle."""

    def __init__(self, catalog: Catalog, segments: Sequence[Segment]) -> None:
        """Nothing is read before it is asked for."""
        self._catalog = catalog
        self._places = RecordedPlaces(place_source(catalog, segments))
        self._segments = tuple(segments)

    def statements(
        self, asked: PlaceFilter, ranges: Ranges | None = None
    ) -> Iterator[NearPoint | NearAny]:
        """The statements of a filter about points.

        `ranges` of row ids, first and last, are all that will be judged; None for every row.
        """
        yield from (self.of(around, ranges) for around in asked.around or ())
        if asked.around_any is not None:
            yield NearAny(points=tuple(self.of(around, ranges) for around in asked.around_any))

    def of(self, around: Around, ranges: Ranges | None = None) -> NearPoint:
        """The records within a distance of a point; outside `ranges` none needs to be found.

        With d the geodesic from the point to a record's coordinates on WGS84 and u its
        uncertainty, it passes where d + u <= `within_m`, and may pass where d - u does. A record
        without coordinates, or of unknown uncertainty, may pass.
        """
        places = self._places.near(around, ranges)
        passes, may = _judged(around, places.latitude, places.longitude, places.uncertainty_m)
        certain = tuple(
            Selection.of_positions(positions, segment.rows)
            for segment, positions in self._by_segment(places.row_id[passes])
        )
        perhaps = tuple(
            Selection.of_bits(
                bits | Selection.of_positions(positions, segment.rows).bits(), segment.rows
            )
            for bits, (segment, positions) in zip(
                self._unknown, self._by_segment(places.row_id[may]), strict=True
            )
        )
        return NearPoint(certain=certain, perhaps=perhaps)

    @cached_property
    def _unknown(self) -> tuple[npt.NDArray[np.uint8], ...]:
        """Rows of which nobody can tell how near they are to anything, a bit each, by segment."""
        return tuple(
            Selection.of_positions(positions, segment.rows).bits()
            for segment, positions in self._by_segment(self._catalog.rows(_UNKNOWN))
        )

    def _by_segment(self, row_ids: RowIds) -> Iterator[tuple[Segment, RowIds]]:
        """Sorted row ids as positions of each segment."""
        for segment in self._segments:
            first, last = np.searchsorted(
                row_ids, [segment.first_row, segment.first_row + segment.rows]
            )
            yield segment, row_ids[first:last] - segment.first_row


def _judged(
    around: Around,
    latitude: Numbers,
    longitude: Numbers,
    uncertainty_m: Numbers,
) -> Judged:
    """The outcome for n records; geodesics are measured where the straight line cannot tell."""
    point = to_space([around.latitude], [around.longitude])
    least = np.linalg.norm(to_space(latitude, longitude) - point, axis=1)
    most = most_m(least)
    within_m = around.within_m
    passes = most + uncertainty_m <= within_m
    possible = most - uncertainty_m <= within_m
    open_ = np.flatnonzero(
        (~passes & (least + uncertainty_m <= within_m))
        | (~possible & (least - uncertainty_m <= within_m))
    )
    feet = np.repeat(point, len(open_), axis=0)
    metres = geodesic_m(latitude[open_], longitude[open_], feet)
    passes[open_] = metres + uncertainty_m[open_] <= within_m
    possible[open_] = metres - uncertainty_m[open_] <= within_m
    return Judged(passes, possible)
