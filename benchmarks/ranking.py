"""How well scores tell two kinds of thing apart, with weights, and intervals over blocks.

Short and exact, because the bootstrap needs weights on one sorted list; the tests compare with
brute force. Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Quality(NamedTuple):
    """Area under the ROC curve, and average precision."""

    auc: float
    average_precision: float


class Sorted(NamedTuple):
    """Pairs by falling score: which are right, their block, and where each run of ties ends."""

    right: Flags
    block: Ints
    last: Ints


def by_score(scores: Floats, right: Flags, block: Ints) -> Sorted:
    """Sort once; every resampling then only weighs."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return Sorted(right[order], block[order], last)


def quality(pairs: Sorted, weight_of_block: Floats) -> Quality:
    """Both measures with each pair weighed as its block; ties share what they stand for.

    AUC is the chance that a right pair scores above a wrong one, a tie counting half. Average
    precision is Σ (recall gained at a score) x (precision down to it), as scikit-learn has it. NaN
    where there are no right pairs, or no wrong ones.
    """
    weight = weight_of_block[pairs.block]
    rights = np.cumsum(np.where(pairs.right, weight, 0.0))[pairs.last]
    every = np.cumsum(weight)[pairs.last]
    wrongs = every - rights
    if rights[-1] <= 0.0 or wrongs[-1] <= 0.0:
        return Quality(np.nan, np.nan)
    gained = np.diff(rights, prepend=0.0)
    lost = np.diff(wrongs, prepend=0.0)
    # Each run of wrong pairs lies below the rights before it, and half of those in its own run.
    auc = float((lost * (rights - gained / 2.0)).sum() / rights[-1] / wrongs[-1])
    precision = rights / np.where(every > 0.0, every, 1.0)
    return Quality(auc, float((gained * precision).sum() / rights[-1]))


def resampled(
    methods: Sequence[Sorted], blocks: int, resamples: int, seed: int
) -> list[list[Quality]]:
    """Every method's measures over the same draws of whole blocks, one list a draw."""
    random = np.random.default_rng(seed)
    draws = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), resamples).astype(np.float64)
    return [[quality(pairs, weights) for pairs in methods] for weights in draws]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values; draws that say nothing do not count."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
