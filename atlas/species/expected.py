"""Species that a cell's neighbourhood leads one to expect, after Frescalo (Hill 2012).

Pure functions of arrays; any thread. Knows nothing of cells, records or the catalog: who calls
says which neighbours are near, and what was recorded where.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import rankdata

from atlas.species.completeness import ignorance

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Hill's standard frequency-weighted mean frequency, and the limits that his program sets.
PHI = 0.74
_LEAST, _MOST = 1e-10, 0.99999
# At an alpha of 1e-6 hardly any species is expected; at 1e12 all are, whatever the frequencies.
_LOG_ALPHA = (float(np.log(1e-6)), float(np.log(1e12)))


class SamplingEffort(msgspec.Struct, frozen=True, kw_only=True):
    """What a neighbourhood would hold if it were searched to a standard.

    `alpha` multiplies the neighbourhood's effort to reach the standard: above 1 it is
    under-recorded. `phi_in` is the frequency-weighted mean frequency before, `expected_richness`
    the sum of `probabilities` (S,), in the order of the frequencies given.
    """

    alpha: float
    phi_in: float
    expected_richness: float
    probabilities: Floats


def sampling_effort(frequencies: ArrayLike, phi: float = PHI) -> SamplingEffort:
    """Raise the species' frequencies in a neighbourhood to a standard sampling effort.

    `frequencies` (S,) from 0 to 1: the weighted share of the neighbourhood's cells where each
    species is recorded. Finds alpha with Σ F² / Σ F = `phi` where F = 1 - (1 - f)^alpha; the ratio
    grows with alpha, so there is one. Frequencies are held within 1e-10 and 0.99999 as in the
    original program. Hill 2012 (Methods Ecol. Evol. 3:195).

    A neighbourhood with few records gives an absurd alpha (one species in one of a hundred cells: a
    hundred and more): ask first whether `phi_in` and the number of cells behind it are large
    enough. `ValueError` where no frequency is above 0, or one is not a share.
    """
    given = np.asarray(frequencies, np.float64)
    if given.ndim != 1 or not ((given >= 0.0) & (given <= 1.0)).all():
        raise ValueError("frequencies must be a list of shares from 0 to 1")
    if not 0.0 < phi < 1.0:
        raise ValueError(f"phi must lie between 0 and 1, not {phi}")
    if not given.any():
        raise ValueError("no species has a frequency above 0")
    f = np.clip(given, _LEAST, _MOST)
    missed = np.log1p(-f)

    def excess(log_alpha: float) -> float:
        raised = -np.expm1(np.exp(log_alpha) * missed)
        return float((raised**2).sum() / raised.sum()) - phi

    alpha = float(np.exp(brentq(excess, *_LOG_ALPHA, xtol=1e-12)))
    probabilities: Floats = -np.expm1(alpha * missed)
    return SamplingEffort(
        alpha=alpha,
        phi_in=float((f**2).sum() / f.sum()),
        expected_richness=float(probabilities.sum()),
        probabilities=probabilities,
    )


def at_own_effort(frequencies: ArrayLike, recorded: int) -> Floats:
    """Chance that each species would have been recorded by now, with what effort the cell had.

    `frequencies` (S,) of the neighbourhood; `recorded`, how many species the cell has. Returns
    1 - (1 - f)^a (S,), where a makes them sum to `recorded`: Frescalo's equation solved for the
    cell's own effort in place of the standard one. A species of high chance that was not recorded
    was looked for; one that only the standard effort would find was not. 0 throughout for a cell
    without records, 1 where all species are.
    """
    missed = np.log1p(-np.clip(np.asarray(frequencies, np.float64), _LEAST, _MOST))
    if not 0 < recorded < len(missed):
        return np.full(len(missed), float(recorded > 0))

    def excess(log_alpha: float) -> float:
        return float(-np.expm1(np.exp(log_alpha) * missed).sum()) - recorded

    low, high = (excess(end) for end in _LOG_ALPHA)
    if low >= 0.0 or high <= 0.0:
        return np.full(len(missed), recorded / len(missed))
    chances: Floats = -np.expm1(np.exp(brentq(excess, *_LOG_ALPHA, xtol=1e-10)) * missed)
    return chances


def frescalo_weights(
    distance: ArrayLike, similarity: ArrayLike, *, nearest: int = 200, alike: int = 100
) -> Floats:
    """Hill's (2012) weights of a neighbourhood: float64 (m,), summing to 1.

    Of the `nearest` cells by `distance` (m,), least first, the `alike` most similar by
    `similarity` (m,), greatest first; (1 - (rank_d - 1)² / nearest²)⁴ times the same of the other
    rank, 0 for all others. Ties share their mean rank, as on rings of cells.
    """
    near = rankdata(distance) - 1.0
    within = near < nearest
    other = rankdata(np.where(within, -np.asarray(similarity, np.float64), np.inf)) - 1.0
    weight = (1.0 - np.minimum(near / nearest, 1.0) ** 2) ** 4
    weight *= np.where(within, (1.0 - np.minimum(other / alike, 1.0) ** 2) ** 4, 0.0)
    shares: Floats = weight / weight.sum()
    return shares


class NeighbourhoodSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a neighbourhood is weighed; chosen by masking records (docs/estimators.md).

    The `nearest` cells with records count, none beyond `reach_km`. A cell with `half_species`
    recorded species counts half as much as one that is well known, and its own likeness to others
    is half believed. `prior_cells` is how many cells' worth the plain frequency in the whole
    neighbourhood counts. Below `least_cells` effective cells, or a `least_phi` of frequencies,
    nothing is said to be reliable.
    """

    nearest: int = 400
    reach_km: float = 1000.0
    half_species: float = 10.0
    prior_cells: float = 5.0
    least_cells: float = 10.0
    least_phi: float = 0.1


