"""Species that a cell's neighbourhood leads one to expect: Frescalo (Hill 2012).

Pure functions of arrays; any thread. Knows nothing of cells, records or the catalog: who calls
says which neighbours are near, and what was recorded where.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

# Hill's standard frequency-weighted mean frequency, and the limits that his program sets.
PHI = 0.74
_LEAST, _MOST = 1e-10, 0.99999


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

    # At 1e-6 hardly any F is above 0; beyond 1e12 all are 1, whatever the frequencies.
    alpha = float(np.exp(brentq(excess, np.log(1e-6), np.log(1e12), xtol=1e-12)))
    probabilities: Floats = -np.expm1(alpha * missed)
    return SamplingEffort(
        alpha=alpha,
        phi_in=float((f**2).sum() / f.sum()),
        expected_richness=float(probabilities.sum()),
        probabilities=probabilities,
    )
