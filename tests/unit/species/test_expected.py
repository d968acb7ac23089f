"""Frescalo against its published output, and what must hold of any neighbourhood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.species.expected import sampling_effort

# Cell NZ03 of Hill's (2012) test data, as the original program printed it (four decimals).
FREQUENCIES = [
    0.2655, 0.2572, 0.1934, 0.1408, 0.1358, 0.1080, 0.1015, 0.0658, 0.0658, 0.0390, 0.0389, 0.0361,
    0.0341, 0.0340, 0.0207, 0.0001, 0.0001,
]  # fmt: skip
PROBABILITIES = [
    0.9854, 0.9829, 0.9473, 0.8748, 0.8646, 0.7909, 0.7692, 0.6063, 0.6062, 0.4200, 0.4195, 0.3960,
    0.3779, 0.3776, 0.2488, 0.0013, 0.0013,
]  # fmt: skip


def test_published_cell() -> None:
    """The original program's numbers, within what four printed decimals of input leave open."""
    found = sampling_effort(FREQUENCIES)
    assert round(found.alpha, 2) == 13.69
    assert round(found.phi_in, 3) == 0.163
    assert round(found.expected_richness, 1) == 9.7
    # The last two inputs have one digit: 0.0001 may be 0.00005.
    np.testing.assert_allclose(found.probabilities[:-2], PROBABILITIES[:-2], rtol=0.002)
    np.testing.assert_allclose(found.probabilities[-2:], PROBABILITIES[-2:], atol=1e-4)


shares = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).filter(lambda f: max(f) > 1e-6)


@given(shares, st.floats(0.2, 0.95))
def test_the_standard_is_reached(frequencies: list[float], phi: float) -> None:
    """The equation that defines alpha holds, probabilities are shares in the frequencies' order."""
    found = sampling_effort(frequencies, phi)
    raised = found.probabilities
    assert (raised**2).sum() / raised.sum() == pytest.approx(phi, abs=1e-6)
    assert found.expected_richness == pytest.approx(raised.sum())
    assert ((raised >= 0) & (raised <= 1)).all()
    by_frequency = np.argsort(frequencies, kind="stable")
    assert (np.diff(raised[by_frequency]) >= -1e-12).all()
    assert (found.alpha > 1.0) == (found.phi_in < phi) or found.alpha == pytest.approx(1.0)


def test_less_searched_neighbourhoods_need_more_effort() -> None:
    """Halving all frequencies must raise alpha and leave about the same species expected."""
    full, half = sampling_effort(FREQUENCIES), sampling_effort(np.array(FREQUENCIES) / 2)
    assert half.alpha > 1.9 * full.alpha
    assert half.expected_richness == pytest.approx(full.expected_richness, rel=0.05)


@pytest.mark.parametrize(
    ("frequencies", "phi", "problem"),
    [
        ([], 0.74, "above 0"),
        ([0.0, 0.0], 0.74, "above 0"),
        ([1.1], 0.74, "shares"),
        ([np.nan], 0.74, "shares"),
        ([0.5], 1.0, "phi"),
    ],
)
def test_nonsense_is_refused(frequencies: list[float], phi: float, problem: str) -> None:
    """Nothing to go by must not give a number."""
    with pytest.raises(ValueError, match=problem):
        sampling_effort(frequencies, phi)
