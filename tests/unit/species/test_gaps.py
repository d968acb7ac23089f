"""States of cells: when coverage may speak, and what it says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.species.completeness import incidence_completeness
from atlas.species.gaps import (
    INSUFFICIENT,
    NO_DATA,
    STATES,
    UNDER_SAMPLED,
    WELL_SAMPLED,
    GapSettings,
    assess,
    cell_states,
)
from atlas.species.occupancy import UNKNOWN_DAY, CellCounts

SETTINGS = GapSettings()
TODAY = 20_000


@dataclasses.dataclass
class Visited:
    """A cell as its visits describe it: in how many of `visits` each species was met."""

    visits: int
    incidences: tuple[int, ...] = ()
    records: int | None = None
    last_day: int = UNKNOWN_DAY


def counts_of(cells: list[Visited]) -> CellCounts:
    """The counts that a catalog would hold of these cells."""

    def column(values: list[Any], dtype: Any = np.int64) -> Any:
        return np.array(values, dtype)

    met = [np.array(cell.incidences, np.int64) for cell in cells]
    n = [cell.visits if cell.records is None else cell.records for cell in cells]
    days = column([cell.last_day for cell in cells], np.int32)
    return CellCounts(
        cell=np.arange(1, len(cells) + 1).astype(np.uint64),
        n=column(n),
        observers=column([min(cell.visits, 1) for cell in cells]),
        visits=column([cell.visits for cell in cells]),
        incidences=column([seen.sum() for seen in met]),
        species=column([len(seen) for seen in met]),
        q1=column([(seen == 1).sum() for seen in met]),
        q2=column([(seen == 2).sum() for seen in met]),
        first_day=days,
        last_day=days,
        min_uncertainty_m=column([np.nan] * len(cells), np.float32),
    )


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        (Visited(0), NO_DATA),
        (Visited(0, records=3), INSUFFICIENT),
        (Visited(1, (1,)), INSUFFICIENT),
        (Visited(9, (9, 9, 9)), INSUFFICIENT),
        (Visited(10, (10, 9, 9, 8)), WELL_SAMPLED),
        (Visited(40, (1,) * 30 + (2,) * 5), INSUFFICIENT),
        (Visited(40, (5,) * 10 + (1,) * 12 + (2,) * 2), UNDER_SAMPLED),
        (Visited(500), INSUFFICIENT),
        (Visited(50, (3,) * 4 + (2,) * 8), UNDER_SAMPLED),
    ],
    ids=[
        "nobody",
        "undated",
        "one record has coverage 1 and says nothing",
        "one visit short",
        "well",
        "nearly every species once",
        "half of the visits' finds are new",
        "searched, none recorded",
        "coverage 1 with two visits a species",
    ],
)
def test_states(cell: Visited, state: int) -> None:
    """A cell is never called well sampled on few visits, nor on few visits a species."""
    assert STATES[cell_states(counts_of([cell]), SETTINGS)[0]] == STATES[state]


def test_thresholds_are_settings() -> None:
    """Another field, another gate: each threshold must move the state."""
    cell = counts_of([Visited(12, (6,) * 6 + (1,) * 2)])
    assert cell_states(cell, SETTINGS) == WELL_SAMPLED
    for stricter in (GapSettings(least_visits=13), GapSettings(least_visits_per_species=5.0)):
        assert cell_states(cell, stricter) == INSUFFICIENT
    for stricter in (GapSettings(well_coverage=0.99), GapSettings(well_visits_per_species=5.0)):
        assert cell_states(cell, stricter) == UNDER_SAMPLED


def test_numbers_are_those_of_the_estimators() -> None:
    """The arrays say of a cell what the function for one sample says."""
    met = (7, 5, 3, 2, 2, 1, 1, 1, 1)
    cells = counts_of([Visited(20, met, last_day=TODAY - 400), Visited(0)])
    found = assess(cells, SETTINGS, today=TODAY)
    alone = incidence_completeness(met, 20)
    for name in ("coverage", "richness", "lower", "upper", "slope"):
        assert getattr(found, name)[0] == pytest.approx(getattr(alone, name))
        assert np.isnan(getattr(found, name)[1])
    assert found.slope[0] == pytest.approx(4 / 20)
    assert found.ignorance.tolist() == pytest.approx([5 / 25, 1.0])
    assert found.days_since[0] == 400
    assert np.isnan(found.days_since[1])


def test_visits_of_a_wider_group_count_as_search() -> None:
    """A family is looked for in every visit of its class, so more visits mean less to come."""
    met = (3, 2, 1, 1)
    few, many = (
        assess(counts_of([Visited(visits, met)]), SETTINGS, today=TODAY) for visits in (10, 100)
    )
    assert many.slope[0] < few.slope[0]
    assert many.ignorance[0] < few.ignorance[0]


def test_a_day_after_today_is_no_negative_age() -> None:
    """A record dated tomorrow (another time zone) is of today."""
    found = assess(counts_of([Visited(1, (1,), last_day=TODAY + 1)]), SETTINGS, today=TODAY)
    assert found.days_since[0] == 0


@given(
    st.lists(st.integers(1, 30), max_size=40).flatmap(
        lambda met: st.tuples(st.just(tuple(met)), st.integers(max(met, default=0), 60))
    )
)
def test_bounds(sample: tuple[tuple[int, ...], int]) -> None:
    """Whatever was met: shares are shares, at least means at least, states follow the counts."""
    met, visits = sample
    counts = counts_of([Visited(visits, met)])
    found = assess(counts, SETTINGS, today=TODAY)
    assert found.state == cell_states(counts, SETTINGS)
    assert 0.0 < found.ignorance[0] <= 1.0
    if met:
        assert 0.0 <= found.coverage[0] <= 1.0
        assert len(met) <= found.lower[0] <= found.richness[0] <= found.upper[0]
    if found.state == WELL_SAMPLED:
        assert visits >= SETTINGS.least_visits
        assert found.coverage[0] >= SETTINGS.well_coverage
