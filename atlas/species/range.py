"""How large a taxon's range is, and when it was recorded: from its records, one by one.

Preliminary figures, not an IUCN assessment: nobody checked the records. A taxon of very many
records is read in bounded memory, and the answer says by what. Any thread.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import h3.api.basic_int as h3
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.errors import InvalidQuery
from atlas.geo.cells import area_km2
from atlas.geo.outlines import Cells, Flags, Floats
from atlas.species.extent import area_of_occupancy_km2, extent_of_occurrence_km2
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import (
    EVERY_RECORD,
    UNKNOWN_DAY,
    HeldBack,
    Occupancy,
    RecordFilter,
    Sightings,
)
from atlas.species.target_group import TargetGroup, TargetGroups

WORDING: Literal["preliminary, not an IUCN assessment"] = "preliminary, not an IUCN assessment"
# Side of the cells that areas of occupancy are counted in.
_OCCUPANCY_SIDE_M = 2_000.0
# The band that holds nine tenths of the records.
_INNER = (0.05, 0.95)
# Records of the target group that the share of each month is read from.
_EFFORT_RECORDS = 100_000


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a range was read from.

    `records` pass the filter; `points` were read one by one. Where these are fewer, they are an
    even choice of them: months, years and latitudes are shares of that choice, the area of
    occupancy is "at least", and the extent is drawn around the centres of the occupied cells of
    `cell_resolution` too. `uncertain` points may lie more than two kilometres from where they
    stand, so that they make the area of occupancy larger than the records support.
    """

    records: int
    points: int
    cell_resolution: int | None
    uncertain: int


class LatitudeBand(msgspec.Struct, frozen=True, kw_only=True):
    """Southernmost and northernmost record, and the band that holds nine tenths of them."""

    south: float
    inner_south: float
    inner_north: float
    north: float


class YearCount(msgspec.Struct, frozen=True):
    """Records of one year."""

    year: int
    records: int


