"""Where records are: those that may lie near a point, read from the catalog without the others.

Knows no segment. Threads: safe from any; two that ask first may both read the uncertain records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.catalog import Catalog
from atlas.geo.circles import DEGREE_M, box_of_circle
from atlas.search.place_filters import Around

RowIds = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Ranges = Sequence[tuple[int, int]]
_MEASURED = ("row_id", "latitude", "longitude", "uncertainty_m")
_COLUMNS = "SELECT row_id, latitude, longitude, uncertainty_m::DOUBLE AS uncertainty_m FROM image"
_KNOWN = "latitude IS NOT NULL AND longitude IS NOT NULL"
# Records less certain than one of these stay in memory, so that boxes need not reach so far.
_COARSE_M = (10_000.0, 30_000.0, 100_000.0, 300_000.0, 1_000_000.0)
# That many of them may, or one row in so many; 32 bytes each.
_MOST_COARSE, _COARSE_ONE_IN = 10_000, 100


class Places(NamedTuple):
    """Records whose place and uncertainty are known, (n,) each, by row id; degrees and metres."""

    row_id: RowIds
    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers

    def of(self, rows: npt.NDArray[Any]) -> Places:
        """Some of them, by mask or index."""
        return Places(*(column[rows] for column in self))


class _Coarse(NamedTuple):
    """Records less certain than `above_m`; infinite, and no record, where they would be many."""

    above_m: float
    places: Places


class RecordedPlaces:
    """Finds the places of records in one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        """Nothing is read before it is asked for."""
        self._catalog = catalog

    def near(self, around: Around, ranges: Ranges | None) -> Places:
        """Records that may lie near a point, and others: none that may is missing.

        Columns are compared with numbers, which DuckDB does while it scans: 10 million rows take a
        third of the time of reckoning with each row's uncertainty.
        """
        coarse = self._coarse
        box = box_of_circle(around.latitude, around.longitude, around.within_m + coarse.above_m)
        across = " OR ".join("longitude BETWEEN ? AND ?" for _ in box.longitudes)
        sql = (
            f"{_COLUMNS} WHERE latitude BETWEEN ? AND ? AND ({across}) AND uncertainty_m <= ? "
            "AND abs(latitude - ?) * ? <= ? + uncertainty_m"
        )
        band = (around.latitude, DEGREE_M, around.within_m)
        edges = [end for ends in box.longitudes for end in ends]
        parameters = [box.south, box.north, *edges, coarse.above_m, *band]
        if ranges is None:
            found = [self._read(sql, parameters)]
        else:
            within = f"{sql} AND row_id BETWEEN ? AND ?"
            found = [self._read(within, [*parameters, *ends]) for ends in ranges]
        latitude, degree_m, within_m = band
        off_m = np.abs(coarse.places.latitude - latitude) * degree_m
        found.append(coarse.places.of(off_m <= within_m + coarse.places.uncertainty_m))
        whole = Places(*map(np.concatenate, zip(*found, strict=True)))
        return whole.of(np.argsort(whole.row_id, kind="stable"))

    def _read(self, sql: str, parameters: Sequence[object]) -> Places:
        found = self._catalog.table(sql, parameters)
        row_id, *numbers = (found[name] for name in _MEASURED)
        return Places(
            np.asarray(row_id, np.int64), *(np.asarray(one, np.float64) for one in numbers)
        )

    @cached_property
    def _coarse(self) -> _Coarse:
        """The records that are so uncertain that boxes would have to reach far for them."""
        counts = ", ".join(f"count(*) FILTER (uncertainty_m > {metres})" for metres in _COARSE_M)
        found = self._catalog.table(f"SELECT count(*), {counts} FROM image WHERE {_KNOWN}")
        rows, *above = (int(column[0]) for column in found.values())
        most = max(_MOST_COARSE, rows // _COARSE_ONE_IN)
        fit = (metres for metres, count in zip(_COARSE_M, above, strict=True) if count <= most)
        above_m = next(fit, math.inf)
        sql = f"{_COLUMNS} WHERE {_KNOWN} AND uncertainty_m > ? ORDER BY row_id"
        return _Coarse(above_m, self._read(sql, [above_m]))
