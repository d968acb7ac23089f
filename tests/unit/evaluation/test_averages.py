"""Means by category, and intervals that are those of a trusted library."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.evaluation import averages
from indexer.evaluation.averages import by_category, estimates


def test_interval_agrees_with_scipy() -> None:
    """scipy.stats.bootstrap(method="percentile", n_resamples=20000) gave these on this sample."""
    values = np.random.default_rng(3).beta(0.5, 0.5, 80)
    (estimate,) = estimates(values[:, np.newaxis], resamples=20_000, seed=0)
    assert estimate.mean == pytest.approx(0.492215, abs=1e-6)
    assert estimate.low == pytest.approx(0.4170723, abs=0.002)
    assert estimate.high == pytest.approx(0.5697387, abs=0.002)


def test_seed_fixes_the_interval_and_memory_does_not_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same evaluation printed twice must be the same, on any machine."""
    values = np.random.default_rng(1).random((30, 4))
    first = estimates(values, resamples=200, seed=5)
    monkeypatch.setattr(averages, "_DRAWN_AT_ONCE", 500)
    assert estimates(values, resamples=200, seed=5) == first
    assert estimates(values, resamples=200, seed=6) != first


def test_one_query_has_no_interval() -> None:
    """A width of zero would claim certainty."""
    (estimate,) = estimates(np.array([[0.5]]), resamples=100, seed=0)
    assert (estimate.mean, estimate.low, estimate.high) == (0.5, None, None)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    """Resampling what does not differ cannot differ."""
    (estimate,) = estimates(np.full((9, 1), 0.25), resamples=100, seed=0)
    assert (estimate.mean, estimate.low, estimate.high) == (0.25, 0.25, 0.25)


def test_categories_and_all_queries() -> None:
    """All queries weigh the same overall, however many a category has."""
    groups = by_category(
        {"ap": np.array([1.0, 0.0, 0.0, 0.5]), "ndcg": np.array([1.0, 1.0, 0.0, 0.0])},
        ("kind", "group"),
        [("looks", "birds"), ("place", "birds"), ("place", "fungi"), ("place", "birds")],
        k=50,
        resamples=50,
        seed=0,
    )
    told = [(g.column, g.value, g.queries, g.measures["ap"].mean) for g in groups]
    assert told == [
        ("", "", 4, 0.375),
        ("kind", "looks", 1, 1.0),
        ("kind", "place", 3, pytest.approx(1 / 6)),
        ("group", "birds", 3, 0.5),
        ("group", "fungi", 1, 0.0),
    ]
    assert groups[0].measures["ndcg"].mean == 0.5
