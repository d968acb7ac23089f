"""Counts records, observers and visits of every taxon in every cell, at all resolutions at once.

A pure function of arrays. In the order of H3's digits each cell is one run of rows at every
resolution, so one sort serves them all; a value is counted in a run where its previous occurrence
lies before the run. That is exact, and takes a hundredth of the time of one COUNT(DISTINCT) a
resolution (150 microseconds of processor time a photo).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.geo.cells import parent, resolution_of

Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]

OCCUPANCY_SCHEMA = pa.schema(
    [
        ("taxon_id", pa.int32()),
        ("resolution", pa.int8()),
        ("period", pa.int16()),
        ("cell", pa.uint64()),
        ("n", pa.int32()),
        ("n_coarse", pa.int32()),
        ("observers", pa.int32()),
        ("visits", pa.int32()),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("min_uncertainty_m", pa.float32()),
    ]
)
ALL_TIME = 0
# Stand for "unknown" while the least or the greatest is sought.
NEVER, UNKNOWN_M = np.int32(2**31 - 1), np.float32(np.inf)
_FINEST = 15
_WITHOUT_RESOLUTION = np.uint64((1 << 52) - 1)


class Sightings(NamedTuple):
    """Placed photos, one a row, all arrays (n,).

    `taxon` is the taxon counted for, from 0. `record`, `observer` and `visit` are numbers that
    are equal for the same thing; `visit` is -1 where there is none. `period` is the year, 0 where
    unknown. `first` and `last` are days since 1970, NEVER and -NEVER where unknown; `uncertainty_m`
    is UNKNOWN_M where unknown.
    """

    taxon: Integers
    cell: npt.NDArray[np.uint64]
    record: Integers
    observer: Integers
    visit: Integers
    period: Integers
    first: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]
    uncertainty_m: npt.NDArray[np.float32]

    def take(self, rows: npt.NDArray[Any]) -> Sightings:
        """Chosen rows."""
        return Sightings(*(column[rows] for column in self))


def count_occupancy(sightings: Sightings, finest: int) -> pa.Table:
    """Rows of the table `occupancy`, sorted by taxon, resolution, period and cell."""
    dated = sightings.take(sightings.period != ALL_TIME)
    undated = sightings._replace(period=np.zeros_like(sightings.period))
    counted = [*_counts(undated, finest), *_counts(dated, finest)]
    columns = {name: np.concatenate([part[name] for part in counted]) for name in counted[0]}
    order = np.lexsort([columns[k] for k in ("cell", "period", "resolution", "taxon_id")])
    columns = {name: values[order] for name, values in columns.items()}
    unknown = {
        "first_day": columns["first_day"] == NEVER,
        "last_day": columns["last_day"] == -NEVER,
        "min_uncertainty_m": columns["min_uncertainty_m"] == UNKNOWN_M,
    }
    return pa.table(
        [
            pa.array(
                columns[field.name].astype(np.int32)
                if field.type == pa.date32()
                else columns[field.name].astype(field.type.to_pandas_dtype()),
                field.type,
                mask=unknown.get(field.name),
            )
            for field in OCCUPANCY_SCHEMA
        ],
        schema=OCCUPANCY_SCHEMA,
    )


def _counts(sightings: Sightings, finest: int) -> list[dict[str, npt.NDArray[Any]]]:
    """Counts by taxon, period and cell, for each resolution; in no particular order."""
    # Below the finest resolution all digits are unused, so they are cut off; what is left of a
    # coarser cell ends in sevens, which puts it behind all cells inside it.
    digits = (sightings.cell & _WITHOUT_RESOLUTION) >> np.uint64(3 * (_FINEST - finest))
    group, groups = _numbered(sightings.taxon, sightings.period)
    order = _order(group, digits.astype(np.int64), groups, 7 + 3 * finest)
    sorted_rows, digits, group = sightings.take(order), digits[order], group[order]
    earlier = {
        "n": _earlier(group, sorted_rows.record),
        "observers": _earlier(group, sorted_rows.observer),
        "visits": _earlier(group, sorted_rows.visit),
    }
    stored_at = resolution_of(sorted_rows.cell)
    return [
        _count_runs(
            sorted_rows,
            group,
            digits >> np.uint64(3 * (finest - resolution)),
            earlier,
            stored_at,
            resolution,
            finest,
        )
        for resolution in range(finest + 1)
    ]


def _count_runs(
    rows: Sightings,
    group: Integers,
    digits: npt.NDArray[np.uint64],
    earlier: dict[str, Positions],
    stored_at: npt.NDArray[np.int8],
    resolution: int,
    finest: int,
) -> dict[str, npt.NDArray[Any]]:
    start = np.flatnonzero(_changes(group, digits))
    run = np.repeat(np.arange(len(start)), np.diff(start, append=len(group)))
    # A coarser cell has runs of its own, of which nothing is counted at this resolution.
    kept = stored_at[start] >= resolution
    begins = start[run]
    has_visit = rows.visit >= 0
    found: dict[str, npt.NDArray[Any]] = {
        "taxon_id": rows.taxon[start],
        "resolution": np.full(len(start), resolution),
        "period": rows.period[start],
        "cell": parent(rows.cell[start], resolution),
        "n": _sum(earlier["n"] < begins, start),
        "n_coarse": np.zeros(len(start), np.int64),
        "observers": _sum(earlier["observers"] < begins, start),
        "visits": _sum((earlier["visits"] < begins) & has_visit, start),
        "first_day": _reduce(np.minimum, rows.first, start),
        "last_day": _reduce(np.maximum, rows.last, start),
        "min_uncertainty_m": _reduce(np.minimum, rows.uncertainty_m, start),
    }
    here = stored_at == resolution
    if resolution < finest and here.any():
        # Records stored at this very resolution stand together at the end of their run.
        inner = np.flatnonzero(here & (_changes(run, here)))
        inner_begins = inner[np.cumsum(_changes(run, here) & here)[here] - 1]
        fresh = earlier["n"][here] < inner_begins
        found["n_coarse"] = np.bincount(run[here], fresh, len(start)).astype(np.int64)
    return {name: values[kept] for name, values in found.items()}


def _numbered(taxon: Integers, period: Integers) -> tuple[Integers, int]:
    """A number for each pair of taxon and period, and how many numbers there may be."""
    years, year = np.unique(period, return_inverse=True)
    count = int(taxon.max(initial=0)) + 1
    return taxon * max(1, len(years)) + year, count * max(1, len(years))


def _order(group: Integers, minor: Integers, groups: int, minor_bits: int) -> Positions:
    """Positions sorted by `group`, then `minor`; in one key where that fits 63 bits."""
    if groups.bit_length() + minor_bits < 63:
        return np.argsort((group << minor_bits) | minor)
    return np.lexsort((minor, group))


def _earlier(group: Integers, value: Integers) -> Positions:
    """Where the same value last stood before, within its group; -1 where nowhere."""
    count = len(value)
    position_bits = max(1, count.bit_length())
    value_bits = int(value.max(initial=0) + 1).bit_length()
    groups = int(group.max(initial=0)) + 1
    place = np.arange(count)
    if groups.bit_length() + value_bits + position_bits < 63:
        # Sorting keys that end in their own position is several times faster than argsort.
        same = (group << value_bits) | (value + 1)
        keys = np.sort((same << position_bits) | place)
        order, same = keys & ((1 << position_bits) - 1), keys >> position_bits
        follows = same[1:] == same[:-1]
    else:
        order = np.lexsort((place, value, group))
        follows = (group[order][1:] == group[order][:-1]) & (value[order][1:] == value[order][:-1])
    earlier = np.full(count, -1, np.int64)
    earlier[order[1:][follows]] = order[:-1][follows]
    return earlier


def _changes(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """True where a row differs from the one before in any column, and at the first row."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _sum(counted: npt.NDArray[np.bool_], start: Positions) -> Integers:
    if not len(start):
        return np.zeros(0, np.int64)
    return np.add.reduceat(counted.astype(np.int64), start)


def _reduce(function: np.ufunc, values: npt.NDArray[Any], start: Positions) -> npt.NDArray[Any]:
    if not len(start):
        return values[:0]
    reduced: npt.NDArray[Any] = function.reduceat(values, start)
    return reduced
