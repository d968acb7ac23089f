"""Where a taxon was recorded, cell by cell, beside the effort of its target group.

Counting records maps observers, so no count is given without the records, visits and observers
of the group that would have recorded the taxon too. A cell is "recorded" or "searched, not
recorded"; a cell that nobody searched is not listed. Never says "absent". Any thread.
"""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.errors import InvalidQuery
from atlas.geo.cells import area_km2
from atlas.geo.ranges import Ranges, overlaps, shape_ranges
from atlas.geo.shapes import BoundingBox
from atlas.species.cell_columns import CellColumns, CoarseColumns, filled, matched
from atlas.species.completeness import ignorance
from atlas.species.extent import area_of_occupancy_km2, extent_of_occurrence_km2
from atlas.species.kernel import Surrounding, reporting_rate
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import (
    EVERY_RECORD,
    CellCounts,
    HeldBack,
    Occupancy,
    RecordFilter,
)
from atlas.species.states import RECORDED, SEARCHED, State
from atlas.species.target_group import TargetGroup, TargetGroups

__all__ = [
    "Distribution",
    "Distributions",
    "MappedTaxon",
    "OccupiedCell",
    "TargetGroup",
    "area_of_occupancy_km2",
    "extent_of_occurrence_km2",
]


Floats = npt.NDArray[np.float64]


# An answer has tens of thousands of these. They hold no reference back, so the collector need not
# walk them, which took several times as long as making them.
class Effort(msgspec.Struct, frozen=True, gc=False):
    """What the target group's observers left in a cell: `n` records, observers, visits."""

    n: int
    observers: int
    visits: int


class ReportingRate(msgspec.Struct, frozen=True, gc=False):
    """Share of the group's visits that recorded the taxon, with its 95 % interval (Wilson)."""

    rate: float
    lower: float
    upper: float


class OccupiedCell(msgspec.Struct, frozen=True, gc=False):
    """One cell of a distribution; `cell` is its H3 number in hexadecimal.

    `coarse` marks records whose own uncertainty is wider than the resolution asked for: they stand
    in a cell of their own, coarser `resolution`, and in no finer one. Of these only the number is
    known. `min_uncertainty_m` is None where no record states one. `density` is the reporting rate
    smoothed over rings of cells, taxon and group apart; `confidence` is the share of ignorance that
    the group's visits have removed. Both, and the rate, are None where no visit is dated.
    """

    cell: str
    resolution: int
    coarse: bool
    state: State
    n: int
    observers: int | None
    visits: int | None
    first_day: dt.date | None
    last_day: dt.date | None
    min_uncertainty_m: float | None
    area_km2: float
    effort: Effort | None
    reporting_rate: ReportingRate | None
    density: float | None
    confidence: float | None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """All cells of a taxon at one resolution; `records` counts those listed.

    A cell that is not listed was not searched, or, where the question did not ask for searched
    cells, was searched without a record. `held_back` counts the taxon's records, of all places and
    times, that the default quality filter keeps off every map.
    """

    taxon_id: int
    resolution: int
    target_group: TargetGroup
    records: int
    coarse_records: int
    held_back: list[HeldBack]
    cells: list[OccupiedCell]


