"""The measures of the INQUIRE benchmark for one query. Pure functions, safe from any thread.

Source: Vendrow et al. (2024), "INQUIRE: A Natural World Text-to-Image Retrieval Benchmark",
NeurIPS 2024 Datasets and Benchmarks, arXiv:2411.02537, and `src/metrics.py` of
github.com/inquire-benchmark/INQUIRE. Written here and not taken from a library, since libraries of
retrieval measures divide average precision by the number of relevant images alone (trec_eval) or
by those that were found (scikit-learn), where INQUIRE divides by min(k, number of relevant).

Every function takes `found`, bool, (n,): whether the hit at each rank is relevant, best first, all
hits distinct; `relevant`, the number of relevant images in the whole atlas, at least one; and `k`,
the depth, at least one. Fewer than `k` hits count as misses at the ranks that are empty. All
results are within 0 … 1. ValueError where `found` holds more relevant hits than there are.

A tie of scores is no case of its own: hits have one order, by score and then by row id, and count
at the rank where a user sees them. INQUIRE's code gives tied hits their common precision instead.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Found = npt.NDArray[np.bool_]


def average_precision(found: Found, relevant: int, k: int) -> float:
    """AP@k: the precision at the rank of each relevant hit, summed, over min(k, relevant).

    The divisor is the number of relevant hits that a perfect ranking has among its first k, so a
    perfect ranking scores 1 however many images are relevant, and a missed one costs. Source:
    `ap_at_k` of INQUIRE, whose supplement gives the reason for the divisor.
    """
    ranks = _ranks(found, relevant, k)
    precisions = np.arange(1, len(ranks) + 1) / ranks
    return float(precisions.sum() / min(k, relevant))


def normalised_gain(found: Found, relevant: int, k: int) -> float:
    """nDCG@k for relevant-or-not: the sum of 1 / log2(rank + 1), over that of a perfect ranking.

    Source: Järvelin and Kekäläinen (2002), ACM TOIS 20(4), with the discount of scikit-learn's
    `ndcg_score`, as `ndcg_at_k` of INQUIRE; relevant images that were not found count as ranked
    last, so the perfect ranking has min(k, relevant) of them.
    """
    ranks = _ranks(found, relevant, k)
    perfect = np.arange(1, min(k, relevant) + 1)
    return float(_discounts(ranks).sum() / _discounts(perfect).sum())


def reciprocal_rank(found: Found, relevant: int, k: int) -> float:
    """1 / rank of the first relevant hit, 0 where none is among the first k.

    Its mean over queries is the MRR. Source: Voorhees (1999), TREC-8 question answering track, cut
    at k as `mrr` of INQUIRE is, which sees the first k hits only.
    """
    ranks = _ranks(found, relevant, k)
    return float(1 / ranks[0]) if len(ranks) else 0.0


def recall(found: Found, relevant: int, k: int) -> float:
    """Recall@k: the share of all relevant images that is among the first k hits.

    Source: `compute_retrieval_metrics` of INQUIRE. With more than k relevant images even a perfect
    ranking stays below 1.
    """
    return len(_ranks(found, relevant, k)) / relevant


def _ranks(found: Found, relevant: int, k: int) -> npt.NDArray[np.int64]:
    """Ranks, from 1, of the relevant hits among the first k."""
    if relevant < 1 or k < 1:
        raise ValueError(f"relevant ({relevant}) and k ({k}) must be at least 1")
    if int(found.sum()) > relevant:
        raise ValueError(f"{int(found.sum())} relevant hits, but {relevant} relevant images")
    ranks: npt.NDArray[np.int64] = np.flatnonzero(found[:k]) + 1
    return ranks


def _discounts(ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    discounts: npt.NDArray[np.float64] = 1 / np.log2(ranks + 1)
    return discounts
