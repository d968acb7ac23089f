"""Exact scoring: as good as float64, whichever way a row is reached, and totally ordered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.search.vectors import (
    QueryVector,
    best,
    best_of_reads,
    score_rows,
    unit_vectors,
)
from tests.bundle_factory import random_vectors


@pytest.mark.parametrize("dim", [3, 24, 96, 512, 768, 1000, 1024])
def test_scores_equal_float64(dim: int) -> None:
    """A query rounded to float16, or sums kept in float16, would be wrong by 1e-4."""
    vectors = random_vectors(500, dim, seed=dim)
    query = unit_vectors(np.random.default_rng(dim).standard_normal((1, dim)))[0]
    wanted = vectors.astype(np.float64) @ query.astype(np.float64)
    found = score_rows(vectors, query, slice(0, 500))
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() < 1e-6


def test_a_lopsided_query_keeps_its_small_numbers() -> None:
    """A remainder that fell into float16's subnormals would lose a query's small components."""
    query = np.full((1, 768), 1e-5)
    query[0, 7] = 1.0
    unit = unit_vectors(query)[0]
    vectors = random_vectors(200, 768, seed=4)
    wanted = vectors.astype(np.float64) @ unit.astype(np.float64)
    assert np.abs(score_rows(vectors, unit, slice(0, 200)) - wanted).max() < 1e-6


def test_a_score_does_not_depend_on_its_neighbours() -> None:
    """If gathered and sequential scores differed in a bit, pages could repeat or skip a hit."""
    vectors = random_vectors(1_000, 96, seed=2)
    query = QueryVector(unit_vectors(np.random.default_rng(2).standard_normal((1, 96)))[0])
    whole = query.score_rows(vectors, slice(0, 1_000))
    rows = np.random.default_rng(3).permutation(1_000).astype(np.int64)[:777]
    assert np.array_equal(query.score_rows(vectors, rows), whole[rows])
    for start, stop in ((0, 1), (1, 2), (17, 40), (999, 1_000), (5, 995)):
        assert np.array_equal(query.score_rows(vectors, slice(start, stop)), whole[start:stop])


def test_no_rows_give_no_scores() -> None:
    """An empty segment or selection must not reach the kernel, which refuses empty arrays."""
    vectors = random_vectors(10, 8, seed=1)
    query = unit_vectors(np.ones((1, 8)))[0]
    assert score_rows(vectors, query, np.empty(0, np.int64)).shape == (0,)
    assert score_rows(vectors, query, slice(4, 4)).shape == (0,)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(bad: list[float]) -> None:
    """Dividing by zero would answer with NaN scores in no order."""
    with pytest.raises(ValueError, match="zero or not finite"):
        unit_vectors(np.array([bad]))


def test_very_long_and_very_short_vectors_have_a_direction() -> None:
    """Squares of 1e200 or 1e-200 leave the range of float64."""
    unit = unit_vectors(np.array([[3e200, 4e200], [3e-200, 4e-200]]))
    assert np.allclose(unit, [[0.6, 0.8], [0.6, 0.8]])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.1, 0.25, 0.5, -0.5]), max_size=40),
    st.integers(0, 45),
    st.integers(1, 9),
)
def test_best_is_a_prefix_of_the_total_order(values: list[float], count: int, block: int) -> None:
    """With ties at the edge, a partial sort that picks any of them would break paging."""
    scores = np.array(values, np.float32)
    rows = np.arange(len(values), dtype=np.int64) * 3
    order = sorted(range(len(values)), key=lambda i: (-scores[i], rows[i]))[:count]
    found_scores, found_rows = best(scores, rows, count)
    assert found_rows.tolist() == [int(rows[i]) for i in order]
    assert found_scores.tolist() == [float(scores[i]) for i in order]
    # The same in blocks, through a matrix whose products are these scores.
    vectors = np.array(values, np.float16).reshape(-1, 1)
    blocks = ((slice(i, min(i + block, len(values))), None) for i in range(0, len(values), block))
    _, positions = best_of_reads(QueryVector(np.ones(1, np.float32)), vectors, blocks, count)
    assert (positions * 3).tolist() == found_rows.tolist()
