"""One assessed cell as an answer shows it: numbers rounded, neighbours summed, reason in words.

Pure functions over arrays of cells; any thread.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import NamedTuple

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
from atlas.species.neighbours import around
from atlas.species.occupancy import UNKNOWN_DAY

_EPOCH = dt.date(1970, 1, 1)


class Assessed(NamedTuple):
    """All that is known of the cells of an area.

    `level` is the resolution of the region whose mean a cell borrows where no neighbour was
    visited, -1 for the whole atlas.
    """

    area: Area
    counted: GroupCounts
    assessment: Assessment
    scores: Scores
    level: npt.NDArray[np.int8]
    lives: Lives
    rings: int


def gap_of(assessed: Assessed, position: int, *, what: str, group: str) -> Gap:
    """The cell at a position; `what` names the taxa asked for, `group` those who look for them."""
    cell = int(assessed.area.cells[position])
    latitude, longitude = h3.cell_to_latlng(cell)
    sampling = _sampling(assessed, position)
    parts = _score(assessed, position)
    near = nearby(assessed, cell)
    state = STATES[assessed.assessment.state[position]]
    return Gap(
        cell=format_cell(cell),
        latitude=round(latitude, 5),
        longitude=round(longitude, 5),
        area_km2=round(float(area_km2([cell])[0]), 3),
        land_share=round(float(assessed.area.land_share[position]), 3),
        state=state,
        reason=reason(
            Facts(
                what=what,
                group=group,
                state=state,
                records=sampling.records,
                visits=sampling.visits,
                species=sampling.species,
                coverage=sampling.coverage,
                unseen=None if sampling.richness is None else sampling.richness - sampling.species,
                slope=sampling.slope,
                days_since=sampling.days_since,
                first_visit=parts.first_visit_species,
                borrowed_from=parts.borrowed_from,
                expected_new=parts.expected_new_species,
                nearby=near,
            )
        ),
        score=parts,
        sampling=sampling,
        nearby=near,
    )


def nearby(assessed: Assessed, cell: int) -> Nearby:
    """What the cells around one hold, that one not among them."""
    cells, _ = around(cell, assessed.rings)
    others = np.sort(cells[1:])
    positions = np.searchsorted(assessed.area.cells, others)
    counts = assessed.counted.counts
    visits = counts.visits[positions]
    enough = assessed.assessment.state[positions] >= UNDER_SAMPLED
    total = int(visits.sum())
    richness = assessed.assessment.richness[positions][enough]
    return Nearby(
        rings=assessed.rings,
        cells=len(others),
        visited=int((visits > 0).sum()),
        visits=total,
        species_a_visit=round(float(counts.incidences[positions].sum()) / total, 3)
        if total
        else None,
        assessed=int(enough.sum()),
        richness=round(float(richness.mean()), 1) if len(richness) else None,
    )


def _score(assessed: Assessed, position: int) -> Score:
    scores = assessed.scores
    return Score(
        score=_rounded(scores.score[position]) or 0.0,
        expected_new_species=_rounded(scores.expected_new[position]) or 0.0,
        first_visit_species=_rounded(scores.first_visit[position]) or 0.0,
        borrowed_from=_borrowed_from(assessed, position),
        ignorance=_rounded(assessed.assessment.ignorance[position]) or 0.0,
        recency=_rounded(scores.recency[position]) or 0.0,
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
