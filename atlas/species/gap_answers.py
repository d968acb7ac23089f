"""What is said of gaps: the cells in their order, and everything behind one of them. Pure data."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from atlas.species.distribution import TargetGroup
from atlas.species.gap_words import Nearby
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
    cells around this one or, where these were not visited, from the whole atlas (`borrowed_from`).
    `ignorance` and `recency` run from 0 to 1: 1 where nobody ever was.
    """

    score: float
    expected_new_species: float
    first_visit_species: float
    borrowed_from: Literal["cells around", "the whole atlas"]
    ignorance: float
    recency: float


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
    quality filter leaves out, by reason, over the whole atlas.
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
    gaps: list[Gap]
