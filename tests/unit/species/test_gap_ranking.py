"""The score of a cell and what it borrows from its neighbours."""

from __future__ import annotations

from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.species.gap_ranking import Scores, best, neighbourhood_mean, recency_of, score
from atlas.species.gaps import GapSettings, assess
from atlas.species.neighbours import around, neighbour_table, runs
from tests.unit.species.test_gaps import TODAY, Visited, counts_of

CENTRE = h3.latlng_to_cell(10.0, -84.0, 4)
SETTINGS = GapSettings()


def scored(cells: dict[int, Visited], typical: float = 1.0, **settings: Any) -> tuple[Any, Scores]:
    """Scores of a disk of cells around the centre, of which these were visited."""
    chosen = GapSettings(**settings)
    disk = np.sort(around(CENTRE, 8)[0])
    counts = counts_of([cells.get(cell, Visited(0)) for cell in disk.tolist()])
    assessed = assess(counts, chosen, today=TODAY)
    found = score(
        assessed,
        visits=counts.visits,
        incidences=counts.incidences.astype(float),
        singles=counts.q1.astype(float),
        neighbours=neighbour_table(disk),
        typical=np.full(len(disk), typical),
        settings=chosen,
    )
    return {cell: place for place, cell in enumerate(disk.tolist())}, found


def test_an_unvisited_cell_expects_what_its_neighbours_meet() -> None:
    """Of a first visit everything is new: as many species as a visit next door meets."""
    beside = h3.grid_ring(CENTRE, 1)[0]
    place, found = scored({beside: Visited(4, (4, 4, 4))}, typical=9.0)
    # Four visits next door, and the region's mean as the word of two more.
    assert found.expected_new[place[CENTRE]] == pytest.approx((4 * 3 + 2 * 9) / (4 + 2))
    assert found.near[place[CENTRE]]
    far = h3.grid_ring(CENTRE, 8)[0]
    if h3.grid_distance(far, beside) > SETTINGS.rings:
        assert not found.near[place[far]]
        assert found.expected_new[place[far]] == pytest.approx(9.0)


def test_a_cell_does_not_borrow_from_itself() -> None:
    """One lucky visit must not confirm itself; with no neighbours the atlas's mean tempers it."""
    place, found = scored({CENTRE: Visited(1, (1,) * 60)}, typical=3.0)
    here = place[CENTRE]
    assert not found.near[here]
    assert found.first_visit[here] == pytest.approx(3.0)
    assert found.expected_new[here] == pytest.approx((60 + 2 * 3) / (1 + 2))


def test_visits_outweigh_the_neighbours() -> None:
    """With many visits Q1 / T decides, with few the neighbourhood has its say."""
    beside = {cell: Visited(10, (10,) * 5) for cell in h3.grid_ring(CENTRE, 1)}
    place, few = scored(beside | {CENTRE: Visited(1, ())})
    _, many = scored(beside | {CENTRE: Visited(1000, (500, 1))})
    first = (60 * 5 + 2 * 1) / 62
    assert few.first_visit[place[CENTRE]] == pytest.approx(first)
    assert few.expected_new[place[CENTRE]] == pytest.approx(2 * first / 3)
    assert many.expected_new[place[CENTRE]] == pytest.approx((1 + 2 * first) / 1002)


def test_nearer_neighbours_weigh_more() -> None:
    """A poor cell next door and a rich one two steps off: the mean leans to the one next door."""
    near, far = h3.grid_ring(CENTRE, 1)[0], h3.grid_ring(CENTRE, 2)[6]
    place, found = scored({near: Visited(99, (99,)), far: Visited(99, (99,) * 3)}, typical=2.0)
    assert 1.0 < found.first_visit[place[CENTRE]] < 1.9


def test_one_visit_next_door_is_no_mean() -> None:
    """A neighbour with a single rich visit must not put all the cells around it first."""
    lucky, steady = h3.grid_ring(CENTRE, 6)[0], h3.grid_ring(CENTRE, 6)[18]
    place, found = scored({lucky: Visited(1, (1,) * 6), steady: Visited(40, (40,) * 5)})
    beside = [next(iter(h3.grid_ring(cell, 1))) for cell in (lucky, steady)]
    assert found.first_visit[place[beside[0]]] < found.first_visit[place[beside[1]]]


