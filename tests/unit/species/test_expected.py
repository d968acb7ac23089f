"""Frescalo against its published output, and what must hold of any neighbourhood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.species.expected import (
    NeighbourhoodSettings,
    at_own_effort,
    expected_species,
    frescalo_weights,
    sampling_effort,
)

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


def test_own_effort_sums_to_what_was_recorded() -> None:
    """As many species are expected by now as the cell has, in the order of their frequencies."""
    found = at_own_effort(FREQUENCIES, 6)
    assert found.sum() == pytest.approx(6.0)
    assert (np.diff(found) <= 1e-12).all()
    assert at_own_effort(FREQUENCIES, 0).tolist() == [0.0] * 17
    assert at_own_effort(FREQUENCIES, 17).tolist() == [1.0] * 17


def test_hills_weights_by_hand() -> None:
    """Ranks begin at the cell itself; beyond either limit the weight is nothing."""
    found = frescalo_weights([0, 1, 2, 3, 4], [1.0, 0.2, 0.9, 0.8, 0.99], nearest=4, alike=3)
    raw = [
        1.0,
        0.0,  # the fourth most similar of the four nearest
        (1 - 4 / 16) ** 4 * (1 - 1 / 9) ** 4,
        (1 - 9 / 16) ** 4 * (1 - 4 / 9) ** 4,
        0.0,  # not among the four nearest, however similar
    ]
    np.testing.assert_allclose(found, np.array(raw) / sum(raw))


def _two_faunas(
    cells: int = 60, species: int = 80, seed: int = 5
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Cells of two kinds in turn, each kind with half the species; 70 % of them recorded."""
    rng = np.random.default_rng(seed)
    kind = np.arange(cells) % 2
    lives = (np.arange(species)[None] % 2) == kind[:, None]
    return lives & (rng.random((cells, species)) < 0.7), kind


def test_species_of_its_like_are_expected() -> None:
    """Of two faunas equally near, the unrecorded species of the cell's own come first."""
    presence, _ = _two_faunas()
    found = expected_species(presence, 10.0 * np.arange(60))
    assert found is not None
    unrecorded = ~presence[0]
    own = np.arange(80) % 2 == 0
    assert found.probabilities[unrecorded & own].min() > found.probabilities[~own].max()
    assert found.doubt is None
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.own_effort.sum() == pytest.approx(presence[0].sum())
    assert found.expected_richness == pytest.approx(found.probabilities.sum())


def test_a_cell_without_records_has_its_neighbours_species() -> None:
    """Nothing recorded is no likeness: distance alone decides, and own effort found nothing."""
    presence, _ = _two_faunas()
    presence[0] = False
    presence[1:20] = presence[1:20] & (np.arange(80) < 40)
    found = expected_species(presence, 10.0 * np.arange(60))
    assert found is not None
    assert found.probabilities[:40].mean() > found.probabilities[40:].mean()
    assert not found.own_effort.any()


def test_surroundings_that_differ_count_less() -> None:
    """With likeness of place given, a cell of other habitat loses its say."""
    presence, kind = _two_faunas()
    presence[0] = False
    found = expected_species(
        presence, 10.0 * np.arange(60), likeness=np.where(kind == 0, 1.0, 0.01)
    )
    assert found is not None
    assert found.probabilities[::2].min() > found.probabilities[1::2].max()


@given(st.permutations(range(1, 30)), st.permutations(range(40)))
def test_the_order_of_cells_and_species_does_not_matter(
    cells: list[int], species: list[int]
) -> None:
    """Everything follows the arrays given, wherever the target stands in them."""
    presence, _ = _two_faunas(30, 40)
    distance = 10.0 * np.arange(30)
    before = expected_species(presence, distance)
    order = [*cells[:7], 0, *cells[7:]]
    after = expected_species(presence[np.ix_(order, species)], distance[order], target=7)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.probabilities, before.probabilities[species], rtol=1e-6)
    np.testing.assert_allclose(after.weights, before.weights[order])


def test_doubtful_neighbourhoods_say_why() -> None:
    """Few neighbours, or hardly any species in common, give absurd figures that must be gated."""
    presence, _ = _two_faunas()
    few = expected_species(presence[:4], np.arange(4))
    assert few is not None
    assert few.doubt is not None
    assert "too few were searched" in few.doubt
    scattered = np.eye(60, dtype=bool)
    sparse = expected_species(scattered, np.arange(60))
    assert sparse is not None
    assert sparse.doubt is not None
    assert "phi" in sparse.doubt
    assert sparse.alpha > 50.0


def test_far_cells_do_not_count_and_nothing_is_nothing() -> None:
    """Only the nearest are asked; where they have no record there is no answer."""
    presence, _ = _two_faunas()
    near = NeighbourhoodSettings(nearest=10)
    found = expected_species(presence, 10.0 * np.arange(60), settings=near)
    assert found is not None
    assert not found.weights[10:].any()
    # The nearest are those of the cells that have any record at all.
    presence[:10] = False
    found = expected_species(presence, 10.0 * np.arange(60), settings=near)
    assert found is not None
    assert np.flatnonzero(found.weights).tolist() == [*range(10, 20)]
    reach = NeighbourhoodSettings(reach_km=90.0)
    assert expected_species(presence, 10.0 * np.arange(60), settings=reach) is None
    assert expected_species(np.zeros((3, 4)), np.arange(3)) is None
    with pytest.raises(ValueError, match="presence has shape"):
        expected_species(presence, np.arange(59))