DEFAULT_NEIGHBOURHOOD = NeighbourhoodSettings()


class ExpectedSpecies(msgspec.Struct, frozen=True, kw_only=True):
    """What one cell's neighbourhood leads one to expect there, recorded or not.

    `probabilities` (s,) at a standard effort and `own_effort` (s,) at the cell's own, in the order
    of the species given; `frequencies` (s,) is what both are raised from. `weights` (m,) of the
    neighbours sum to 1, `effective_cells` is 1 / Σ weights². `alpha`, `phi_in` and
    `expected_richness` as in `SamplingEffort`. `doubt` says in words why the figures should not be
    relied on, None where they may.
    """

    probabilities: Floats
    own_effort: Floats
    frequencies: Floats
    weights: Floats
    effective_cells: float
    alpha: float
    phi_in: float
    expected_richness: float
    doubt: str | None


def expected_species(
    presence: ArrayLike,
    distance_km: ArrayLike,
    *,
    target: int = 0,
    likeness: ArrayLike | None = None,
    settings: NeighbourhoodSettings = DEFAULT_NEIGHBOURHOOD,
) -> ExpectedSpecies | None:
    """The species to expect in cell `target`, from those recorded in the cells around it.

    `presence` (m, s): whether each species was recorded in each cell, the target among them;
    `distance_km` (m,) of their centres from the target's; `likeness` (m,) from 0 to 1 of each
    cell's surroundings to the target's, where they are known. None where nothing is recorded in the
    neighbourhood at all.

    Frescalo (Hill 2012) with three changes, each of which found more of what had been hidden: the
    neighbourhood is wider and falls off gently, (1 - (d / reach)²)² (1 - (rank / nearest)²), as a
    species that was overlooked is often overlooked all around; a cell counts by how well it is
    known, S / (S + half); and likeness in fauna is a factor, not a rank: the cosine of both cells'
    species, each species divided by the root of its frequency, so that what everybody records says
    little. It is believed the more, the more species the target has.

    It knows of no habitat within a cell, and of no species that nobody recorded in any neighbour.
    """
    recorded = np.asarray(presence, np.bool_)
    away = np.asarray(distance_km, np.float64)
    if recorded.ndim != 2 or away.shape != recorded.shape[:1] or not 0 <= target < len(away):
        raise ValueError(f"presence has shape {recorded.shape}, distance {away.shape}")
    if not recorded.any():
        return None
    found = recorded.astype(np.float64)
    species = found.sum(axis=1)
    known = 1.0 - ignorance(species, settings.half_species)
    rank = rankdata(np.where(species > 0.0, away, np.inf)) - 1.0
    known *= (rank < settings.nearest) & (away < settings.reach_km)
    weight = known * (1.0 - np.minimum(away / settings.reach_km, 1.0) ** 2) ** 2
    weight *= 1.0 - np.minimum(rank / settings.nearest, 1.0) ** 2
    if likeness is not None:
        weight *= np.asarray(likeness, np.float64)
    weight *= _likeness_in_fauna(found, weight, target, settings.half_species)
    if not weight.any():
        return None
    frequencies, effective = _frequencies(found, weight, known, settings.prior_cells)
    effort = sampling_effort(frequencies)
    return ExpectedSpecies(
        probabilities=effort.probabilities,
        own_effort=at_own_effort(frequencies, int(recorded[target].sum())),
        frequencies=frequencies,
        weights=weight / weight.sum(),
        effective_cells=effective,
        alpha=effort.alpha,
        phi_in=effort.phi_in,
        expected_richness=effort.expected_richness,
        doubt=_doubt(effective, effort.phi_in, settings),
    )