def test_the_score_is_made_of_its_parts() -> None:
    """What the answer shows must give the score by the documented formula."""
    cells = {CENTRE: Visited(6, (3, 2, 1, 1), last_day=TODAY - 3652)}
    place, found = scored(cells, recency_weight=0.25, half_life_years=10.0)
    here = place[CENTRE]
    ignorance = 5.0 / (5.0 + 6.0)
    assert found.recency[here] == pytest.approx(0.5, abs=1e-3)
    assert found.score[here] == pytest.approx(
        found.expected_new[here] * (0.75 * ignorance + 0.25 * found.recency[here])
    )


def test_old_visits_rank_before_new_ones() -> None:
    """Of two cells alike the one that was left alone longer is worth more."""
    cells = h3.grid_ring(CENTRE, 6)
    place, found = scored(
        {
            cells[0]: Visited(6, (3, 1), last_day=TODAY - 9000),
            cells[18]: Visited(6, (3, 1), last_day=TODAY - 10),
        }
    )
    assert found.score[place[cells[0]]] > found.score[place[cells[18]]]


def test_recency() -> None:
    """Today 0, one half after the half life, 1 where nobody was."""
    days = np.array([0.0, 3652.5, 7305.0, np.nan])
    assert recency_of(days, 10.0).tolist() == pytest.approx([0.0, 0.5, 0.75, 1.0])


def test_pentagons_and_the_edge_keep_means_true() -> None:
    """Where all neighbours meet two species a visit the mean is two, pentagon or not."""
    pentagon = h3.get_pentagons(4)[3]
    cells = np.sort(around(pentagon, 5)[0])
    effort = np.full(len(cells), 3.0)
    typical = np.full(len(cells), 2.0)
    mean, near = neighbourhood_mean(
        2.0 * effort, effort, neighbour_table(cells), rings=3, otherwise=typical, worth=2.0
    )
    assert near.all()
    assert mean == pytest.approx(np.full(len(cells), 2.0))


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), min_size=1, max_size=60),
    st.integers(1, 70),
    st.randoms(),
)
def test_best_is_the_front_of_the_full_order(
    cells: list[tuple[float, int]], limit: int, random: Any
) -> None:
    """Ties by richness, then by position, however many are asked for: lists must not shuffle."""
    values = np.array([score for score, _ in cells]).round(1)
    richness = np.array([rich for _, rich in cells], float)
    keep = np.array([random.random() < 0.8 for _ in cells])
    none = np.zeros(len(cells))
    scores = Scores(none, none, none > 0, none, values, richness)
    order = sorted(range(len(cells)), key=lambda i: (-values[i], -richness[i], i))
    assert best(scores, keep, limit).tolist() == [i for i in order if keep[i]][:limit]


def test_equal_scores_go_where_the_cells_around_are_rich() -> None:
    """With one species a visit all unvisited cells score alike: the richer surroundings lead."""
    rings = [
        h3.grid_ring(cell, 1) for cell in (h3.grid_ring(CENTRE, 5)[0], h3.grid_ring(CENTRE, 5)[15])
    ]
    poor, rich = (
        dict.fromkeys(ring, Visited(12, met))
        for ring, met in zip(rings, ((12,), (3, 3, 2, 2, 1, 1)), strict=True)
    )
    place, found = scored(poor | rich)
    middles = [place[h3.grid_ring(CENTRE, 5)[i]] for i in (0, 15)]
    assert found.score[middles[0]] == pytest.approx(found.score[middles[1]])
    keep = np.isin(np.arange(len(place)), middles)
    assert best(found, keep, 2).tolist() == middles[::-1]


@pytest.mark.parametrize("centre", [CENTRE, h3.get_pentagons(4)[0]])
def test_neighbours_against_h3(centre: int) -> None:
    """Positions of neighbours, rings and pentagons as H3 itself has them."""
    disk, steps = around(centre, 3)
    assert disk[0] == centre
    for cell, step in zip(disk.tolist(), steps.tolist(), strict=True):
        assert h3.grid_distance(centre, cell) == step
    cells = np.sort(disk)
    for cell, row in zip(cells.tolist(), neighbour_table(cells), strict=True):
        listed = set(cells[row[row >= 0]].tolist())
        assert listed == set(h3.grid_disk(cell, 1)) - {cell} & set(cells.tolist()) - {cell}


@given(st.sets(st.integers(0, 500), max_size=40), st.integers(1, 9))
def test_runs_hold_every_cell(numbers: set[int], most: int) -> None:
    """No cell may fall between the ranges that are read, and the ranges must not overlap."""
    cells = np.array(sorted(numbers), np.uint64)
    found = runs(cells, most)
    assert len(found) <= most
    assert all(any(low <= cell <= high for low, high in found) for cell in numbers)
    flat = [edge for pair in found for edge in pair]
    assert flat == sorted(flat)
    assert set(flat) <= numbers
