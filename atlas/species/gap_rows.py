"""One assessed cell as an answer shows it: numbers rounded, neighbours summed, reason in words.

Pure functions over arrays of cells; any thread.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from atlas.geo.cells import area_km2, format_cell
from atlas.species.gap_answers import Gap, Lives, Sampling, Score
from atlas.species.gap_area import Area
from atlas.species.gap_counts import GroupCounts
from atlas.species.gap_ranking import Scores
from atlas.species.gap_words import BorrowedFrom, Facts, Nearby, reason
from atlas.species.gaps import STATES, UNDER_SAMPLED, Assessment
from atlas.species.kernel import disks
from atlas.species.occupancy import UNKNOWN_DAY

_EPOCH = dt.date(1970, 1, 1)


class Assessed(NamedTuple):
    """All that is known of the cells of an area.

    `level` is the resolution of the region whose mean a cell borrows where no neighbour was
    visited, -1 for the whole atlas. `visited`: whether any visit of the group is known.
    """

    area: Area
    counted: GroupCounts
    assessment: Assessment
    scores: Scores
    level: npt.NDArray[np.int8]
    visited: bool
    lives: Lives
    rings: int


def gaps_of(
    assessed: Assessed, positions: npt.NDArray[np.int64], *, what: str, group: str
) -> list[Gap]:
    """The cells at these positions; `what` names the taxa asked for, `group` those who look."""
    areas = area_km2(assessed.area.cells[positions])
    around = nearby(assessed, positions)
    return [
        _gap(assessed, position, float(area), near, what, group)
        for position, area, near in zip(positions.tolist(), areas, around, strict=True)
    ]


def _gap(
    assessed: Assessed, position: int, area: float, near: Nearby, what: str, group: str
) -> Gap:
    cell = int(assessed.area.cells[position])
    latitude, longitude = h3.cell_to_latlng(cell)
    sampling = _sampling(assessed, position)
    parts = _score(assessed, position)
    state = STATES[assessed.assessment.state[position]]
    unseen = None if sampling.richness is None else sampling.richness - sampling.species
    facts = Facts(
        what=what,
        group=group,
        state=state,
        records=sampling.records,
        visits=sampling.visits,
        species=sampling.species,
        coverage=sampling.coverage,
        unseen=unseen,
        days_since=sampling.days_since,
        first_visit=parts.first_visit_species,
        borrowed_from=parts.borrowed_from,
        expected_new=parts.expected_new_species,
        nearby=near,
    )
    return Gap(
        cell=format_cell(cell),
        latitude=round(latitude, 5),
        longitude=round(longitude, 5),
        area_km2=round(area, 3),
        land_share=round(float(assessed.area.land_share[position]), 3),
        state=state,
        reason=reason(facts),
        score=parts,
        sampling=sampling,
        nearby=near,
    )


def nearby(assessed: Assessed, positions: npt.NDArray[np.int64]) -> list[Nearby]:
    """What the cells around each of these hold, the cell itself not among them."""
    owner, found, steps = disks(assessed.area.cells[positions], assessed.rings)
    owner, found = owner[steps > 0], found[steps > 0]
    other = np.searchsorted(assessed.area.cells, found)
    counts = assessed.counted.counts
    enough = assessed.assessment.state[other] >= UNDER_SAMPLED
    richness = np.where(enough, assessed.assessment.richness[other], 0.0)

    def total(values: npt.NDArray[Any]) -> list[float]:
        return np.bincount(owner, values, len(positions)).tolist()  # type: ignore[no-any-return]

    visits = counts.visits[other]
    columns = zip(
        np.bincount(owner, minlength=len(positions)).tolist(),
        total(visits > 0),
        total(visits),
        total(counts.incidences[other]),
        total(enough),
        total(richness),
        strict=True,
    )
    return [
        Nearby(
            rings=assessed.rings,
            cells=cells,
            visited=int(visited),
            visits=int(made),
            species_a_visit=round(met / made, 3) if made else None,
            assessed=int(known),
            richness=round(species / known, 1) if known else None,
        )
        for cells, visited, made, met, known, species in columns
    ]


def _score(assessed: Assessed, position: int) -> Score:
    scores = assessed.scores
    return Score(
        score=_rounded(scores.score[position]) or 0.0,
        expected_new_species=_rounded(scores.expected_new[position]) or 0.0,
        first_visit_species=_rounded(scores.first_visit[position]) or 0.0,
        borrowed_from=_borrowed_from(assessed, position),
        ignorance=_rounded(assessed.assessment.ignorance[position]) or 0.0,
        recency=_rounded(scores.recency[position]) or 0.0,
        richness_around=_rounded(scores.richness[position], 2) or 0.0,
    )


def _borrowed_from(assessed: Assessed, position: int) -> BorrowedFrom:
    if assessed.scores.near[position]:
        return "cells around"
    return "the region" if assessed.level[position] >= 0 else "the whole atlas"


def _sampling(assessed: Assessed, position: int) -> Sampling:
    counts, found = assessed.counted.counts, assessed.assessment
    last_day, days = int(counts.last_day[position]), float(found.days_since[position])
    return Sampling(
        records=int(assessed.counted.own_n[position]),
        visits=int(counts.visits[position]),
        observers=int(counts.observers[position]),
        species=int(counts.species[position]),
        incidences=int(counts.incidences[position]),
        once=int(counts.q1[position]),
        twice=int(counts.q2[position]),
        coverage=_rounded(found.coverage[position]),
        richness=_rounded(found.richness[position], 2),
        richness_lower=_rounded(found.lower[position], 2),
        richness_upper=_rounded(found.upper[position], 2),
        slope=_rounded(found.slope[position]),
        last_day=None if last_day == UNKNOWN_DAY else _EPOCH + dt.timedelta(days=last_day),
        days_since=None if math.isnan(days) else int(days),
    )


def _rounded(value: float, digits: int = 4) -> float | None:
    """None for NaN, which JSON cannot carry."""
    return None if math.isnan(value) else round(float(value), digits)
