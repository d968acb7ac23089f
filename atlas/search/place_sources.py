"""Where the places of records are read from: the segments, in the order of places, or the catalog.

Both give the same records; segments that were built before places were put in order have none, and
then the catalog is scanned. Threads: safe from any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.geo.circles import DEGREE_M, CircleBox
from atlas.geo.place_order import PlaceOrder
from atlas.search.place_filters import Around

RowIds = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Ranges = Sequence[tuple[int, int]]
_MEASURED = ("row_id", "latitude", "longitude", "uncertainty_m")
_COLUMNS = "SELECT row_id, latitude, longitude, uncertainty_m::DOUBLE AS uncertainty_m FROM image"
_KNOWN = "latitude IS NOT NULL AND longitude IS NOT NULL"


class Places(NamedTuple):
    """Records whose place and uncertainty are known, (n,) each; degrees and metres."""

    row_id: RowIds
    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers

    def of(self, rows: npt.NDArray[Any]) -> Places:
        """Some of them, by mask or index."""
        return Places(*(column[rows] for column in self))

    def may_lie_near(self, around: Around) -> npt.NDArray[np.bool_]:
        """Whether each may, by its latitude alone: none that may is missing."""
        off_m = np.abs(self.latitude - around.latitude) * DEGREE_M
        near: npt.NDArray[np.bool_] = off_m <= around.within_m + self.uncertainty_m
        return near


def joined(parts: Sequence[Places]) -> Places:
    """All of some places, at least one part."""
    return Places(*map(np.concatenate, zip(*parts, strict=True)))


class PlaceSource(Protocol):
    """Finds records by where they lie and how certain that is."""

    def numbers(self, limits_m: Sequence[float]) -> tuple[int, list[int]]:
        """How many records have a place, and how many of them are less certain than each limit."""

    def less_certain(self, above_m: float) -> Places:
        """Those less certain than a limit."""

    def near(self, around: Around, box: CircleBox, most_m: float, ranges: Ranges | None) -> Places:
        """Those in a box, as certain as `most_m` or more, that may lie near a point.

        `ranges` of row ids, first and last, limit them; None for every row.
        """


class OrderedPlaces:
    """Segments that keep their places in order."""

    def __init__(self, parts: Sequence[tuple[int, PlaceOrder]]) -> None:
        """The first row of each segment and its places."""
        self._parts = tuple(parts)

    def numbers(self, limits_m: Sequence[float]) -> tuple[int, list[int]]:
        """How many records have a place, and how many of them are less certain than each limit."""
        located = sum(len(order.row) for _, order in self._parts)
        above = [
            sum(int(np.count_nonzero(order.uncertainty_m > limit)) for _, order in self._parts)
            for limit in limits_m
        ]
        return located, above

    def less_certain(self, above_m: float) -> Places:
        """Those less certain than a limit."""
        return joined(
            [
                _places(first_row, order, np.flatnonzero(order.uncertainty_m > above_m))
                for first_row, order in self._parts
            ]
        )

    def near(self, around: Around, box: CircleBox, most_m: float, ranges: Ranges | None) -> Places:
        """Those in a box, as certain as `most_m` or more, that may lie near a point."""
        found = []
        for first_row, order in self._parts:
            places = joined(
                [_places(first_row, order, run) for run in (slice(0), *order.runs(*box))]
            )
            # An unknown uncertainty compares as false.
            kept = (places.uncertainty_m <= most_m) & places.may_lie_near(around)
            kept &= (places.latitude >= box.south) & (places.latitude <= box.north)
            if ranges is not None:
                inside = [(places.row_id >= one) & (places.row_id <= last) for one, last in ranges]
                kept &= np.logical_or.reduce(inside) if inside else False
            found.append(places.of(kept))
        return joined(found)


def _places(first_row: int, order: PlaceOrder, at: slice | RowIds) -> Places:
    return Places(
        order.row[at].astype(np.int64) + first_row,
        order.latitude[at],
        order.longitude[at],
        order.uncertainty_m[at].astype(np.float64),
    )


class CatalogPlaces:
    """The catalog, which is scanned."""

    def __init__(self, catalog: Catalog) -> None:
        """Nothing is read before it is asked for."""
        self._catalog = catalog

    def numbers(self, limits_m: Sequence[float]) -> tuple[int, list[int]]:
        """How many records have a place, and how many of them are less certain than each limit."""
        counts = ", ".join(f"count(*) FILTER (uncertainty_m > {metres})" for metres in limits_m)
        found = self._catalog.table(f"SELECT count(*), {counts} FROM image WHERE {_KNOWN}")
        located, *above = (int(column[0]) for column in found.values())
        return located, above

    def less_certain(self, above_m: float) -> Places:
        """Those less certain than a limit."""
        return self._read(f"{_COLUMNS} WHERE {_KNOWN} AND uncertainty_m > ?", [above_m])

    def near(self, around: Around, box: CircleBox, most_m: float, ranges: Ranges | None) -> Places:
        """Those in a box, as certain as `most_m` or more, that may lie near a point.

        Columns are compared with numbers, which DuckDB does while it scans: 10 million rows take a
        third of the time of reckoning with each row's uncertainty.
        """
        across = " OR ".join("longitude BETWEEN ? AND ?" for _ in box.longitudes)
        sql = (
            f"{_COLUMNS} WHERE latitude BETWEEN ? AND ? AND ({across}) AND uncertainty_m <= ? "
            "AND abs(latitude - ?) * ? <= ? + uncertainty_m"
        )
        edges = [end for ends in box.longitudes for end in ends]
        band = (around.latitude, DEGREE_M, around.within_m)
        parameters = [box.south, box.north, *edges, most_m, *band]
        if ranges is None:
            return self._read(sql, parameters)
        within = f"{sql} AND row_id BETWEEN ? AND ?"
        nothing = Places(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
        return joined([nothing, *(self._read(within, [*parameters, *ends]) for ends in ranges)])

    def _read(self, sql: str, parameters: Sequence[object]) -> Places:
        found = self._catalog.table(sql, parameters)
        row_id, *numbers = (found[name] for name in _MEASURED)
        return Places(
            np.asarray(row_id, np.int64), *(np.asarray(one, np.float64) for one in numbers)
        )


def place_source(catalog: Catalog, segments: Sequence[Segment]) -> PlaceSource:
    """The segments where all of them keep their places in order, else the catalog."""
    orders = [(segment.first_row, segment.place_order) for segment in segments]
    parts = [(first_row, order) for first_row, order in orders if order is not None]
    return OrderedPlaces(parts) if 0 < len(parts) == len(orders) else CatalogPlaces(catalog)
