"""Choosing and searching inverted lists: only lists with passing rows, enough of them, in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.search.index import encode_segment, train
from atlas.search.lists import Centroids, Lists, lists_of_rows, nearest_holding
from atlas.search.selection import Selection
from atlas.search.vectors import unit_vectors
from tests.bundle_factory import random_vectors


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_lists_are_the_nearest_that_hold_enough(data: st.DataObject) -> None:
    """A list left out holds rows that pass and are near; a list too many costs its codes."""
    count = data.draw(st.integers(1, 60))
    scores = np.array(
        data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.5]), min_size=count, max_size=count)),
        np.float32,
    )
    held = np.array(
        data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)), np.int64
    )
    rows = data.draw(st.integers(1, 200))
    order = sorted(np.flatnonzero(held).tolist(), key=lambda i: (-scores[i], i))
    reached, wanted = 0, []
    for number in order:
        wanted.append(number)
        reached += int(held[number])
        if reached >= rows:
            break
    chosen = lists_of_rows(scores, held, rows)
    assert chosen.numbers.tolist() == wanted
    assert chosen.scores.tolist() == scores[wanted].tolist()
    few = data.draw(st.integers(0, 70))
    assert nearest_holding(scores, held, few).numbers.tolist() == order[:few]


@pytest.mark.parametrize("factory", ["IVF16,PQ4x6", "OPQ4,IVF16,PQ4x6", "RR16,IVF16,RaBitQ"])
def test_held_rows_and_candidates_agree(factory: str) -> None:
    """Searching every list that holds passing rows finds them all, whatever the code."""
    vectors = random_vectors(2_000, 16, seed=3)
    index, list_numbers = encode_segment(train(vectors, factory), vectors)
    lists = Lists(index, Centroids(index))
    assert lists.sizes.tolist() == np.bincount(list_numbers, minlength=16).tolist()
    query = unit_vectors(random_vectors(1, 16, seed=4))[0]
    rotated = lists.centroids.rotated(query)
    for chosen in (
        np.arange(300, 420, dtype=np.int64),
        np.arange(0, 2_000, 7, dtype=np.int64),
        np.array([1, 900, 1_999], np.int64),
    ):
        selection = Selection.of_positions(chosen, 2_000)
        held = lists.held(selection, list_numbers)
        assert held.counts.tolist() == np.bincount(list_numbers[chosen], minlength=16).tolist()
        probed = lists_of_rows(lists.centroids.scores(rotated), held.counts, len(chosen))
        found = lists.candidates(rotated, probed, len(chosen), selection)
        assert sorted(found.tolist()) == chosen.tolist()


def test_fewer_candidates_are_the_first_of_more() -> None:
    """The curve takes several numbers of candidates from one search."""
    vectors = random_vectors(2_000, 16, seed=3)
    index, _ = encode_segment(train(vectors, "IVF16,SQ8"), vectors)
    lists = Lists(index, Centroids(index))
    rotated = lists.centroids.rotated(unit_vectors(random_vectors(1, 16, seed=4))[0])
    chosen = lists.centroids.nearest(rotated, 4)
    everything = Selection.everything(2_000)
    many = lists.candidates(rotated, chosen, 200, everything)
    assert lists.candidates(rotated, chosen, 50, everything).tolist() == many[:50].tolist()


def test_a_graph_of_centroids_finds_near_lists() -> None:
    """From thousands of lists on an index may keep them in a graph; the order is still by score."""
    vectors = random_vectors(4_000, 16, seed=3)
    index, _ = encode_segment(train(vectors, "IVF64_HNSW16,PQ4x6"), vectors)
    centroids = Centroids(index)
    assert centroids.navigable
    rotated = centroids.rotated(unit_vectors(random_vectors(1, 16, seed=4))[0])
    through_graph = centroids.nearest(rotated, 8)
    best = nearest_holding(centroids.scores(rotated), None, 8)
    assert len(set(through_graph.numbers.tolist()) & set(best.numbers.tolist())) >= 6
    assert (np.diff(through_graph.scores) <= 0).all()
