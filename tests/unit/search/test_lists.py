"""Choosing and searching inverted lists: only lists with passing rows, enough of them, in order."""

from __future__ import annotations

import faiss
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


def graph_of(lists: int, dim: int) -> Centroids:
    """Centroids in fifty clouds, as those of lists lie, under a graph."""
    random = np.random.default_rng(1)
    clouds = random_vectors(50, dim, 2).astype(np.float32)
    spread = clouds[random.integers(0, 50, lists)] + 0.15 * random.standard_normal((lists, dim))
    index = faiss.index_factory(dim, f"IVF{lists}_HNSW32,SQ8", faiss.METRIC_INNER_PRODUCT)
    faiss.downcast_index(index.quantizer).add(unit_vectors(spread).astype(np.float32))
    return Centroids(index)


@pytest.mark.parametrize("count", [10, 100, 104, 105, 1_000, 2_500])
def test_a_graph_of_centroids_finds_near_lists(count: int) -> None:
    """Would break: a walk that stops at sixteen, as FAISS's own does, finds half of a hundred."""
    centroids = graph_of(2_500, 16)
    assert centroids.navigable
    found = []
    for query in unit_vectors(random_vectors(40, 16, seed=4)):
        rotated = centroids.rotated(query)
        through_graph = centroids.nearest(rotated, count)
        best = nearest_holding(centroids.scores(rotated), None, count)
        assert len(set(through_graph.numbers.tolist())) == len(through_graph.numbers)
        assert (np.diff(through_graph.scores) <= 0).all()
        assert through_graph.scores == pytest.approx(
            centroids.scores(rotated)[through_graph.numbers], abs=1e-3
        )
        found.append(np.isin(best.numbers, through_graph.numbers).mean())
    assert np.mean(found) > 0.95
    if count > 2_500 / 24:
        assert min(found) == 1
