"""How well scores tell two kinds of thing apart, with intervals over blocks.

Short and of our own, because resampling blocks needs counts by block; the tests compare with brute
force. Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_STEPS = 4_000


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
    """Sort once, for the measures and for every resampling of them."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return Sorted(right[order], block[order], last)


def quality(pairs: Sorted) -> Quality:
    """Both measures; ties share what they stand for.

    AUC is the chance that a right pair scores above a wrong one, a tie counting half. Average
    precision is Σ (recall gained at a score) x (precision down to it), as scikit-learn has it. NaN
    where there are no right pairs, or no wrong ones.
    """
    rights = np.cumsum(pairs.right, dtype=np.float64)[pairs.last]
    return _quality(rights[None], (pairs.last[None] + 1).astype(np.float64))[0]


def resampled(pairs: Sorted, draws: Floats) -> list[Quality]:
    """The measures with whole blocks drawn again and again: `draws` (n, blocks), how often each.

    Neighbouring scores count as ties, by some four thousandths of their rank, so that a draw is one
    product of small tables; that moves neither measure in its third digit.
    """
    size = len(pairs.right)
    steps = np.unique(np.geomspace(1, size, _STEPS).astype(np.int64)) - 1
    ends = np.unique(pairs.last[np.searchsorted(pairs.last, steps)])
    run = np.searchsorted(ends, np.arange(size))
    shape = (draws.shape[1], len(ends))
    cell = pairs.block * shape[1] + run
    every = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    rights = np.bincount(cell, pairs.right, minlength=shape[0] * shape[1]).reshape(shape)
    return _quality(np.cumsum(draws @ rights, axis=1), np.cumsum(draws @ every, axis=1))


def draws_of_blocks(blocks: int, resamples: int, seed: int) -> Floats:
    """How often each block is drawn in each of `resamples` draws of as many blocks as there are."""
    random = np.random.default_rng(seed)
    return random.multinomial(blocks, np.full(blocks, 1.0 / blocks), resamples).astype(np.float64)


def _quality(rights: Floats, every: Floats) -> list[Quality]:
    """From right pairs and all pairs down to the end of each run of ties, (n, runs)."""
    wrongs = every - rights
    gained = np.diff(rights, prepend=0.0, axis=1)
    lost = np.diff(wrongs, prepend=0.0, axis=1)
    known = (rights[:, -1] > 0.0) & (wrongs[:, -1] > 0.0)
    all_rights = np.where(known, rights[:, -1], np.nan)
    all_wrongs = np.where(known, wrongs[:, -1], np.nan)
    # Each run of wrong pairs lies below the rights before it, and half of those in its own run.
    auc = (lost * (rights - gained / 2.0)).sum(axis=1) / all_rights / all_wrongs
    precision = rights / np.where(every > 0.0, every, 1.0)
    average = (gained * precision).sum(axis=1) / all_rights
    return [Quality(*pair) for pair in zip(auc.tolist(), average.tolist(), strict=True)]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of resampled values; draws that say nothing do not count."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
