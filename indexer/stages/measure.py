"""Measure stage: the recall of a space against exact search, before anybody is served from it.

Image-like queries are stored rows, asked without themselves; text-like queries are captions of
taxa through the text tower, since text lies apart from images in the space. The oracle is a
float64 product with the same stored vectors. The curve holds no times: it is part of the bundle,
and the same build must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.search.index import default_probes, find_candidates, list_count
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, best

Vectors = npt.NDArray[np.float16]
Queries = npt.NDArray[np.float32]
QueryKind = Literal["image", "text"]

DEFAULT_FETCH = 400
FETCHES = (50, 100, 200, 400)
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


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Recall at one setting; `default` marks the one that the server uses.

    `path` is `exact` or `index`; `probes` and `fetch` are 0 if exact.
    """

    queries: QueryKind
    path: Literal["exact", "index"]
    probes: int
    fetch: int
    recall: float
    asked: int
    default: bool


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `curve.json`: recall at `k` of one space, by query kind and cost."""

    space: str
    k: int
    rows: int
    points: tuple[CurvePoint, ...]

    def served(self) -> tuple[CurvePoint, ...]:
        """The points at the setting that the server uses by default, one for each query kind."""
        return tuple(point for point in self.points if point.default)


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


def served_hits(
    segments: Sequence[MeasuredSegment], query: Queries, own_row: int, setting: tuple[int, int, int]
) -> npt.NDArray[np.int64]:
    """Row ids that the server's own search gives for (probes, fetch, k); best first."""
    probes, fetch, k = setting
    prepared = QueryVector(query)
    found_scores, found_rows = [], []
    for segment in segments:
        if segment.index is None or probes == 0:
            positions = np.arange(len(segment.vectors), dtype=np.int64)
            scores = prepared.score_rows(segment.vectors, slice(0, len(segment.vectors)))
        else:
            positions = find_candidates(
                segment.index,
                query,
                fetch=fetch,
                probes=probes,
                selection=Selection.everything(len(segment.vectors)),
            )
            scores = prepared.score_rows(segment.vectors, positions)
        found_scores.append(scores)
        found_rows.append(positions + segment.first_row)
    scores, rows = np.concatenate(found_scores), np.concatenate(found_rows)
    _, hits = best(scores, rows, k + 1)
    others: npt.NDArray[np.int64] = hits[hits != own_row][:k]
    return others


def probe_ladder(segments: Iterable[MeasuredSegment]) -> list[int]:
    """Numbers of lists to probe: powers of two up to all lists, and the server's default."""
    lists = max((list_count(s.index) for s in segments if s.index is not None), default=0)
    if lists == 0:
        return [0]
    steps = {2**i for i in range(2, lists.bit_length()) if 2**i <= lists}
    return sorted(steps | {default_probes(lists), lists})


def measure_space(
    space: str,
    segments: Sequence[MeasuredSegment],
    queries: Sequence[QuerySet],
    *,
    k: int,
    progress: Callable[[int], None],
) -> Curve:
    """Recall at `k` for every kind of query, number of probes and number of candidates.

    `progress` is called with 1 after each setting; there are `settings_of(segments)` for each kind.
    """
    points = []
    served = served_setting(segments)
    for kind, vectors, own_rows in queries:
        truth = exact_hits(segments, vectors, own_rows, k)
        for probes, fetch in settings_of(segments):
            shares = []
            for i in range(len(vectors)):
                wanted = truth[i][truth[i] >= 0]
                hits = served_hits(segments, vectors[i], int(own_rows[i]), (probes, fetch, k))
                shares.append(np.isin(wanted, hits).mean() if len(wanted) else 1.0)
            points.append(
                CurvePoint(
                    queries=kind,
                    path="index" if probes else "exact",
                    probes=probes,
                    fetch=fetch,
                    recall=round(float(np.mean(shares)), 6) if shares else 1.0,
                    asked=len(vectors),
                    default=(probes, fetch) == served,
                )
            )
            progress(1)
    total = sum(len(segment.vectors) for segment in segments)
    return Curve(space=space, k=k, rows=total, points=tuple(points))


def served_setting(segments: Sequence[MeasuredSegment]) -> tuple[int, int]:
    """The (probes, fetch) that the server uses by default; (0, 0) stands for exact search."""
    lists = probe_ladder(segments)[-1]
    return (default_probes(lists), DEFAULT_FETCH) if lists else (0, 0)


def settings_of(segments: Sequence[MeasuredSegment]) -> list[tuple[int, int]]:
    """The (probes, fetch) that a curve measures."""
    probes, fetch = served_setting(segments)
    if probes == 0:
        return [(0, 0)]
    # Fetch is varied at the served number of probes, and probes at the served fetch.
    ladder = {(step, fetch) for step in probe_ladder(segments)}
    return sorted(ladder | {(probes, step) for step in FETCHES})
