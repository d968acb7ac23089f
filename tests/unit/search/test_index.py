"""The index: its kind follows rows and dimension, and training and encoding repeat."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from atlas.search import centroids
from atlas.search.index import (
    codes_for,
    default_probes,
    encode_segment,
    factory_for,
    list_count,
    lists_for,
    read_index,
    train,
    training_rows,
    write_index,
)
from atlas.search.lists import Centroids, Lists
from atlas.search.selection import Selection
from atlas.search.vectors import unit_vectors
from tests.bundle_factory import random_vectors
from tests.full_disk import FULL, needs_full

FACTORY = "OPQ4,IVF8,PQ4x6"
GRAPH = "OPQ4,IVF8_HNSW32,PQ4x6"


def test_the_default_kind() -> None:
    """These strings are what the documentation promises."""
    assert factory_for(99_999, 768) is None
    assert factory_for(100_000, 768) == "OPQ96,IVF1024,PQ96"
    assert factory_for(100_000, 768, "exact") is None
    assert factory_for(10_000_000, 1024) == "OPQ128,IVF16384,PQ128"
    assert factory_for(1_000, 32, "IVF{n},Flat", exact_below=0) == "IVF16,Flat"


@pytest.mark.parametrize("dim", [*range(4, 70), 96, 100, 251, 384, 509, 510, 512, 640, 1024, 1152])
def test_every_dimension_gets_a_valid_code(dim: int) -> None:
    """Product quantisation needs a divisor; FAISS must accept what is chosen."""
    pattern = codes_for(dim)
    assert pattern is not None
    faiss.index_factory(dim, pattern.replace("{n}", "16"), faiss.METRIC_INNER_PRODUCT)


def test_tiny_vectors_are_searched_exactly() -> None:
    """There is nothing to compress in three numbers."""
    assert codes_for(3) is None
    assert factory_for(10**6, 3) is None


@pytest.mark.parametrize("requested", ["nonsense", "Flat", "OPQ7,IVF64,PQ7", "HNSW32"])
def test_what_cannot_be_built_is_refused(requested: str) -> None:
    """A plan's typing error must stop the build before it starts to embed."""
    with pytest.raises(ValueError, match="not an inverted-file index"):
        factory_for(10**6, 768, requested)


@pytest.mark.parametrize(
    ("requested", "factory"),
    [
        ("auto", "OPQ96,IVF1024_HNSW32,PQ96"),
        ("IVF{n},Flat", "IVF1024_HNSW32,Flat"),
        ("IVF16,Flat", "IVF16_HNSW32,Flat"),
        ("OPQ96,IVF{n}_HNSW16,PQ96", "OPQ96,IVF1024_HNSW16,PQ96"),
    ],
)
def test_a_graph_over_the_lists_may_be_asked_for_by_name(requested: str, factory: str) -> None:
    """Would break: a plan asks for a graph and gets groups, or one graph on top of another."""
    assert factory_for(100_000, 768, requested, coarse="hnsw") == factory


@pytest.mark.parametrize("requested", ["exact", "auto"])
def test_small_and_exact_spaces_have_no_graph(requested: str) -> None:
    """Would break: asking for a graph makes an index where none is due."""
    rows = 100_000 if requested == "exact" else 99_999
    assert factory_for(rows, 768, requested, coarse="hnsw") is None


def test_lists_that_are_found_in_another_way_are_no_graph() -> None:
    """Would break: a plan that says two things about its lists gets either of them."""
    with pytest.raises(ValueError, match="names how lists are found by itself"):
        factory_for(100_000, 768, "IVF1024(PQ16x4fs),Flat", coarse="hnsw")


def test_a_graph_lies_over_the_same_lists() -> None:
    """Would break: with a graph, FAISS trains other lists, and rows go where its walk leads."""
    vectors = random_vectors(2_000, 16, seed=1)
    plain, graph = (train(vectors, factory, seed=3) for factory in (FACTORY, GRAPH))
    one, other = (centroids.centroids_of(faiss.extract_index_ivf(i)) for i in (plain, graph))
    assert np.array_equal(one, other)
    filled, numbers = encode_segment(graph, vectors)
    assert np.array_equal(numbers, encode_segment(plain, vectors)[1])
    assert Centroids(filled).navigable
    # However many threads there are: each would put its nodes into the graph at another moment.
    again = train(vectors, GRAPH, seed=3)
    assert np.array_equal(faiss.serialize_index(again), faiss.serialize_index(graph))


def test_lists_can_be_trained() -> None:
    """With fewer than 39 rows a list, k-means gives lists without meaning."""
    for rows in (1, 10, 100, 1_000, 10_000, 100_000, 10**7, 10**9):
        lists = lists_for(rows)
        assert 1 <= lists <= 65_536
        assert lists == 1 or rows // lists >= 39
        assert default_probes(lists) <= lists


