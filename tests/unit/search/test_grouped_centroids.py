"""The nearest of many centroids through groups: nearly all of them, and never a wrong score."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from atlas.search.grouped_centroids import GroupedCentroids
from atlas.search.lists import Centroids
from atlas.search.vectors import QueryVector, unit_vectors
from tests.bundle_factory import random_vectors

LISTS, DIM = 2_500, 16


@pytest.fixture(scope="module")
def middles() -> np.ndarray:
    """Middles that lie in fifty clouds, as those of lists do."""
    random = np.random.default_rng(1)
    clouds = random_vectors(50, DIM, 2).astype(np.float32)
    spread = clouds[random.integers(0, 50, LISTS)] + 0.15 * random.standard_normal((LISTS, DIM))
    return unit_vectors(spread).astype(np.float16)


def test_scores_are_in_the_order_of_numbers(middles: np.ndarray) -> None:
    """Would break: a filter's lists are chosen by the scores of others."""
    query = QueryVector(unit_vectors(random_vectors(1, DIM, 3))[0])
    scores = GroupedCentroids(middles).scores(query)
    assert np.allclose(scores, middles.astype(np.float32) @ query.values, atol=1e-6)


def test_nearly_all_of_the_nearest_are_found(middles: np.ndarray) -> None:
    """Would break: a search misses lists that hold its hits, and recall falls at any cost."""
    grouped = GroupedCentroids(middles)
    shares = []
    for values in unit_vectors(random_vectors(40, DIM, 4)):
        query = QueryVector(values)
        numbers, scores = grouped.near(query, 100)
        assert len(set(numbers.tolist())) == len(numbers) >= 100
        assert len(numbers) < LISTS
        assert np.allclose(scores, query.score(middles[numbers]), atol=1e-6)
        truth = np.argsort(-query.score(middles))[:100]
        shares.append(np.isin(truth, numbers).mean())
    assert np.mean(shares) > 0.95


def test_all_are_found_where_all_are_asked_for(middles: np.ndarray) -> None:
    """Would break: probing every list, which is certain to find everything, leaves some out."""
    query = QueryVector(unit_vectors(random_vectors(1, DIM, 5))[0])
    numbers, _ = GroupedCentroids(middles).near(query, LISTS)
    assert sorted(numbers.tolist()) == list(range(LISTS))


def test_lists_of_a_large_index_are_found_through_groups(
    middles: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: the lists are named by their place in a group and not by their number."""
    index = faiss.index_factory(DIM, f"IVF{LISTS},SQ8", faiss.METRIC_INNER_PRODUCT)
    quantizer = faiss.downcast_index(index.quantizer)
    quantizer.add(middles.astype(np.float32))
    flat = Centroids(index)
    monkeypatch.setattr("atlas.search.lists.GROUPED_FROM", LISTS)
    grouped = Centroids(index)
    found = []
    for values in unit_vectors(random_vectors(20, DIM, 6)):
        rotated = values[np.newaxis]
        want, have = flat.nearest(rotated, 50), grouped.nearest(rotated, 50)
        assert (np.diff(have.scores) <= 0).all()
        found.append(np.isin(want.numbers, have.numbers).mean())
        assert flat.scores(rotated) == pytest.approx(grouped.scores(rotated), abs=1e-6)
    assert np.mean(found) > 0.95
