"""How much of a community a sample has seen, and how much it has not.

Estimators of sample coverage and species richness from counts of individuals (abundance) or of
visits (incidence), and Ruete's ignorance. Pure functions of numbers; any thread. All richness is a
lower bound: say "at least". Knows nothing of cells, records or the catalog.
"""

from __future__ import annotations

from typing import NamedTuple, overload

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# The two-sided 95 % quantile; 1.96 misses the last digit of the published intervals.
_NORMAL_95 = 1.959963984540054


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """What a sample says of its community; every richness is a lower bound.

    `observed` species; `coverage`, the share of the community's individuals (incidences) that
    belong to observed species; `richness` (Chao1 or Chao2) with its `standard_error` and 95 %
    interval `lower` to `upper`; `slope`, new species expected of the next record (visit).
    """

    observed: int
    coverage: float
    richness: float
    standard_error: float
    lower: float
    upper: float
    slope: float


class CompletenessArrays(NamedTuple):
    """The same for many samples at once: float64 (n,) each."""

    coverage: Floats
    richness: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats
    slope: Floats


def abundance_completeness(counts: ArrayLike) -> Completeness:
    """Coverage, Chao1 and the final slope of a sample of individuals.

    `counts` (S,): individuals of each species, whole numbers; zeros are species that were not seen.
    With n individuals, S species, f1 seen once and f2 twice (`completeness_of` has the formulas).
    Chao 1984 (Scand. J. Stat. 11:265), Chao & Jost 2012 (Ecology 93:2533).

    One individual has coverage 1, and so has any sample with f1 = 1 and f2 = 0: ask first whether n
    and n / S are large enough. An empty sample has coverage and richness 0. `ValueError` for
    negative or broken numbers.
    """
    seen = _seen(counts)
    n = int(seen.sum())
    return _completeness(seen, units=n, incidences=n)


def incidence_completeness(incidences: ArrayLike, units: int) -> Completeness:
    """Coverage, Chao2 and the final slope of a sample of `units` visits.

    `incidences` (S,): in how many of the visits each species was met. `slope` is Q1 / T, new
    species a visit. One photo a visit is not what counts: photos of one burst are not independent,
    visits (cell, day, observer) nearly are. Chao 1987 (Biometrics 43:783), Chao et al. 2014
    (Ecol. Monogr. 84:45). One visit has coverage 1. `ValueError` when a species was met in more
    visits than there were.
    """
    seen = _seen(incidences, units)
    return _completeness(seen, units=units, incidences=int(seen.sum()))


def completeness_of(
    species: ArrayLike,
    q1: ArrayLike,
    q2: ArrayLike,
    visits: ArrayLike,
    incidences: ArrayLike | None = None,
) -> CompletenessArrays:
    """Coverage and richness of many samples from their summary: (n,) arrays in, float64 (n,) out.

    With S species, T visits, U incidences, Q1 and Q2 species met in exactly one and two visits:

        k  = (T - 1) / T
        Q0 = k Q1² / (2 Q2), and k Q1 (Q1 - 1) / 2 where Q2 = 0      unseen species, at least
        A  = T Q0 / (T Q0 + Q1), 1 where Q1 = 0
        C  = 1 - (Q1 / U) A                                          coverage
        S + Q0                                                       richness
        Q1 / T                                                       slope

    Without `incidences` the sample is one of individuals: T = U = n, Q = f (Chao1). With them it is
    one of visits (Chao2). A sample without visits has zeros throughout and says nothing.

    The standard error is Chao's (1987) analytic one; the interval assumes that ln(richness - S) is
    normal, so `lower` is never below S. Both are 0 wide where no species is estimated unseen.
    """
    s, f1, f2, t = (np.asarray(values, np.float64) for values in (species, q1, q2, visits))
    u = t if incidences is None else np.asarray(incidences, np.float64)
    k = np.where(t > 0, (t - 1.0) / np.maximum(t, 1.0), 0.0)
    # Divisors are at least 1 where a branch is not the one taken, so no warning and no NaN.
    ratio = f1 / np.maximum(f2, 1.0)
    unseen = k * np.where(f2 > 0, f1 * ratio / 2.0, f1 * (f1 - 1.0) / 2.0)
    singles = np.where(f1 > 0, f1 / np.maximum(u, 1.0), 0.0)
    next_new = t * unseen / np.maximum(t * unseen + f1, 1.0)
    coverage = np.where(t > 0, 1.0 - singles * np.where(f1 > 0, next_new, 1.0), 0.0)
    richness = s + unseen
    with_doubles = f2 * (k * ratio**2 / 2.0 + k**2 * ratio**3 + k**2 * ratio**4 / 4.0)
    without = (
        k * f1 * (f1 - 1.0) / 2.0
        + k**2 * f1 * (2.0 * f1 - 1.0) ** 2 / 4.0
        - k**2 * f1**4 / (4.0 * np.maximum(richness, 1.0))
    )
    variance = np.where(unseen > 0, np.where(f2 > 0, with_doubles, np.maximum(without, 0.0)), 0.0)
    lower, upper = _log_interval(s, unseen, variance)
    slope = np.where(t > 0, f1 / np.maximum(t, 1.0), 0.0)
    return CompletenessArrays(coverage, richness, np.sqrt(variance), lower, upper, slope)


