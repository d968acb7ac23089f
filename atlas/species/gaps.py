"""How well each cell is sampled for a target group, in numbers and in one of four states.

Unit of incidence is the visit: one cell, day and observer. Every richness is a lower bound. Pure
functions over arrays of cells; any thread. Knows nothing of places, catalogs or rankings.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from atlas.species.completeness import completeness_of, ignorance
from atlas.species.occupancy import UNKNOWN_DAY, CellCounts

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

SamplingState = Literal["no_data", "insufficient", "under_sampled", "well_sampled"]
STATES: tuple[SamplingState, ...] = ("no_data", "insufficient", "under_sampled", "well_sampled")
NO_DATA, INSUFFICIENT, UNDER_SAMPLED, WELL_SAMPLED = range(4)
MEANINGS: dict[SamplingState, str] = {
    "no_data": "no record of the target group",
    "insufficient": "too few visits for an estimate",
    "under_sampled": "visited, with many species still to be recorded",
    "well_sampled": "a further record is most likely of a species already recorded",
}


class GapSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides a cell's state and its place in the ranking; docs/gaps.md has the sources."""

    least_visits: Annotated[
        int, Meta(ge=1, le=10_000, description="visits below which a cell's data are insufficient")
    ] = 10
    least_visits_per_species: Annotated[
        float,
        Meta(ge=1, le=100, description="visits a species, on average, below which they are too"),
    ] = 1.5
    well_coverage: Annotated[
        float, Meta(gt=0, le=1, description="sample coverage from which a cell is well sampled")
    ] = 0.9
    well_visits_per_species: Annotated[
        float, Meta(ge=1, le=1000, description="visits a species that a well sampled cell needs")
    ] = 3.0
    half_ignorance_visits: Annotated[
        float, Meta(gt=0, le=10_000, description="visits at which ignorance is one half")
    ] = 5.0
    half_life_years: Annotated[
        float, Meta(gt=0, le=1000, description="years after which half of a visit is out of date")
    ] = 10.0
    recency_weight: Annotated[
        float, Meta(ge=0, le=1, description="weight of recency beside ignorance in the score")
    ] = 0.5
    prior_visits: Annotated[
        float, Meta(gt=0, le=1000, description="visits that the neighbourhood's word is worth")
    ] = 2.0
    rings: Annotated[
        int, Meta(ge=1, le=10, description="how far a cell borrows from its neighbours, in rings")
    ] = 3
    habitat_share: Annotated[
        float,
        Meta(gt=0.5, le=1, description="share of records on land (at sea) that makes it so"),
    ] = 0.75
    least_habitat: Annotated[
        float, Meta(gt=0, le=1, description="share of a cell's area that must be habitable")
    ] = 0.1
    max_cells: Annotated[
        int, Meta(ge=1000, le=5_000_000, description="most cells of an area that is ranked")
    ] = 300_000
    text_hits: Annotated[
        int, Meta(ge=1, le=200, description="photos of a text search whose taxa are ranked for")
    ] = 100
    text_taxa: Annotated[int, Meta(ge=1, le=50, description="most taxa that a text is read as")] = 5
    text_rank: Annotated[
        str, Meta(min_length=1, description="rank of the taxa that a text is read as")
    ] = "family"
    least_probability: Annotated[
        float, Meta(ge=0, le=1, description="least probability of a species listed as expected")
    ] = 0.5
    most_expected: Annotated[
        int, Meta(ge=1, le=500, description="most expected species listed for a cell")
    ] = 30


class Assessment(NamedTuple):
    """Cells and what their visits say, arrays (n,).

    `coverage`, `richness` (Chao2, at least) with its 95 % interval `lower` to `upper`: NaN where
    nothing was recorded in a dated visit. `slope`, new species a visit at the end of the
    accumulation curve (Q1 / T): NaN where there was no dated visit. `ignorance` from 1, never
    visited, to 0. `days_since` the last record: NaN where unknown or never. `state` int8, a place
    in `STATES`.
    """

    coverage: Floats
    richness: Floats
    lower: Floats
    upper: Floats
    slope: Floats
    ignorance: Floats
    days_since: Floats
    state: npt.NDArray[np.int8]


def cell_states(counts: CellCounts, settings: GapSettings) -> npt.NDArray[np.int8]:
    """The state of each cell, int8 (n,), places in `STATES`."""
    return _states(counts, _coverage(counts), settings)


def assess(counts: CellCounts, settings: GapSettings, *, today: int) -> Assessment:
    """Everything that a cell's counts say of its sampling; `today` in days since 1970.

    `counts.visits` may be those of a wider group than the one whose species are counted: the
    sampling units are then all visits in which the species could have been recorded.
    """
    complete = completeness_of(
        counts.species, counts.q1, counts.q2, counts.visits, counts.incidences
    )
    known = (counts.visits > 0) & (counts.incidences > 0)
    last = counts.last_day.astype(np.float64)
    return Assessment(
        coverage=np.where(known, complete.coverage, np.nan),
        richness=np.where(known, complete.richness, np.nan),
        lower=np.where(known, complete.lower, np.nan),
        upper=np.where(known, complete.upper, np.nan),
        slope=np.where(counts.visits > 0, complete.slope, np.nan),
        ignorance=ignorance(counts.visits, settings.half_ignorance_visits),
        days_since=np.where(counts.last_day == UNKNOWN_DAY, np.nan, np.maximum(today - last, 0.0)),
        state=_states(counts, complete.coverage, settings),
    )


def visits_per_species(counts: CellCounts) -> Floats:
    """In how many visits a cell's species were met on average, U / S; 0 where there is none."""
    found: Floats = counts.incidences / np.maximum(counts.species, 1)
    return found


def _coverage(counts: CellCounts) -> Floats:
    return completeness_of(
        counts.species, counts.q1, counts.q2, counts.visits, counts.incidences
    ).coverage


def _states(counts: CellCounts, coverage: Floats, settings: GapSettings) -> npt.NDArray[np.int8]:
    """Coverage counts only where visits and visits a species are enough for it to mean anything."""
    each = visits_per_species(counts)
    enough = (
        (counts.visits >= settings.least_visits)
        & (counts.species > 0)
        & (each >= settings.least_visits_per_species)
    )
    well = (
        enough & (coverage >= settings.well_coverage) & (each >= settings.well_visits_per_species)
    )
    found = np.full(len(counts.cell), INSUFFICIENT, np.int8)
    found[(counts.n == 0) & (counts.visits == 0)] = NO_DATA
    found[enough] = UNDER_SAMPLED
    found[well] = WELL_SAMPLED
    return found
