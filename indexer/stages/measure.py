"""Measure stage: the recall of a space against exact search, before anybody is served from it.

Image-like queries are stored rows, asked without themselves; text-like queries are captions of
taxa through the text tower, since text lies apart from images in the space. The oracle is a
float64 product with the same stored vectors. The curve holds no times: it is part of the bundle,
and the same build must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.search.curve import Curve, CurvePoint, Need
from atlas.search.index import list_count
from atlas.search.lists import Centroids, Lists
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best
from indexer.needs import measure_needs

Vectors = npt.NDArray[np.float16]
Queries = npt.NDArray[np.float32]
QueryKind = Literal["image", "text"]

FETCHES = (50, 100, 200, 400, 800)
# What a server aims at unless it is told otherwise; the points at that setting are marked.
DEFAULT_RECALL = 0.985
NEED_QUERIES = 100
_NOTHING_TO_GAIN = 0.9995
_NO_GAIN = 0.0005
# The oracle reads the vectors in blocks of this many rows, so memory does not follow the segment.
_BLOCK_ROWS = 16_384


class QuerySet(NamedTuple):
    """Queries of one kind: unit `vectors` (n, dim) float32, and `own_rows` (n,) int64.

    `own_rows[i]` is the row that query i is, left out of its answers; -1 where it is none.
    """

    kind: QueryKind
    vectors: Queries
    own_rows: npt.NDArray[np.int64]


class MeasuredSegment(msgspec.Struct, frozen=True):
    """One segment as it is searched: its first row, vectors (rows, dim) and index or None."""

    first_row: int
    vectors: Vectors
    index: faiss.Index | None


def image_queries(segments: Sequence[MeasuredSegment], count: int, seed: int) -> QuerySet:
    """`count` stored rows as queries, drawn by `seed`."""
    total = sum(len(segment.vectors) for segment in segments)
    chosen = np.sort(
        np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    ).astype(np.int64)
    parts = []
    for segment in segments:
        last = segment.first_row + len(segment.vectors)
        inside = chosen[(chosen >= segment.first_row) & (chosen < last)] - segment.first_row
        parts.append(segment.vectors[inside].astype(np.float32))
    return QuerySet("image", np.concatenate(parts), chosen)


def exact_hits(
    segments: Sequence[MeasuredSegment], queries: Queries, own_rows: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    """Row ids of the true first `k`, (n, k), by float64 products; -1 where rows run out.

    `own_rows[i]` is left out of the answer to query i (-1: nothing is left out).

    A float32 product finds who may be among them. It is off by at most e = (dim + 1) 2^-24 |q||v|
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1, with the Cauchy-Schwarz
    inequality), so a row more than 2e below the k-th best float32 score cannot be one of the true
    first k. All others are scored again in float64.
    """
    dim = queries.shape[1]
    # Stored vectors are unit vectors rounded to half precision: at most 1.001 long.
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1) * 1.001
    margin = (2 * (dim + 1) * 2.0**-24 * lengths).astype(np.float32)
    asked = np.arange(len(queries))
    kept_query, kept_row = np.empty(0, np.int64), np.empty(0, np.int64)
    kept_score, kept_exact = np.empty(0, np.float32), np.empty(0, np.float64)
    bar = np.full(len(queries), -np.inf, np.float32)
    for segment in segments:
        for start in range(0, len(segment.vectors), _BLOCK_ROWS):
            block = segment.vectors[start : start + _BLOCK_ROWS].astype(np.float32)
            product = queries @ block.T
            own = own_rows - segment.first_row - start
            inside = (own >= 0) & (own < len(block))
            product[asked[inside], own[inside]] = -np.inf
            if product.shape[1] > k:
                best_of_block = np.partition(product, -k, axis=1)[:, -k] - margin
                np.maximum(bar, best_of_block, out=bar)
            query, at = np.nonzero((product >= bar[:, None]) & (product > -np.inf))
            exact = np.einsum(
                "ij,ij->i", queries[query].astype(np.float64), block[at].astype(np.float64)
            )
            kept_query = np.concatenate([kept_query, query])
            kept_row = np.concatenate([kept_row, at + start + segment.first_row])
            kept_score = np.concatenate([kept_score, product[query, at]])
            kept_exact = np.concatenate([kept_exact, exact])
            order = np.lexsort((kept_row, -kept_score, kept_query))
            rank = np.arange(len(order)) - np.searchsorted(kept_query[order], kept_query[order])
            kth = order[rank == k - 1]
            bar[kept_query[kth]] = np.maximum(
                bar[kept_query[kth]], kept_score[kth] - margin[kept_query[kth]]
            )
            still = kept_score >= bar[kept_query]
            kept_query, kept_row = kept_query[still], kept_row[still]
            kept_score, kept_exact = kept_score[still], kept_exact[still]
    order = np.lexsort((kept_row, -kept_exact, kept_query))
    rank = np.arange(len(order)) - np.searchsorted(kept_query[order], kept_query[order])
    rows = np.full((len(queries), k), -1, np.int64)
    first = order[rank < k]
    rows[kept_query[first], rank[rank < k]] = kept_row[first]
    return rows


class _Served:
    """The server's own search over all segments, at any number of probes and candidates."""

    def __init__(self, segments: Sequence[MeasuredSegment]) -> None:
        self._segments = segments
        indexes = [segment.index for segment in segments if segment.index is not None]
        self.centroids = Centroids(indexes[0]) if indexes else None
        self._lists = [
            None
            if segment.index is None or self.centroids is None
            else Lists(segment.index, self.centroids)
            for segment in segments
        ]

    def hits(
        self, vector: Queries, own_row: int, probes: int, fetches: Sequence[int], k: int
    ) -> tuple[list[npt.NDArray[np.int64]], int]:
        """For each number of candidates the first `k` row ids, and the codes that were scored.

        One search gives them all: fewer candidates are the first of more.
        """
        query = QueryVector(vector)
        offered = [self._offer(i, query, probes, max(fetches)) for i in range(len(self._segments))]
        found = []
        for fetch in fetches:
            parts = [(s[:fetch], r[:fetch]) if coded else (s, r) for s, r, coded, _ in offered]
            scores, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
            _, hits = best(scores, rows, k + 1)
            found.append(hits[hits != own_row][:k])
        return found, sum(codes for *_, codes in offered)

    def _offer(
        self, number: int, query: QueryVector, probes: int, fetch: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], bool, int]:
        """Exact scores and row ids of one segment's candidates, in the order of their codes."""
        segment, lists = self._segments[number], self._lists[number]
        if lists is None or probes == 0:
            scores = query.score_rows(segment.vectors, slice(0, len(segment.vectors)))
            rows = np.arange(len(segment.vectors), dtype=np.int64) + segment.first_row
            return scores, rows, False, 0
        rotated = lists.centroids.rotated(query.values)
        chosen = lists.centroids.nearest(rotated, probes)
        everything = Selection.everything(len(segment.vectors))
        positions = lists.candidates(rotated, chosen, fetch, everything)
        scores = query.score_rows(segment.vectors, positions)
        codes = int(lists.sizes[chosen.numbers].sum())
        return scores, positions + segment.first_row, True, codes