class MappedTaxon(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A distribution as columns: what is drawn, written to a file or listed."""

    taxon_id: int
    resolution: int
    target_group: TargetGroup
    held_back: list[HeldBack]
    cells: CellColumns
    coarse: CoarseColumns

    @property
    def records(self) -> int:
        """Records in all cells, coarse ones too."""
        return int(self.cells.n.sum()) + self.coarse_records

    @property
    def coarse_records(self) -> int:
        """Records that stand in coarser cells."""
        return int(self.coarse.n.sum())

    def listed(self) -> Distribution:
        """The same as one struct a cell."""
        return Distribution(
            taxon_id=self.taxon_id,
            resolution=self.resolution,
            target_group=self.target_group,
            records=self.records,
            coarse_records=self.coarse_records,
            held_back=self.held_back,
            cells=[*_cells(self.cells, self.resolution), *_coarse_cells(self.coarse)],
        )


class Distributions:
    """Reads distributions from occupancy, each beside that of its target group."""

    def __init__(
        self, occupancy: Occupancy, target_groups: TargetGroups, settings: MapSettings
    ) -> None:
        self._occupancy = occupancy
        self._groups = target_groups
        self._settings = settings

    def read(
        self,
        taxon_id: int,
        resolution: int,
        *,
        box: BoundingBox | None = None,
        group_id: int | None = None,
        searched: bool = False,
        only: RecordFilter = EVERY_RECORD,
    ) -> MappedTaxon:
        """The distribution of a taxon at one resolution, inside `box` where given.

        With `searched`, cells that hold records of the target group but none of the taxon are
        listed too. `only` says which records count, of the taxon and of the group alike. Raises
        InvalidQuery for a resolution finer than the bundle's cells or an answer of too many cells,
        NotFound for an unknown taxon.
        """
        finest = self._occupancy.finest
        if not 0 <= resolution <= finest:
            raise InvalidQuery("resolution", f"must be from 0 to {finest}")
        group = self._groups.of(taxon_id, group_id)
        rings = self._settings.smoothing_rings
        ranges = None if box is None else shape_ranges(box, resolution, rings=rings)
        own = self._counts(taxon_id, resolution, ranges, only)
        effort = own
        if group.taxon_id != taxon_id:
            effort = self._counts(group.taxon_id, resolution, ranges, only)
        shown = np.union1d(own.cell, effort.cell) if searched else own.cell
        coarse = self._occupancy.coarse(taxon_id, resolution, ranges=ranges, filter=only)
        coarse_columns = CoarseColumns(coarse.cell, coarse.resolution, coarse.n)
        if box is not None:
            shown = shown[overlaps(shown, box)]
            coarse_columns = coarse_columns.chosen(overlaps(coarse.cell, box))
        self._refuse_many(len(shown) + len(coarse_columns.cell))
        return MappedTaxon(
            taxon_id=taxon_id,
            resolution=resolution,
            target_group=group,
            held_back=self._occupancy.held_back(taxon_id),
            cells=self._columns(shown, own, effort, self._average(taxon_id, group.taxon_id, only)),
            coarse=coarse_columns,
        )

    def _counts(
        self, taxon_id: int, resolution: int, ranges: Ranges | None, only: RecordFilter
    ) -> CellCounts:
        return self._occupancy.cells(taxon_id, resolution, ranges=ranges, filter=only)

    def _refuse_many(self, cells: int) -> None:
        most = self._settings.max_cells
        if cells > most:
            problem = f"{cells} cells, more than {most}: ask for a coarser one"
            raise InvalidQuery("resolution", f"{problem} or for a smaller bbox")

    def _average(self, taxon_id: int, group_id: int, only: RecordFilter) -> float:
        """The taxon's rate in all visits of the group, of the whole world whatever the box."""
        own, effort = (
            int(self._occupancy.cells(counted, 0, filter=only).visits.sum())
            for counted in (taxon_id, group_id)
        )
        return own / max(1, effort)

    def _columns(
        self,
        shown: npt.NDArray[np.uint64],
        own: CellCounts,
        effort: CellCounts,
        average: float,
    ) -> CellColumns:
        """Both counts in the cells shown, and what follows from them."""
        columns = CellColumns.joined(shown, own, effort)
        rate = reporting_rate(columns.visits, columns.effort_visits)
        half = self._settings.half_confidence_visits
        dated = columns.effort_visits > 0
        return columns._replace(
            area_km2=area_km2(shown),
            rate=rate.rate,
            rate_lower=rate.lower,
            rate_upper=rate.upper,
            density=self._density(shown, own, effort, average),
            confidence=np.where(dated, 1.0 - ignorance(columns.effort_visits, half), np.nan),
        )

    def _density(
        self,
        shown: npt.NDArray[np.uint64],
        own: CellCounts,
        effort: CellCounts,
        average: float,
    ) -> Floats:
        """Smoothed visits of the taxon over smoothed visits of the group; NaN without any."""
        prior = self._settings.smoothing_prior
        around = Surrounding.of(shown, self._settings.smoothing_rings)
        # The group was recorded wherever the taxon was: one search for both.
        visits = filled(own.visits, *matched(effort.cell, own.cell), 0)
        species, group = around.sums(effort.cell, np.stack([visits, effort.visits], axis=1)).T
        searched = group > 0.0
        ratio = (species + prior * average) / np.where(searched, group + prior, 1.0)
        return np.where(searched, ratio, np.nan)


def _cells(columns: CellColumns, resolution: int) -> list[OccupiedCell]:
    listed = zip(*columns.plain(), strict=True)
    return [
        OccupiedCell(
            f"{cell:x}",
            resolution,
            False,
            RECORDED if n else SEARCHED,
            n,
            observers,
            visits,
            first_day,
            last_day,
            uncertainty,
            area,
            None if effort_n == 0 else Effort(effort_n, effort_observers, effort_visits),
            None if rate is None else ReportingRate(rate, lower, upper),
            density,
            confidence,
        )
        for (
            cell,
            n,
            observers,
            visits,
            first_day,
            last_day,
            uncertainty,
            area,
            effort_n,
            effort_observers,
            effort_visits,
            rate,
            lower,
            upper,
            density,
            confidence,
        ) in listed
    ]


def _coarse_cells(coarse: CoarseColumns) -> list[OccupiedCell]:
    unknown = (None,) * 5
    return [
        OccupiedCell(
            f"{cell:x}",
            resolution,
            True,
            RECORDED,
            n,
            *unknown,
            area,
            None,
            None,
            None,
            None,
        )
        for cell, resolution, n, area in zip(
            coarse.cell.tolist(),
            coarse.resolution.tolist(),
            coarse.n.tolist(),
            np.round(area_km2(coarse.cell), 3).tolist(),
            strict=True,
        )
    ]