def _nearest(
    index: faiss.Index,
    query: np.ndarray[tuple[int], np.dtype[np.float32]],
    fetch: int,
    probes: int,
    selection: Selection,
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Candidates of the nearest lists."""
    centroids = Centroids(index)
    rotated = centroids.rotated(query)
    chosen = centroids.nearest(rotated, probes)
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = Lists(index, centroids).candidates(
        rotated, chosen, fetch, selection
    )
    return found


def test_training_and_encoding_repeat() -> None:
    """A build that is killed and resumed must give the same bytes."""
    vectors = random_vectors(1_000, 16, seed=1)
    one, two = (train(vectors, FACTORY, seed=5) for _ in range(2))
    assert np.array_equal(faiss.serialize_index(one), faiss.serialize_index(two))
    filled = [encode_segment(trained, vectors)[0] for trained in (one, two)]
    assert np.array_equal(*(faiss.serialize_index(index) for index in filled))
    assert one.ntotal == 0


@pytest.mark.parametrize(
    ("grouped", "factory"), [(1, FACTORY), (1, "IVF40,Flat"), (10**9, FACTORY)]
)
def test_rows_go_to_the_nearest_list(
    monkeypatch: pytest.MonkeyPatch, grouped: int, factory: str
) -> None:
    """A query probes the lists nearest to it: a row elsewhere is found late or never."""
    monkeypatch.setattr(centroids, "_LEAST_GROUPED", grouped)
    vectors = random_vectors(2_000, 16, seed=1)
    trained = train(vectors, factory, seed=3)
    ours, list_numbers = encode_segment(trained, vectors)
    theirs = faiss.clone_index(trained)
    theirs.add(vectors.astype(np.float32))
    assert ours.ntotal == theirs.ntotal == 2_000
    lists = faiss.extract_index_ivf(theirs).invlists
    same = 0
    for number in range(lists.nlist):
        held = faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))
        same += int((list_numbers[held] == number).sum())
    assert same >= (1_960 if grouped == 1 else 2_000)
    sizes = np.bincount(list_numbers, minlength=lists.nlist)
    assert sizes.min() > 0
    if grouped > 1:
        assert np.array_equal(faiss.serialize_index(ours), faiss.serialize_index(theirs))


def test_ids_are_positions_and_lists_are_known(tmp_path: Path) -> None:
    """The planner gathers f16 rows by these ids, and later probes lists by these numbers."""
    vectors = random_vectors(1_000, 16, seed=1)
    index, list_numbers = encode_segment(train(vectors, FACTORY), vectors)
    assert list_numbers.dtype == np.int32
    assert list_numbers.min() >= 0
    assert list_numbers.max() < list_count(index) == 8
    write_index(index, tmp_path / "index")
    mapped = read_index(tmp_path / "index")
    everything = Selection.everything(1_000)
    for position in (0, 7, 999):
        query = unit_vectors(vectors[position : position + 1])[0]
        found = _nearest(mapped, query, 20, 1, everything)
        assert np.array_equal(found, _nearest(index, query, 20, 1, everything))
        # With one probe, all candidates come from the list that the query falls in.
        assert set(list_numbers[found]) == {list_numbers[position]}


@needs_full
@pytest.mark.parametrize("rows", [0, 1_000])
def test_an_index_that_does_not_fit_is_not_lost_silently(rows: int) -> None:
    """Would break: the last lists of a segment are cut off: FAISS prints it and goes on."""
    vectors = random_vectors(1_000, 16, seed=1)
    index, _ = encode_segment(train(vectors, FACTORY), vectors[:rows])
    with pytest.raises(OSError, match="No space left on device"):
        write_index(index, FULL)


@pytest.mark.parametrize(
    "chosen",
    [np.arange(100, 300), np.arange(0, 1_000, 3), np.array([5, 500])],
    ids=["run", "bits", "few"],
)
def test_only_selected_rows_are_found(chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """A candidate that does not pass the filter would end up on the page."""
    vectors = random_vectors(1_000, 16, seed=1)
    index, _ = encode_segment(train(vectors, FACTORY), vectors)
    query = unit_vectors(vectors[:1])[0]
    selection = Selection.of_positions(chosen, 1_000)
    found = _nearest(index, query, 1_000, 8, selection)
    assert sorted(found.tolist()) == chosen.tolist()


def test_a_larger_sample_is_cut() -> None:
    """Training on all rows of a large atlas would take all its memory, and hours."""
    vectors = random_vectors(training_rows(FACTORY) + 500, 8, seed=1)
    assert train(vectors, "IVF8,Flat").is_trained


def test_too_small_a_sample_is_refused() -> None:
    """FAISS would raise from deep inside; the build should say what is wrong."""
    with pytest.raises(ValueError, match="at least 256"):
        train(random_vectors(100, 16, seed=1), FACTORY)