def richness_at(counts: ArrayLike, m: int, units: int | None = None) -> float:
    """Species expected in a sample of `m` individuals (visits, when `units` says how many it had).

    Rarefied for m ≤ n: Σ 1 - C(n - x_i, m) / C(n, m); extrapolated beyond:
    S + f0 [1 - (1 - f1 / (n f0 + f1))^(m - n)]. Chao et al. 2014 (Ecol. Monogr. 84:45): reliable up
    to about 2 n. `ValueError` for m < 0.
    """
    seen, n = _sample(counts, m, units)
    if m <= n:
        return float((1.0 - _missed(seen, n, n, m)).sum())
    f1 = float((seen == 1).sum())
    unseen = _completeness(seen, units=n, incidences=int(seen.sum())).richness - len(seen)
    if f1 == 0.0 or unseen == 0.0:
        return float(len(seen))
    return float(len(seen) + unseen * (1.0 - (1.0 - f1 / (n * unseen + f1)) ** (m - n)))


def coverage_at(counts: ArrayLike, m: int, units: int | None = None) -> float:
    """Coverage expected of a sample of `m` individuals (visits, when `units` is given).

    1 - Σ (x_i / n) C(n - x_i, m) / C(n - 1, m) for m < n, else 1 - (f1 / n) A^(m - n + 1); with
    visits, U stands for the n that divides (Chao & Jost 2012; Chao et al. 2014). `ValueError` for
    m < 0.
    """
    seen, n = _sample(counts, m, units)
    total = int(seen.sum())
    if total == 0:
        return 0.0
    if m < n:
        return float(1.0 - (seen / total * _missed(seen, n, n - 1, m)).sum())
    f1 = float((seen == 1).sum())
    unseen = _completeness(seen, units=n, incidences=total).richness - len(seen)
    if f1 == 0.0:
        return 1.0
    return float(1.0 - f1 / total * (n * unseen / (n * unseen + f1)) ** (m - n + 1))


@overload
def ignorance(effort: float, half: float, richness: float | None = None) -> float: ...
@overload
def ignorance(effort: ArrayLike, half: float, richness: ArrayLike | None = None) -> Floats: ...
def ignorance(effort: ArrayLike, half: float, richness: ArrayLike | None = None) -> Floats | float:
    """How little a place was searched: h / (h + N), 1 where never, towards 0 with more effort.

    `effort` N: records or visits of the target group, any shape; `half` h: the N at which ignorance
    is one half. With the `richness` R of the group it is corrected for how many species there were
    to record, h / (h + N / R); where R is 0, N must be too, and ignorance is 1. Ruete 2015
    (Biodivers. Data J. 3:e5361). `ValueError` for h ≤ 0 or negative numbers.
    """
    searched = np.asarray(effort, np.float64)
    if half <= 0.0 or (searched < 0.0).any():
        raise ValueError("effort must not be negative, and half must be above 0")
    if richness is not None:
        species = np.asarray(richness, np.float64)
        if (species < 0.0).any() or ((species == 0.0) & (searched > 0.0)).any():
            raise ValueError("richness must be above 0 wherever there is effort")
        searched = searched / np.where(species > 0.0, species, 1.0)
    found: Floats = half / (half + searched)
    return float(found) if found.ndim == 0 else found


def _completeness(seen: Counts, *, units: int, incidences: int) -> Completeness:
    estimate = completeness_of(len(seen), (seen == 1).sum(), (seen == 2).sum(), units, incidences)
    return Completeness(
        observed=len(seen),
        **{name: float(value) for name, value in estimate._asdict().items()},
    )


def _log_interval(observed: Floats, unseen: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """[S + t / K, S + t K] with t unseen species, K = exp(z sqrt(ln(1 + var / t²)))."""
    some = unseen > 0.0
    spread = variance / np.where(some, unseen, 1.0) ** 2
    factor = np.exp(_NORMAL_95 * np.sqrt(np.log1p(spread)))
    return observed + unseen / factor, observed + unseen * factor


def _missed(seen: Counts, n: int, of: int, m: int) -> Floats:
    """C(n - x_i, m) / C(of, m) for each species: the chance to miss it in m draws of n."""
    left = (n - seen).astype(np.float64)
    possible = left >= m
    left = np.maximum(left, m)
    logarithm = (
        gammaln(left + 1.0) - gammaln(left - m + 1.0) - gammaln(of + 1.0) + gammaln(of - m + 1.0)
    )
    return np.where(possible, np.exp(logarithm), 0.0)


def _sample(counts: ArrayLike, m: int, units: int | None) -> tuple[Counts, int]:
    if m < 0:
        raise ValueError(f"a sample has no size {m}")
    seen = _seen(counts, units)
    return seen, int(seen.sum()) if units is None else units


def _seen(counts: ArrayLike, units: int | None = None) -> Counts:
    """The counts above zero, checked: whole, not negative, none above `units`."""
    given = np.asarray(counts)
    whole = given.astype(np.int64)
    if given.ndim != 1 or (given < 0).any() or (whole != given).any():
        raise ValueError("counts must be a list of whole numbers, none below 0")
    if units is not None and (units < 0 or (whole > units).any()):
        raise ValueError(f"a species was met in more than the {units} visits there were")
    return whole[whole > 0]
