"""The measures against cases worked out by hand, against other libraries' results, and bounds."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.evaluation.metrics import (
    Found,
    average_precision,
    normalised_gain,
    recall,
    reciprocal_rank,
)

MEASURES = (average_precision, normalised_gain, reciprocal_rank, recall)


def found_of(hits: str) -> Found:
    """`x..x` as relevant, not, not, relevant."""
    return np.array([hit == "x" for hit in hits], bool)


# (hits, relevant, k, AP, nDCG, reciprocal rank, recall), worked out by hand.
BY_HAND = [
    # All relevant, and as many as there are.
    ("xxx", 3, 3, 1.0, 1.0, 1.0, 1.0),
    # A perfect first k of more relevant images than k: AP and nDCG 1, recall below.
    ("xx", 8, 2, 1.0, 1.0, 1.0, 0.25),
    # Precisions 1/1 and 2/3 over min(4, 2).
    ("x.x.", 2, 4, (1 + 2 / 3) / 2, (1 + 1 / 2) / (1 + 1 / log2(3)), 1.0, 1.0),
    # The same hits where three more exist: over min(4, 5).
    (
        "x.x.",
        5,
        4,
        (1 + 2 / 3) / 4,
        1.5 / (1 + 1 / log2(3) + 1 / 2 + 1 / log2(5)),
        1.0,
        0.4,
    ),
    # Nothing found.
    ("....", 3, 4, 0.0, 0.0, 0.0, 0.0),
    # No hit at all, as in an atlas without rows to search.
    ("", 3, 4, 0.0, 0.0, 0.0, 0.0),
    # Fewer hits than k: the empty ranks are misses.
    (".x", 3, 50, (1 / 2) / 3, (1 / log2(3)) / (1 + 1 / log2(3) + 1 / 2), 0.5, 1 / 3),
    # Only the first k count.
    ("..x", 1, 2, 0.0, 0.0, 0.0, 0.0),
    ("...x", 1, 4, 0.25, 1 / log2(5), 0.25, 1.0),
]  # fmt: skip

# AP by scikit-learn 1.9.1 (`average_precision_score` times hits over min(k, relevant), as INQUIRE
# takes it), nDCG by its `ndcg_score`, reciprocal rank and recall by pytrec_eval 0.5.11; 3,000
# random cases agreed to 1e-15, of which these are some.
BY_LIBRARY = [
    (
        "...........................x.......x.........x...............",
        39, 50, 0.004012493, 0.052991263, 0.035714286, 0.076923077,
    ),
    (
        "xx..x.xxx....x.xxxx.xxx..x.x.x..x",
        24, 50, 0.464938171, 0.713825649, 1.0, 0.75,
    ),
    (
        "..xx..x.x...x...x...x....xx.........",
        74, 50, 0.068365295, 0.210119894, 0.333333333, 0.121621622,
    ),
    (
        ".x..................................x.........x................................",
        6, 5, 0.1, 0.213986265, 0.5, 0.166666667,
    ),
    (
        "......x.xx..x.xx.....xx.xxx....xx..x...xxx..x..x.x.x...x.x..x.xxxxx.x...x.xx.x",
        93, 10, 0.066507937, 0.203238934, 0.142857143, 0.032258065,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hits", "relevant", "k", "ap", "ndcg", "first", "share"), [*BY_HAND, *BY_LIBRARY]
)
def test_known_cases(
    hits: str, relevant: int, k: int, ap: float, ndcg: float, first: float, share: float
) -> None:
    """Another divisor or discount would make our numbers no INQUIRE numbers."""
    measured = [measure(found_of(hits), relevant, k) for measure in MEASURES]
    assert measured == pytest.approx([ap, ndcg, first, share], abs=1e-9)


def test_impossible_counts_are_refused() -> None:
    """A query without a right answer has no score, and more hits than answers is a bug."""
    for measure in MEASURES:
        for hits, relevant, k in (("x", 0, 5), ("x", 1, 0), ("xx", 1, 5)):
            with pytest.raises(ValueError, match="relevant"):
                measure(found_of(hits), relevant, k)


CASES = st.tuples(st.lists(st.booleans(), max_size=80), st.integers(0, 60), st.integers(1, 70))


@given(CASES)
def test_bounds_and_perfection(case: tuple[list[bool], int, int]) -> None:
    """All are within 0 and 1, and 1 for AP and nDCG exactly where no ranking is better."""
    hits, more, k = case
    found = np.array(hits, bool)
    relevant = int(found.sum()) + more
    if relevant == 0:
        return
    scores = [measure(found, relevant, k) for measure in MEASURES]
    assert all(0 <= score <= 1 + 1e-12 for score in scores)
    best_possible = found[: min(k, relevant)].all() and len(found) >= min(k, relevant)
    assert (scores[0] > 1 - 1e-9) == best_possible
    assert (scores[1] > 1 - 1e-9) == best_possible


@given(CASES, st.data())
def test_a_relevant_hit_moved_up_never_costs(
    case: tuple[list[bool], int, int], data: st.DataObject
) -> None:
    """Whoever improves a ranking must not see a lower score."""
    hits, more, k = case
    found = np.array(hits, bool)
    places = [i for i in range(1, len(found)) if found[i] and not found[i - 1]]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    better = found.copy()
    better[[place - 1, place]] = True, False
    relevant = int(found.sum()) + more
    for measure in MEASURES:
        assert measure(better, relevant, k) >= measure(found, relevant, k) - 1e-12
    if place < k:
        assert average_precision(better, relevant, k) > average_precision(found, relevant, k)
        assert normalised_gain(better, relevant, k) > normalised_gain(found, relevant, k)


@given(CASES)
def test_what_lies_beyond_k_changes_nothing(case: tuple[list[bool], int, int]) -> None:
    """A measure at k that looked further would not be comparable."""
    hits, more, k = case
    found = np.array(hits, bool)
    relevant = int(found.sum()) + more
    if relevant:
        for measure in MEASURES:
            assert measure(found, relevant, k) == measure(found[:k], relevant, k)
