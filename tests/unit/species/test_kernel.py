"""Disks, smoothing and rates against loops and published intervals."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.geo.cells import cells_of
from atlas.species import kernel
from atlas.species.kernel import disks, reporting_rate, smoothed, smoothed_rate

RESOLUTION = 3
PENTAGON = h3.get_pentagons(RESOLUTION)[4]
AROUND = np.array(sorted(h3.grid_disk(PENTAGON, 3)), np.uint64)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("rings", [0, 1, 4])
def test_disks_are_h3s_own(fast: bool, rings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries, at a pentagon and at the antimeridian, give the same neighbours and steps."""
    if not fast:
        monkeypatch.setattr(kernel, "_fast_disks", None)
    cells = np.append(cells_of([0.0, 89.9], [180.0, 0.0], RESOLUTION), np.uint64(PENTAGON))
    found = {(int(o), int(c), int(s)) for o, c, s in zip(*disks(cells, rings), strict=True)}
    expected = {
        (position, neighbour, step)
        for position, cell in enumerate(cells.tolist())
        for step in range(rings + 1)
        for neighbour in h3.grid_ring(cell, step)
    }
    assert found == expected


def test_smoothed_is_the_weighted_sum() -> None:
    """Every listed cell within the rings, by its steps, and no other."""
    rng = np.random.default_rng(3)
    cells = rng.permutation(AROUND)[:25]
    values = rng.integers(0, 9, len(cells)).astype(float)
    at = AROUND[::4]
    of = dict(zip(cells.tolist(), values.tolist(), strict=True))
    expected = [
        sum(
            of.get(cell, 0.0) * (1 - (step / 3) ** 2) ** 2
            for step in range(3)
            for cell in h3.grid_ring(place, step)
        )
        for place in at.tolist()
    ]
    found = smoothed(cells, values, at, rings=2)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(
        smoothed(cells, np.stack([values, 2 * values], axis=1), at, rings=2),
        np.stack([found, 2 * found], axis=1),
    )


def test_smoothing_nothing() -> None:
    """No cells, or nowhere to smooth them, is no error."""
    none = np.zeros(0, np.uint64)
    assert smoothed(none, [], AROUND[:2], rings=1).tolist() == [0.0, 0.0]
    assert smoothed(AROUND[:2], [1.0, 2.0], none, rings=1).tolist() == []
    with pytest.raises(ValueError, match="values of shape"):
        smoothed(AROUND[:2], [1.0], AROUND, rings=1)
    with pytest.raises(ValueError, match="rings"):
        disks(AROUND, -1)


def test_effort_does_not_show_in_the_rate() -> None:
    """Where a tenth of all records is the species, the rate is a tenth however many there are."""
    effort = np.arange(len(AROUND)) * 10.0
    rate = smoothed_rate(AROUND, effort / 10.0, effort, rings=1)
    np.testing.assert_allclose(rate, 0.1)
    nobody = smoothed_rate(AROUND[:1], [0.0], [0.0], rings=1)
    assert np.isnan(nobody).all()


def test_a_prior_holds_a_single_record_down() -> None:
    """One record in a place with one visit is not certainty."""
    cells = np.array([h3.latlng_to_cell(0, lon, RESOLUTION) for lon in (10, 60)], np.uint64)
    records, effort = [1.0, 10.0], [1.0, 1000.0]
    assert smoothed_rate(cells, records, effort, rings=1)[0] == 1.0
    held = smoothed_rate(cells, records, effort, rings=1, prior=10.0)
    assert held[0] == pytest.approx((1 + 10 * 11 / 1001) / 11)


@pytest.mark.parametrize(
    ("records", "effort", "lower", "upper"),
    # Newcombe 1998 (Stat. Med. 17:857), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(records: int, effort: int, lower: float, upper: float) -> None:
    """Wilson's interval to the printed digits; at none it begins at 0 exactly."""
    found = reporting_rate([records], [effort])
    assert found.rate[0] == pytest.approx(records / effort)
    assert (round(found.lower[0], 4), round(found.upper[0], 4)) == (lower, upper)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20))
def test_rates_lie_within_their_interval(pairs: list[tuple[int, int]]) -> None:
    """A share of records, an interval around it within 0 and 1, NaN without effort."""
    records = np.array([min(pair) for pair in pairs])
    effort = np.array([max(pair) for pair in pairs])
    found = reporting_rate(records, effort)
    known = effort > 0
    assert np.isnan(found.rate[~known]).all()
    rate, lower, upper = (values[known] for values in found)
    assert ((lower >= 0) & (lower <= rate) & (rate <= upper) & (upper <= 1)).all()


def test_more_records_than_effort_are_refused() -> None:
    """The species' records are among its group's; otherwise the wrong group was given."""
    with pytest.raises(ValueError, match="between 0 and the effort"):
        reporting_rate([2], [1])