class Seasons(msgspec.Struct, frozen=True, kw_only=True):
    """When records were made; those whose span is longer than a month (a year) are `undated`.

    `months` are counts from January to December. `effort_share` is the share of the target group's
    records that each month has: many records in June may be many observers in June.
    """

    months: list[int]
    undated_months: int
    effort_share: list[float]
    years: list[YearCount]
    undated_years: int


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The range of a taxon, after the records that pass the filter.

    `extent_of_occurrence_km2` (EOO) is None below three different places; `area_of_occupancy_km2`
    (AOO) counts 2 x 2 km cells; `occupied_km2` is the area of the H3 cells of `resolution` with a
    record, of which `coarse_records` are in none, being too uncertain.
    """

    taxon_id: int
    wording: Literal["preliminary, not an IUCN assessment"]
    target_group: TargetGroup
    basis: Basis
    extent_of_occurrence_km2: float | None
    area_of_occupancy_km2: float
    area_of_occupancy_at_least: bool
    resolution: int
    occupied_cells: int
    occupied_km2: float
    coarse_records: int
    latitudes: LatitudeBand | None
    seasons: Seasons
    held_back: list[HeldBack]


class _Points(NamedTuple):
    sightings: Sightings
    records: int
    cells: Cells
    cell_resolution: int | None


class Ranges:
    """Reads ranges from occupancy."""

    def __init__(
        self, occupancy: Occupancy, target_groups: TargetGroups, settings: MapSettings
    ) -> None:
        self._occupancy = occupancy
        self._groups = target_groups
        self._settings = settings

    def read(self, taxon_id: int, resolution: int, *, only: RecordFilter = EVERY_RECORD) -> Range:
        """The range of a taxon; `resolution` is that of the occupied cells.

        Raises InvalidQuery for a resolution finer than the bundle's, NotFound for an unknown taxon.
        """
        finest = self._occupancy.finest
        if not 0 <= resolution <= finest:
            raise InvalidQuery("resolution", f"must be from 0 to {finest}")
        group = self._groups.of(taxon_id)
        points = self._points(taxon_id, only)
        found = points.sightings
        occupied = self._occupancy.cells(taxon_id, resolution, filter=only)
        coarse = self._occupancy.coarse(taxon_id, resolution, filter=only)
        placed = np.isfinite(found.latitude) & np.isfinite(found.longitude)
        latitude, longitude = found.latitude[placed], found.longitude[placed]
        return Range(
            taxon_id=taxon_id,
            wording=WORDING,
            target_group=group,
            basis=Basis(
                records=points.records,
                points=len(found.row_id),
                cell_resolution=points.cell_resolution,
                uncertain=int((found.uncertainty_m > _OCCUPANCY_SIDE_M).sum()),
            ),
            extent_of_occurrence_km2=_extent(latitude, longitude, points.cells),
            area_of_occupancy_km2=area_of_occupancy_km2(latitude, longitude),
            area_of_occupancy_at_least=len(found.row_id) < points.records,
            resolution=resolution,
            occupied_cells=len(occupied.cell),
            occupied_km2=round(float(area_km2(occupied.cell).sum()), 3),
            coarse_records=int(coarse.n.sum()),
            latitudes=_band(latitude),
            seasons=self._seasons(found, group, only),
            held_back=self._occupancy.held_back(taxon_id),
        )

    def _points(self, taxon_id: int, only: RecordFilter) -> _Points:
        """Every record, or of too many an even choice with the centres of all occupied cells."""
        most, resolution = self._settings.max_range_points, self._settings.range_resolution
        # Records are stored at resolution 0 at the coarsest, so this counts all that have a place.
        records = int(self._occupancy.cells(taxon_id, 0, filter=only).n.sum())
        if records <= most:
            found = self._occupancy.sightings(taxon_id, only)
            return _Points(found, records, np.zeros(0, np.uint64), None)
        resolution = min(resolution, self._occupancy.finest)
        return _Points(
            self._occupancy.sightings(taxon_id, only, most=most),
            records,
            self._occupancy.cells(taxon_id, resolution, filter=only).cell,
            resolution,
        )

    def _seasons(self, found: Sightings, group: TargetGroup, only: RecordFilter) -> Seasons:
        others = self._occupancy.sightings(group.taxon_id, only, most=_EFFORT_RECORDS)
        months, undated_months = _months(found)
        effort, _ = _months(others)
        shares = effort / max(1, int(effort.sum()))
        years, undated_years = _years(found)
        return Seasons(
            months=months.tolist(),
            undated_months=undated_months,
            effort_share=np.round(shares, 4).tolist(),
            years=years,
            undated_years=undated_years,
        )


def _extent(latitude: Floats, longitude: Floats, cells: Cells) -> float | None:
    """EOO of the points together with the centres of the cells."""
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells.tolist()]).reshape(-1, 2)
    return extent_of_occurrence_km2(
        np.concatenate([latitude, centres[:, 0]]), np.concatenate([longitude, centres[:, 1]])
    )


def _band(latitude: Floats) -> LatitudeBand | None:
    if not len(latitude):
        return None
    inner = np.quantile(latitude, _INNER)
    south, inner_south, inner_north, north = np.round(
        [latitude.min(), *inner, latitude.max()], 5
    ).tolist()
    return LatitudeBand(south=south, inner_south=inner_south, inner_north=inner_north, north=north)


def _months(found: Sightings) -> tuple[npt.NDArray[np.int64], int]:
    """Records by month, (12,), and how many lie in no single month."""
    first, last, known = _span(found, "M")
    within = known & (first == last)
    month = first[within].astype(np.int64) % 12
    return np.bincount(month, minlength=12), int(len(known) - within.sum())


def _years(found: Sightings) -> tuple[list[YearCount], int]:
    first, last, known = _span(found, "Y")
    within = known & (first == last)
    years, counts = np.unique(first[within].astype(np.int64) + 1970, return_counts=True)
    listed = [YearCount(*pair) for pair in zip(years.tolist(), counts.tolist(), strict=True)]
    return listed, int(len(known) - within.sum())


def _span(
    found: Sightings, unit: Literal["M", "Y"]
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64], Flags]:
    """The month or year of each record's first and last day, and whether both are known."""
    known = (found.first_day != UNKNOWN_DAY) & (found.last_day != UNKNOWN_DAY)
    first, last = (
        np.where(known, days, 0).astype("datetime64[D]").astype(f"datetime64[{unit}]")
        for days in (found.first_day, found.last_day)
    )
    return first, last, known
