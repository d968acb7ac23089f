"""Which cells are most worth a visit: what a visit would add, ignorance and recency, as one score.

A cell that few have visited borrows from its neighbours. Pure functions over arrays of cells; any
thread. Knows nothing of catalogs, places or words.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from atlas.species.gaps import Assessment, GapSettings
from atlas.species.neighbours import around, neighbour_table

Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.int32]
DAYS_A_YEAR = 365.25
_DECIMALS = 4


class Scores(NamedTuple):
    """What a cell's place in the ranking is made of, arrays (n,).

    `expected_new`: species that the next visit is expected to add, from the cell's own visits and
    from `first_visit`, what a visit in the neighbourhood meets. `near` tells where neighbours were
    visited; elsewhere `first_visit` is that of a wider region. `recency`: 0 for a record of today,
    to 1 for one long ago or none. `score` = expected_new · ((1 - w) · ignorance + w · recency).
    `richness`: species of the cells around, at least, by which equal scores are ordered: where each
    visit leaves one record, all cells without data have the same score.
    """

    expected_new: Floats
    first_visit: Floats
    near: npt.NDArray[np.bool_]
    recency: Floats
    score: Floats
    richness: Floats


def score(
    assessed: Assessment,
    *,
    visits: npt.NDArray[np.int64],
    incidences: Floats,
    singles: Floats,
    neighbours: Table,
    typical: Floats,
    settings: GapSettings,
) -> Scores:
    """Score n cells, whose neighbours are positions among them (`neighbour_table`).

    `incidences` U and `singles` Q1 may be weighted sums over taxa. `typical` (n,) is the
    number of species that a visit meets in the wider region.

    The next visit of a cell with T visits is expected to add (Q1 + v · b) / (T + v) species: Q1 / T
    (Good 1953, Biometrika 40:237) drawn towards b, the species that a visit in the neighbourhood
    meets, as if that were the word of v = `prior_visits` further visits. A cell that was never
    visited is expected to give b, for there all species are new; with T the neighbours' word fades.
    b in turn is drawn towards `typical` (`neighbourhood_mean`).
    """
    effort = visits.astype(np.float64)
    first_visit, near = neighbourhood_mean(
        incidences,
        effort,
        neighbours,
        rings=settings.rings,
        otherwise=typical,
        worth=settings.prior_visits,
    )
    worth = settings.prior_visits
    expected_new = (singles + worth * first_visit) / (visits + worth)
    recency = recency_of(assessed.days_since, settings.half_life_years)
    weight = settings.recency_weight
    total = expected_new * ((1.0 - weight) * assessed.ignorance + weight * recency)
    richness, _ = neighbourhood_mean(
        np.nan_to_num(assessed.richness) * effort,
        effort,
        neighbours,
        rings=settings.rings,
        otherwise=np.zeros(len(effort)),
        worth=worth,
    )
    return Scores(expected_new, first_visit, near, recency, total, richness)


def recency_of(days_since: Floats, half_life_years: float) -> Floats:
    """1 - 2^(-age / half life): 0 today, one half at the half life, 1 for NaN (never)."""
    age = days_since / (DAYS_A_YEAR * half_life_years)
    found: Floats = np.where(np.isnan(age), 1.0, 1.0 - np.exp2(-age))
    return found


def neighbourhood_mean(
    total: Floats,
    effort: Floats,
    neighbours: Table,
    *,
    rings: int,
    otherwise: Floats,
    worth: float,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return `total` per `effort` over each cell's neighbours, (n,), and whether they had effort.

    Both are smoothed apart and then divided. The cell itself does not count. A neighbour's weight
    is the number of ways that lead there in `rings` steps, a cell beside it having weight 1, so it
    falls with distance and ends at `rings`. The mean is drawn towards `otherwise` (n,), the mean of
    a wider region, as if that were the word of `worth` units of effort: one visit is no mean.
    """
    own, beside = _weights(rings)
    smooth_effort = np.maximum(_spread(effort, neighbours, rings) - own * effort, 0.0) / beside
    smooth_total = np.maximum(_spread(total, neighbours, rings) - own * total, 0.0) / beside
    mean = (smooth_total + worth * otherwise) / (smooth_effort + worth)
    # Effort comes in whole visits, and the least weight is one way: less is rounding.
    return mean, smooth_effort > 0.5 / beside


def best(scores: Scores, keep: npt.NDArray[np.bool_], limit: int) -> npt.NDArray[np.int64]:
    """Positions of the `limit` highest scores among `keep`, best first.

    Scores that are equal to four decimals stand in the order of the richness around, then of
    positions.
    """
    positions = np.flatnonzero(keep)
    rounded = np.round(scores.score[positions], _DECIMALS)
    if len(positions) > limit:
        least = np.partition(rounded, len(rounded) - limit)[len(rounded) - limit]
        positions, rounded = positions[rounded >= least], rounded[rounded >= least]
    order = np.lexsort((positions, -scores.richness[positions], -rounded))
    found: npt.NDArray[np.int64] = positions[order][:limit]
    return found


def _spread(values: Floats, neighbours: Table, rings: int) -> Floats:
    """Each cell's value and its neighbours', summed, `rings` times over."""
    # One place more at the end, which is where the -1 of a missing neighbour points.
    padded = np.zeros(len(values) + 1)
    padded[:-1] = values
    for _ in range(rings):
        total = padded[:-1].copy()
        for column in neighbours.T:
            total += padded[column]
        padded[:-1] = total
    return padded[:-1]


@cache
def _weights(rings: int) -> tuple[float, float]:
    """How many ways of `rings` steps lead from a hexagon to itself, and to a cell beside it.

    From a pentagon fewer do, so its neighbours count for a little less; all twelve lie at sea.
    """
    centre = h3.latlng_to_cell(10.0, 10.0, 9)  # far from every pentagon
    cells, steps = around(centre, rings)
    order = np.argsort(cells)
    alone = (steps[order] == 0).astype(np.float64)
    ways = _spread(alone, neighbour_table(cells[order]), rings)
    return float(ways[steps[order] == 0][0]), float(ways[steps[order] == 1][0])
