"""How far filters reach: what is measured equals a count by hand, and repeats."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.search.index import encode_segment, train
from atlas.search.lists import Centroids, Lists, lists_of_rows
from atlas.search.selection import Selection
from atlas.search.vectors import unit_vectors
from indexer.needs import COVERED, measure_needs
from tests.bundle_factory import random_vectors

ROWS, DIM, K = 20_000, 16, 10


@pytest.mark.parametrize("kind", ["random", "run"])
def test_looking_as_far_as_needed_finds_the_share(kind: str) -> None:
    """A server that looked less far than measured would lose hits; further would waste codes."""
    vectors = random_vectors(ROWS, DIM, seed=1)
    index, list_numbers = encode_segment(train(vectors, "IVF64,PQ4x6"), vectors)
    centroids = Centroids(index)
    queries = unit_vectors(random_vectors(60, DIM, seed=2))
    asked = ("text", queries, np.full(60, -1, np.int64))
    needs = measure_needs(vectors, index, centroids, [asked], k=K, seed=3)
    assert needs == measure_needs(vectors, index, centroids, [asked], k=K, seed=3)
    assert {need.kind for need in needs} == {"random", "run"}
    assert {need.covered for need in needs} == set(COVERED)
    assert {need.passing for need in needs} == {ROWS // 4}
    lists = Lists(index, centroids)
    random = np.random.default_rng(9)
    for need in needs:
        if need.kind != kind or need.covered > 0.99:
            continue
        shares = []
        for query in queries:
            if kind == "run":
                first = int(random.integers(ROWS - need.passing + 1))
                passing = np.arange(first, first + need.passing)
            else:
                passing = np.sort(random.permutation(ROWS)[: need.passing])
            held = lists.held(Selection.of_positions(passing, ROWS), list_numbers)
            chosen = lists_of_rows(
                centroids.scores(centroids.rotated(query)), held.counts, need.rows
            )
            scores = vectors[passing].astype(np.float64) @ query.astype(np.float64)
            truth = passing[np.argsort(-scores)[:K]]
            shares.append(np.isin(list_numbers[truth], chosen.numbers).mean())
        # Other filters of the same size than were measured, so only nearly the same share; and
        # lists are whole, so a little more than asked for.
        assert need.covered - 0.04 <= np.mean(shares) <= need.covered + 0.08


def test_a_segment_too_small_to_need_it_has_no_needs() -> None:
    """Below some thousands of passing rows everything is scored exactly."""
    vectors = random_vectors(2_000, DIM, seed=1)
    index, _ = encode_segment(train(vectors, "IVF16,PQ4x6"), vectors)
    asked = ("image", unit_vectors(random_vectors(3, DIM, seed=2)), np.full(3, -1, np.int64))
    assert measure_needs(vectors, index, Centroids(index), [asked], k=K, seed=3) == ()
