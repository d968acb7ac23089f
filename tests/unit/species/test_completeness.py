"""Coverage, richness and ignorance against published values, rarefaction by brute force, bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.species.completeness import (
    abundance_completeness,
    completeness_of,
    coverage_at,
    ignorance,
    incidence_completeness,
    richness_at,
)

# Spiders under girdled trees and after logging, as printed with iNEXT (Hsieh, Ma & Chao 2016).
GIRDLED = [46, 22, 17, 15, 15, 9, 8, 6, 6, 4, *[2] * 4, *[1] * 12]
LOGGED = [88, 22, 16, 15, 13, 10, 8, 8, 7, 7, 7, 5, *[4] * 3, *[3] * 4, *[2] * 4, *[1] * 14]

samples = st.lists(st.integers(0, 30), min_size=1, max_size=40).filter(any)


@pytest.mark.parametrize(
    ("counts", "n", "species", "coverage", "chao", "error", "lower", "upper"),
    [
        (GIRDLED, 168, 26, 0.9289, 43.893, 14.306, 30.511, 96.971),
        (LOGGED, 252, 37, 0.9446, 61.403, 18.532, 43.502, 128.583),
    ],
)
def test_published_estimates(
    counts: list[int],
    n: int,
    species: int,
    coverage: float,
    chao: float,
    error: float,
    lower: float,
    upper: float,
) -> None:
    """Every printed digit: a wrong factor, or 1.96 for the quantile, shows in the last one."""
    found = abundance_completeness(counts)
    assert (sum(counts), found.observed) == (n, species)
    assert round(found.coverage, 4) == coverage
    assert round(found.richness, 3) == chao
    assert round(found.standard_error, 3) == error
    assert (round(found.lower, 3), round(found.upper, 3)) == (lower, upper)
    assert found.slope == counts.count(1) / n


@pytest.mark.parametrize(
    ("counts", "m", "richness", "coverage"),
    [
        (GIRDLED, 84, 18.912, 0.900),
        (GIRDLED, 248, 30.883, 0.948),
        (GIRDLED, 336, 34.731, 0.964),
        (LOGGED, 126, 28.268, 0.908),
        (LOGGED, 371, 42.786, 0.958),
        (LOGGED, 504, 47.644, 0.969),
    ],
)
def test_published_sizes(counts: list[int], m: int, richness: float, coverage: float) -> None:
    """Rarefied and extrapolated richness and coverage to the printed digits."""
    assert round(richness_at(counts, m), 3) == richness
    assert round(coverage_at(counts, m), 3) == coverage


@pytest.mark.parametrize("m", range(7))
def test_rarefaction_is_the_mean_over_all_subsamples(m: int) -> None:
    """Richness of m individuals is what all choices of m give on average."""
    counts = [3, 2, 1]
    people = [species for species, count in enumerate(counts) for _ in range(count)]
    choices = [len(set(chosen)) for chosen in itertools.combinations(people, m)]
    assert richness_at(counts, m) == pytest.approx(np.mean(choices))


def test_the_slope_is_the_last_step_of_the_curve() -> None:
    """Of individuals f1 / n and of visits Q1 / T: the last sample's new species on average."""
    found = abundance_completeness(GIRDLED)
    last = richness_at(GIRDLED, 168) - richness_at(GIRDLED, 167)
    assert found.slope == pytest.approx(last)
    visits = incidence_completeness([5, 3, 1, 1, 1], 6)
    last = richness_at([5, 3, 1, 1, 1], 6, units=6) - richness_at([5, 3, 1, 1, 1], 5, units=6)
    assert visits.slope == pytest.approx(last) == pytest.approx(0.5)


def test_incidence_by_hand() -> None:
    """T stands for n in f0 and A, and U for it in Q1 / U; mixing them up is not seen otherwise."""
    found = incidence_completeness([4, 2, 2, 1, 1, 1], 5)
    unseen = 4 / 5 * 9 / 4  # T = 5, Q1 = 3, Q2 = 2
    a = 5 * unseen / (5 * unseen + 3)
    assert found.richness == pytest.approx(6 + unseen)
    assert found.coverage == pytest.approx(1 - 3 / 11 * a)  # U = 11
    assert found.slope == pytest.approx(3 / 5)
    assert coverage_at([4, 2, 2, 1, 1, 1], 5, units=5) == pytest.approx(found.coverage)