def _frequencies(
    found: Floats, weight: Floats, known: Floats, prior_cells: float
) -> tuple[Floats, float]:
    """Each species' weighted frequency, held to its plain one; how many cells stand behind it."""
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    local = _times(found.T, weight) / weight.sum()
    plain = _times(found.T, known) / known.sum()
    shares: Floats = (effective * local + prior_cells * plain) / (effective + prior_cells)
    return np.minimum(shares, 1.0), effective


def _likeness_in_fauna(found: Floats, weight: Floats, target: int, half: float) -> Floats:
    """A factor (m,) around 1; exactly 1 where the target's species say nothing."""
    # One cell more than there are keeps a species of every cell, and one of none, within bounds.
    rarity = len(found) / (found.sum(axis=0) + 1.0)
    length = np.sqrt(_times(found, rarity))
    shared = _times(found, found[target] * rarity)
    cosine = shared / np.maximum(length * length[target], 1e-12)
    others = weight.copy()
    others[target] = 0.0
    mean = float(others @ cosine) / max(float(others.sum()), 1e-12)
    if mean <= 0.0:
        return np.ones(len(found))
    # The target is as like itself as the one most like it: not more, or it would outweigh all.
    cosine[target] = np.delete(cosine, target).max()
    believed = 1.0 - ignorance(float(found[target].sum()), half)
    factor: Floats = believed * cosine / mean + (1.0 - believed)
    return factor


def _times(matrix: Floats, vector: Floats) -> Floats:
    """Matrix by vector on this thread alone: BLAS starts its own above some size.

    A neighbourhood of 400 cells and 2,000 species took 0.7 ms so and 76 ms where BLAS's threads
    waited for busy cores.
    """
    product: Floats = np.einsum("ij,j->i", matrix, vector)
    return product


def _doubt(effective: float, phi_in: float, settings: NeighbourhoodSettings) -> str | None:
    if effective < settings.least_cells:
        return (
            f"only {effective:.1f} cells' worth of neighbours, "
            f"fewer than {settings.least_cells:g}: too few were searched around"
        )
    if phi_in < settings.least_phi:
        return (
            f"species are too rarely recorded in the same cells around (phi {phi_in:.2f}, "
            f"below {settings.least_phi:g}): too little of them is known"
        )
    return None
