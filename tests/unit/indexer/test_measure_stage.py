"""The measure stage: its recall is the one that counting by hand gives."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from atlas.search.index import encode_segment, train
from indexer.stages.measure import (
    DEFAULT_RECALL,
    FETCHES,
    MeasuredSegment,
    QuerySet,
    exact_hits,
    image_queries,
    measure_space,
    settings_of,
)
from tests.bundle_factory import random_vectors

DIM, K, LISTS = 12, 10, 32
SIZES = (900, 700)
TRAINED = train(random_vectors(1600, DIM, 5), f"IVF{LISTS},Flat")


def segments_of(trained: faiss.Index | None) -> list[MeasuredSegment]:
    """Two segments, with lists of this index or without."""
    segments = []
    first = 0
    for seed, rows in enumerate(SIZES):
        vectors = random_vectors(rows, DIM, seed)
        index = None if trained is None else encode_segment(faiss.clone_index(trained), vectors)[0]
        segments.append(MeasuredSegment(first, vectors, index))
        first += rows
    return segments


def ranked(
    segments: list[MeasuredSegment], query: npt.NDArray[np.float32], own: int, keep: set[int]
) -> list[int]:
    """The first `K` of the rows in `keep`, by cosine and then by row id, one by one."""
    rows = [
        (-float(query.astype(np.float64) @ vector.astype(np.float64)), segment.first_row + i)
        for segment in segments
        for i, vector in enumerate(segment.vectors)
        if segment.first_row + i in keep and segment.first_row + i != own
    ]
    return [row for _, row in sorted(rows)[:K]]


def probed(
    segments: list[MeasuredSegment], query: npt.NDArray[np.float32], probes: int
) -> set[int]:
    """The rows in the `probes` lists whose centres are nearest to the query, by numpy."""
    quantizer = faiss.downcast_index(faiss.extract_index_ivf(TRAINED).quantizer)
    centres = quantizer.reconstruct_n(0, LISTS).astype(np.float64)
    nearest = set(np.argsort(-(centres @ query.astype(np.float64)))[:probes].tolist())
    found = set()
    for segment in segments:
        lists = np.argmax(segment.vectors.astype(np.float64) @ centres.T, axis=1)
        found |= {segment.first_row + i for i, own in enumerate(lists.tolist()) if own in nearest}
    return found


@pytest.fixture(scope="module")
def segments() -> list[MeasuredSegment]:
    """Two segments with lists that keep whole vectors, so recall follows from the lists alone."""
    return segments_of(TRAINED)


def text_like(count: int) -> QuerySet:
    """Queries that are no stored row."""
    vectors = random_vectors(count, DIM, 77).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return QuerySet("text", vectors, np.full(count, -1, np.int64))


def test_recall_is_the_share_counted_by_hand(segments: list[MeasuredSegment]) -> None:
    """Would break: the gate lets through an index that finds less than the curve says."""
    sets = [image_queries(segments, 25, 8), text_like(15)]
    done: list[int] = []
    curve = measure_space("small", segments, sets, k=K, seed=0, progress=done.append)
    everything = set(range(sum(SIZES)))
    assert sum(done) == 2 * len(settings_of(segments))
    ladder = sorted({point.probes for point in curve.points})
    assert ladder == settings_of(segments)[: len(ladder)]
    assert len(curve.points) == 2 * len(ladder) * len(FETCHES)
    assert (curve.space, curve.k, curve.rows) == ("small", K, sum(SIZES))
    recalls: dict[tuple[str, int], float] = {}
    for kind, vectors, own_rows in sets:
        truths = [
            ranked(segments, query, own, everything)
            for query, own in zip(vectors, own_rows.tolist(), strict=True)
        ]
        for probes in settings_of(segments):
            shares = [
                len(set(truth) & set(ranked(segments, query, own, probed(segments, query, probes))))
                / K
                for truth, query, own in zip(truths, vectors, own_rows.tolist(), strict=True)
            ]
            recalls[kind, probes] = float(np.mean(shares))
    for point in curve.points:
        assert point.path == "index"
        assert point.asked == (25 if point.queries == "image" else 15)
        # Lists of whole vectors hand over the true first ones, however few are fetched.
        assert point.recall == pytest.approx(recalls[point.queries, point.probes], abs=1e-6)
    assert min(recalls.values()) < 0.9
    assert recalls["image", LISTS] == recalls["text", LISTS] == 1


def test_the_point_that_is_served_is_marked(segments: list[MeasuredSegment]) -> None:
    """Would break: the gate judges a setting that the server does not use."""
    curve = measure_space(
        "small", segments, [text_like(3)], k=K, seed=0, progress=lambda _done: None
    )
    (served,) = curve.served()
    assert served == curve.cheapest(DEFAULT_RECALL)
    assert settings_of(segments)[-1] == LISTS


def test_exact_search_finds_everything() -> None:
    """Would break: a small atlas cannot be published, or the oracle disagrees with the server."""
    segments = segments_of(None)
    sets = [image_queries(segments, 40, 1), text_like(20)]
    curve = measure_space("small", segments, sets, k=K, seed=0, progress=lambda _done: None)
    assert [(point.queries, point.path, point.recall) for point in curve.points] == [
        ("image", "exact", 1.0),
        ("text", "exact", 1.0),
    ]
    assert all(point.default and point.probes == point.fetch == 0 for point in curve.points)


def test_queries_are_stored_rows_drawn_over_all_segments() -> None:
    """Would break: the sample shows the first segment's taxa only, or its rows are mixed up."""
    segments = segments_of(None)
    queries = image_queries(segments, 60, 4)
    everything = np.concatenate([segment.vectors for segment in segments]).astype(np.float32)
    assert np.array_equal(queries.vectors, everything[queries.own_rows])
    assert len(set(queries.own_rows.tolist())) == 60
    assert queries.own_rows.min() < SIZES[0] <= queries.own_rows.max()
    again, other = image_queries(segments, 60, 4), image_queries(segments, 60, 5)
    assert np.array_equal(again.own_rows, queries.own_rows)
    assert not np.array_equal(other.own_rows, queries.own_rows)
    every = image_queries(segments, 10**6, 4)
    assert every.own_rows.tolist() == list(range(sum(SIZES)))


def test_a_query_is_not_its_own_answer() -> None:
    """Would break: every image query finds itself, and recall at one is always perfect."""
    segments = segments_of(None)
    queries = image_queries(segments, 20, 2)
    hits = exact_hits(segments, queries.vectors, queries.own_rows, K)
    everything = set(range(sum(SIZES)))
    for query, own, found in zip(
        queries.vectors, queries.own_rows.tolist(), hits.tolist(), strict=True
    ):
        assert own not in found
        assert found == ranked(segments, query, own, everything)


def test_fewer_rows_than_are_asked_for() -> None:
    """Would break: an atlas of three photos is measured against rows that do not exist."""
    segments = [MeasuredSegment(0, random_vectors(3, DIM, 1), None)]
    queries = image_queries(segments, 5, 0)
    hits = exact_hits(segments, queries.vectors, queries.own_rows, K)
    assert np.all((hits >= 0).sum(axis=1) == 2)
    curve = measure_space("small", segments, [queries], k=K, seed=0, progress=lambda _done: None)
    assert curve.points[0].recall == 1
    alone = [MeasuredSegment(0, random_vectors(1, DIM, 1), None)]
    curve = measure_space(
        "small", alone, [image_queries(alone, 5, 0)], k=K, seed=0, progress=lambda _done: None
    )
    assert curve.points[0].recall == 1