def test_without_doubles_the_bias_corrected_form_is_used() -> None:
    """Division by f2 = 0 must not happen, and its own variance belongs to that case."""
    found = abundance_completeness([5, 1, 1, 1])
    k, f1, chao = 7 / 8, 3, 4 + 7 / 8 * 3
    variance = k * 3 + k**2 * f1 * 25 / 4 - k**2 * f1**4 / (4 * chao)
    assert found.richness == pytest.approx(chao)
    assert found.standard_error == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize("counts", [[1], [40, 1], [7, 7]])
def test_the_trap_of_full_coverage(counts: list[int]) -> None:
    """One record alone claims to have seen everything: callers gate on n, as documented."""
    found = abundance_completeness(counts)
    assert found.coverage == 1.0
    assert found.lower == found.richness == found.upper == len(counts)


def test_an_empty_sample_says_nothing() -> None:
    """Cells without a visit are among the arrays and must give zeros, not warnings."""
    found = incidence_completeness([], 0)
    assert (found.observed, found.coverage, found.richness, found.slope) == (0, 0.0, 0.0, 0.0)
    assert coverage_at([0], 3) == 0.0


@pytest.mark.parametrize("counts", [[-1, 2], [0.5], [[1, 2]]])
def test_broken_counts_are_refused(counts: list[float]) -> None:
    """A share in place of a count would give a number that looks right."""
    with pytest.raises(ValueError, match="whole numbers"):
        abundance_completeness(counts)


def test_more_incidences_than_visits_are_refused() -> None:
    """Records given for incidences are found out where they exceed the visits."""
    with pytest.raises(ValueError, match="more than the 3 visits"):
        incidence_completeness([4, 1], 3)
    with pytest.raises(ValueError, match="no size"):
        richness_at([1], -1)


@given(samples)
def test_bounds(counts: list[int]) -> None:
    """Coverage is a share and richness a lower bound above what was seen, whatever the counts."""
    found = abundance_completeness(counts)
    assert 0.0 <= found.coverage <= 1.0
    assert found.observed <= found.lower <= found.richness <= found.upper
    assert found.standard_error >= 0.0
    assert 0.0 <= found.slope <= 1.0


@given(samples, st.randoms(use_true_random=False))
def test_order_and_unseen_species_do_not_matter(counts: list[int], random: object) -> None:
    """Species are a set: their order, and those never seen, change nothing."""
    shuffled = [*counts, 0, 0]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert abundance_completeness(shuffled) == abundance_completeness(counts)


@given(samples, st.integers(0, 200))
def test_curves_rise(counts: list[int], m: int) -> None:
    """A larger sample never has fewer species expected, nor less coverage."""
    assert richness_at(counts, m) <= richness_at(counts, m + 1) + 1e-9
    # The curve of coverage has one step, at the sample's own size: the estimate there is no mean.
    n = sum(counts)
    if m + 1 < n or m >= n:
        assert coverage_at(counts, m) <= coverage_at(counts, m + 1) + 1e-9


@given(st.lists(samples, min_size=1, max_size=8))
def test_arrays_are_the_single_samples(many: list[list[int]]) -> None:
    """What serves a whole map at once must be the published function, sample by sample."""
    visits = [max(counts) + 2 for counts in many]
    found = completeness_of(
        [sum(count > 0 for count in counts) for counts in many],
        [counts.count(1) for counts in many],
        [counts.count(2) for counts in many],
        visits,
        [sum(counts) for counts in many],
    )
    for position, counts in enumerate(many):
        one = incidence_completeness(counts, visits[position])
        for name, values in found._asdict().items():
            assert values[position] == pytest.approx(getattr(one, name))


@pytest.mark.parametrize(
    ("effort", "half", "expected"),
    [(0, 1, 1), (1, 1, 0.5), (3, 1, 0.25), (9, 1, 0.1), (45, 5, 0.1)],
)
def test_published_ignorance(effort: float, half: float, expected: float) -> None:
    """Ruete's (2015) half-ignorance curve."""
    assert ignorance(effort, half) == pytest.approx(expected, abs=1e-12)


def test_ignorance_of_arrays_and_by_richness() -> None:
    """A rich group needs more records; a place without any stays unknown."""
    found = ignorance(np.array([[0, 10], [20, 40]]), 1.0, richness=np.array([[0, 10], [10, 10]]))
    np.testing.assert_allclose(found, [[1.0, 0.5], [1 / 3, 0.2]])
    with pytest.raises(ValueError, match="above 0"):
        ignorance(3.0, 0.0)
    with pytest.raises(ValueError, match="wherever there is effort"):
        ignorance(3.0, 1.0, richness=0.0)
