"""Cells of a map as columns of arrays: counts of a taxon and of its group, side by side. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.geo.outlines import Cells, Flags, Floats, Integers
from atlas.species.occupancy import UNKNOWN_DAY, CellCounts

Days = npt.NDArray[np.int32]

# Decimals worth writing; a rate may be that of one visit among a million.
_DECIMALS = {"min_uncertainty_m": 1, "area_km2": 3}
_RATE_DECIMALS = 7


class CellColumns(NamedTuple):
    """Cells of one resolution, arrays (n,) sorted by cell.

    Days are since 1970, UNKNOWN_DAY where unknown; other unknowns are NaN. `n` is 0 in a cell where
    only the group was recorded; `effort_n` is 0 where the taxon's own records are all there is.
    """

    cell: Cells
    n: Integers
    observers: Integers
    visits: Integers
    first_day: Days
    last_day: Days
    min_uncertainty_m: npt.NDArray[np.float32]
    area_km2: Floats
    effort_n: Integers
    effort_observers: Integers
    effort_visits: Integers
    rate: Floats
    rate_lower: Floats
    rate_upper: Floats
    density: Floats
    confidence: Floats

    @classmethod
    def joined(cls, cells: Cells, own: CellCounts, effort: CellCounts) -> CellColumns:
        """The counts of a taxon and of its group in `cells`, all of one resolution, ascending.

        Areas, rates, densities and confidences are left unknown.
        """
        unknown = np.full(len(cells), np.nan)
        counts = ("n", "observers", "visits")
        at, here = matched(cells, own.cell)
        group_at, group_here = matched(cells, effort.cell)
        return cls(
            cell=cells,
            **{name: filled(getattr(own, name), at, here, 0) for name in counts},
            first_day=filled(own.first_day, at, here, UNKNOWN_DAY),
            last_day=filled(own.last_day, at, here, UNKNOWN_DAY),
            min_uncertainty_m=filled(own.min_uncertainty_m, at, here, np.nan),
            **{
                f"effort_{name}": filled(getattr(effort, name), group_at, group_here, 0)
                for name in counts
            },
            area_km2=unknown,
            rate=unknown,
            rate_lower=unknown,
            rate_upper=unknown,
            density=unknown,
            confidence=unknown,
        )

    def plain(self) -> list[list[Any]]:
        """Each column as Python values: rounded numbers, `datetime.date`, None for unknown."""
        return [_plain(name, getattr(self, name)) for name in self._fields]


class CoarseColumns(NamedTuple):
    """Cells of records that are too uncertain for the resolution asked for, arrays (n,)."""

    cell: Cells
    resolution: npt.NDArray[np.int8]
    n: Integers

    def chosen(self, keep: Flags) -> CoarseColumns:
        """The cells for which `keep`, bool[n], is true."""
        return CoarseColumns(self.cell[keep], self.resolution[keep], self.n[keep])


def matched(cells: Cells, among: Cells) -> tuple[Integers, Flags]:
    """Where each of `cells` stands in `among`, which is ascending, and whether it does."""
    if not len(among):
        return np.zeros(len(cells), np.int64), np.zeros(len(cells), np.bool_)
    at = np.minimum(np.searchsorted(among, cells), len(among) - 1)
    return at, among[at] == cells


def filled(values: npt.NDArray[Any], at: Integers, here: Flags, missing: float) -> npt.NDArray[Any]:
    """`values[at]` where `here`, else `missing`; of the type of `values`."""
    found = np.full(len(here), missing, values.dtype)
    found[here] = values[at[here]]
    return found


def days(values: Days) -> npt.NDArray[np.datetime64]:
    """Days since 1970 as dates, NaT where unknown."""
    found = values.astype("datetime64[D]")
    return np.where(values == UNKNOWN_DAY, np.datetime64("NaT"), found)


def _plain(name: str, values: npt.NDArray[Any]) -> list[Any]:
    if name.endswith("_day"):
        return list(days(values).tolist())
    if values.dtype.kind != "f":
        return list(values.tolist())
    rounded = np.round(values.astype(np.float64), _DECIMALS.get(name, _RATE_DECIMALS))
    return [None if value != value else value for value in rounded.tolist()]  # noqa: PLR0124
