"""What is said of gaps: the cells in their order, and everything behind one of them. Pure data."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from atlas.species.distribution import TargetGroup
from atlas.species.gap_words import BorrowedFrom, Nearby
from atlas.species.gaps import SamplingState
from atlas.species.occupancy import HeldBack

Habitat = Literal["land", "sea", "land and sea"]


class GapTaxon(msgspec.Struct, frozen=True, kw_only=True):
    """A taxon that gaps are ranked for; its species count `weight` in what a visit may add."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    rank: str
    weight: float


class Lives(msgspec.Struct, frozen=True, kw_only=True):
    """Where the taxa live: `land_share` of their records is on land, None without records."""

    on: Habitat
    land_share: float | None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's score and its parts; docs/gaps.md has the formula.

    `expected_new_species` of the next visit. `first_visit_species`: what a visit nearby meets, from
    cells around this one or, where these were not visited, from its region (a cell of resolution 1
    or 0) or the whole atlas (`borrowed_from`).
    `ignorance` and `recency` run from 0 to 1: 1 where nobody ever was. `richness_around`, species
    of the cells around, at least, orders equal scores.
    """

    score: float
    expected_new_species: float
    first_visit_species: float
    borrowed_from: BorrowedFrom
    ignorance: float
    recency: float
    richness_around: float


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """What was done in a cell and what came of it.

    `records` and `species` are of the taxa asked for; `visits`, `observers` and `last_day` of the
    target group. `once` and `twice`: species met in exactly one and two visits. `coverage` is the
    share of what a visit meets that is of recorded species. `richness`: at least so many species,
    95 % interval `richness_lower` to `richness_upper`. `slope`: new species a visit at the end of
    the accumulation curve. None where nothing was met in a visit of a known day.
    """

    records: int
    visits: int
    observers: int
    species: int
    incidences: int
    once: int
    twice: int
    coverage: float | None
    richness: float | None
    richness_lower: float | None
    richness_upper: float | None
    slope: float | None
    last_day: dt.date | None
    days_since: int | None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, its state, its score and why; `latitude` and `longitude` are of its centre."""

    cell: str
    latitude: float
    longitude: float
    area_km2: float
    land_share: float
    state: SamplingState
    reason: str
    score: Score
    sampling: Sampling
    nearby: Nearby


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many cells of the area are in each state; those without data only where they qualify."""

    no_data: int
    insufficient: int
    under_sampled: int
    well_sampled: int


class GapRanking(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of an area that are most worth a visit, best first.

    `matching` cells have the states asked for; `gaps` are the first of them. `coarse_records` are
    too uncertain for this resolution and count in no cell. `held_back`: records that the default
    quality filter leaves out, by reason, over the whole atlas. `notice` says why a ranking means
    nothing, where it does not.
    """

    taxa: list[GapTaxon]
    target_group: TargetGroup
    resolution: int
    lives: Lives
    as_of: dt.date
    cells: Counted
    matching: int
    coarse_records: int
    held_back: list[HeldBack]
    notice: str | None
    gaps: list[Gap]


class RecordedSpecies(msgspec.Struct, frozen=True, kw_only=True):
    """A species recorded in a cell: its records, and the visits in which it was met."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    records: int
    visits: int
    last_day: dt.date | None


class NeighbourCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell where a species was recorded, `steps` cells away."""

    cell: str
    steps: int
    records: int
    visits: int


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A record by its row; `distance_km` from the centre of the cell that is explained."""

    row_id: int
    distance_km: float
    observed_on: dt.date | None


class ExpectedSpecies(msgspec.Struct, frozen=True, kw_only=True):
    """A species that the neighbourhood leads one to expect, not recorded in the cell.

    `probability` that it would be recorded at a standard effort; `by_now`, at the effort that the
    cell has had: where that is high the species was looked for. `frequency`: the weighted share of
    the neighbourhood's cells where it was recorded; they are `cells`, the nearest `neighbours` of
    them listed. `sightings`: the nearest records, one a record, nearest first.
    """

    taxon_id: int
    scientific_name: str
    common_name: str | None
    probability: float
    by_now: float
    frequency: float
    cells: int
    neighbours: list[NeighbourCell]
    sightings: list[Sighting]


class Unrecorded(msgspec.Struct, frozen=True, kw_only=True):
    """Species expected in a cell and not recorded there, most probable first (Frescalo, Hill 2012).

    Not `reliable` where the neighbourhood is too thin; `why` says so in words, and then no species
    is listed. `cells` neighbours were searched; by their weights they count as `effective_cells`.
    `phi`: frequency-weighted mean frequency in the neighbourhood; `alpha`: what its effort must be
    multiplied by to reach the standard, above 1 where under-recorded. `expected_richness`: species
    of the cell at that effort. `more` species are above the least probability and not listed.
    """

    reliable: bool
    why: str
    cells: int
    effective_cells: float
    phi: float | None
    alpha: float | None
    expected_richness: float | None
    species: list[ExpectedSpecies]
    more: int


class GapDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything behind one cell's numbers.

    `thresholds` are the settings that its state and score follow from. `recorded` lists the species
    met in most visits. `coarse_records` lie somewhere in a coarser cell that holds this one.
    """

    taxon: GapTaxon
    target_group: TargetGroup
    resolution: int
    lives: Lives
    as_of: dt.date
    gap: Gap
    thresholds: dict[str, float]
    recorded: list[RecordedSpecies]
    unrecorded: Unrecorded
    coarse_records: int
    held_back: list[HeldBack]