def settings_of(segments: Iterable[MeasuredSegment]) -> list[int]:
    """Numbers of lists to probe that a curve measures: powers of two up to all lists; 0 is exact.

    The ladder may end earlier, where nothing is left to gain.
    """
    lists = max((list_count(s.index) for s in segments if s.index is not None), default=0)
    if lists == 0:
        return [0]
    return sorted({2**i for i in range(2, lists.bit_length()) if 2**i <= lists} | {lists})


def measure_space(
    space: str,
    segments: Sequence[MeasuredSegment],
    queries: Sequence[QuerySet],
    *,
    k: int,
    seed: int,
    progress: Callable[[int], None],
) -> Curve:
    """Recall at `k` for every kind of query, number of probes and number of candidates.

    `progress` is called with 1 for each of `settings_of(segments)` and each kind.
    """
    served = _Served(segments)
    truths = [exact_hits(segments, vectors, own_rows, k) for _, vectors, own_rows in queries]
    points: list[CurvePoint] = []
    ladder = settings_of(segments)
    before = (0.0,) * len(queries)
    for step, probes in enumerate(ladder):
        fetches = FETCHES if probes else (0,)
        added = [
            point
            for asked, truth in zip(queries, truths, strict=True)
            for point in _points(served, asked, truth, probes, fetches, k)
        ]
        points += added
        # Beyond the knee twice the lists find nothing more, and cost seconds a query at 10 M rows.
        reached = tuple(point.recall for point in added if point.fetch == fetches[-1])
        gained = max(now - then for now, then in zip(reached, before, strict=True))
        before = reached
        if min(reached) >= _NOTHING_TO_GAIN or gained < _NO_GAIN:
            progress((len(ladder) - step) * len(queries))
            break
        progress(len(queries))
    total = sum(len(segment.vectors) for segment in segments)
    needs = () if served.centroids is None else _needs(segments, served.centroids, queries, k, seed)
    curve = Curve(space=space, k=k, rows=total, points=tuple(points), needs=needs)
    chosen = curve.cheapest(DEFAULT_RECALL)
    setting = (0, 0) if chosen is None else (chosen.probes, chosen.fetch)
    marked = (
        msgspec.structs.replace(point, default=(point.probes, point.fetch) == setting)
        for point in points
    )
    return msgspec.structs.replace(curve, points=tuple(marked))


def _needs(
    segments: Sequence[MeasuredSegment],
    centroids: Centroids,
    queries: Sequence[QuerySet],
    k: int,
    seed: int,
) -> tuple[Need, ...]:
    """Measured on the largest segment that has an index; it stands for all."""
    largest = max((s for s in segments if s.index is not None), key=lambda s: len(s.vectors))
    sets = []
    for kind, vectors, own_rows in queries:
        own = own_rows[:NEED_QUERIES] - largest.first_row
        own[(own < 0) | (own >= len(largest.vectors))] = -1
        sets.append((kind, vectors[:NEED_QUERIES], own))
    return measure_needs(largest.vectors, largest.index, centroids, sets, k=k, seed=seed)


def _points(
    served: _Served,
    asked: QuerySet,
    truth: npt.NDArray[np.int64],
    probes: int,
    fetches: Sequence[int],
    k: int,
) -> Iterator[CurvePoint]:
    shares = np.ones((len(fetches), len(asked.vectors)))
    codes = 0
    for i, vector in enumerate(asked.vectors):
        wanted = truth[i][truth[i] >= 0]
        found, scanned = served.hits(vector, int(asked.own_rows[i]), probes, fetches, k)
        codes += scanned
        if len(wanted):
            shares[:, i] = [np.isin(wanted, hits).mean() for hits in found]
    for fetch, share in zip(fetches, shares, strict=True):
        yield CurvePoint(
            queries=asked.kind,
            path="index" if probes else "exact",
            probes=probes,
            fetch=fetch,
            codes=round(codes / max(len(asked.vectors), 1), 1),
            recall=round(float(share.mean()), 6) if len(share) else 1.0,
            asked=len(asked.vectors),
            default=probes == 0,
        )
