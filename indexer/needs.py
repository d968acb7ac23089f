"""How far a filtered search has to look: where the true hits lie among the lists, by selectivity.

For filters of several sizes, rows anywhere and contiguous runs (as of a taxon), the true first k
of every query are found exactly; each lies in some list, and the lists nearer to the query hold a
known number of passing rows. The quantiles of that number are what the server needs. No search is
timed or run, so the result is reproducible. Pure functions on arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from atlas.search.curve import Need
from atlas.search.lists import Centroids

Vectors = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]
Asked = tuple[str, npt.NDArray[np.float32], Rows]

COVERED = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# From a quarter of the rows down by quarters; fewer passing rows are always scored exactly.
_SHRINK = 4
_LEAST_PASSING = 4_096
_RUNS = 4
_BLOCK_ROWS = 16_384


class _Trial(NamedTuple):
    """One filter: which rows pass, and which queries (a step through them) are asked under it."""

    kind: Literal["random", "run"]
    passing: int
    first: int
    stop: int
    below: float
    asked: slice


def measure_needs(
    vectors: Vectors,
    index: faiss.Index,
    centroids: Centroids,
    sets: Sequence[Asked],
    *,
    k: int,
    seed: int,
) -> tuple[Need, ...]:
    """Passing rows that the nearest lists must hold to cover the true first `k`, by filter.

    `vectors` are a segment's, (rows, dim); `sets` are kind, unit vectors (n, dim) and for each
    query the position that is itself, -1 for none.
    """
    rows = len(vectors)
    random = np.random.default_rng(seed)
    lot = random.random(rows, np.float32)
    list_of_row = _lists_of_rows(index, rows)
    trials = list(_trials(rows, random))
    needs = []
    for kind, queries, own in sets:
        order = _list_order(centroids, queries)
        truths = _truths(vectors, queries, own, lot, trials, k)
        found: dict[tuple[str, int], list[Rows]] = {}
        for trial, truth in zip(trials, truths, strict=True):
            held = _held(trial, lot, list_of_row, centroids.count)
            reach = _reach(order[trial.asked], held, list_of_row, truth)
            found.setdefault((trial.kind, trial.passing), []).append(reach)
        for (filter_kind, passing), parts in found.items():
            every = np.sort(np.concatenate(parts))
            for covered in COVERED if len(every) else ():
                place = int(np.ceil(covered * len(every))) - 1
                needs.append(
                    Need(
                        queries=kind,
                        kind="run" if filter_kind == "run" else "random",
                        passing=passing,
                        covered=covered,
                        rows=int(every[place]),
                    )
                )
    return tuple(needs)


def _trials(rows: int, random: np.random.Generator) -> Iterator[_Trial]:
    passing = rows // _SHRINK
    while passing >= _LEAST_PASSING:
        yield _Trial("random", passing, 0, rows, passing / rows, slice(None))
        for run in range(_RUNS):
            first = int(random.integers(rows - passing + 1))
            yield _Trial("run", passing, first, first + passing, 1.0, slice(run, None, _RUNS))
        passing //= _SHRINK


def _lists_of_rows(index: faiss.Index, rows: int) -> npt.NDArray[np.int32]:
    lists = faiss.extract_index_ivf(index).invlists
    numbers = np.empty(rows, np.int32)
    for number in range(lists.nlist):
        size = lists.list_size(number)
        if size:
            numbers[faiss.rev_swig_ptr(lists.get_ids(number), size)] = number
    return numbers


def _list_order(centroids: Centroids, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """All lists for each query, nearest first, (n, lists)."""
    order = np.empty((len(queries), centroids.count), np.int32)
    for i, query in enumerate(queries):
        order[i] = np.argsort(-centroids.scores(centroids.rotated(query)), kind="stable")
    return order


def _truths(
    vectors: Vectors,
    queries: npt.NDArray[np.float32],
    own: Rows,
    lot: npt.NDArray[np.float32],
    trials: Sequence[_Trial],
    k: int,
) -> list[Rows]:
    """Positions of the true first `k` of the queries of each trial, (asked, k), in one pass."""
    counts = [len(range(len(queries))[trial.asked]) for trial in trials]
    scores = [np.full((count, k), -np.inf, np.float32) for count in counts]
    places = [np.full((count, k), -1, np.int64) for count in counts]
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS].astype(np.float32)
        product = queries @ block.T
        itself = np.flatnonzero((own >= start) & (own < start + len(block)))
        product[itself, own[itself] - start] = -np.inf
        for number, trial in enumerate(trials):
            first, stop = max(trial.first - start, 0), min(trial.stop - start, len(block))
            if first >= stop:
                continue
            inside = np.arange(first, stop)
            if trial.below < 1.0:
                inside = inside[lot[start + first : start + stop] < trial.below]
            part = product[trial.asked][:, inside]
            if part.shape[1] > k:
                kept = np.argpartition(part, part.shape[1] - k, axis=1)[:, -k:]
                part, chosen = np.take_along_axis(part, kept, axis=1), inside[kept]
            else:
                chosen = np.broadcast_to(inside, part.shape)
            every = np.concatenate([scores[number], part], axis=1)
            rows = np.concatenate([places[number], chosen + start], axis=1)
            best = np.argsort(-every, axis=1, kind="stable")[:, :k]
            scores[number] = np.take_along_axis(every, best, axis=1)
            places[number] = np.take_along_axis(rows, best, axis=1)
    return places


def _held(
    trial: _Trial,
    lot: npt.NDArray[np.float32],
    list_of_row: npt.NDArray[np.int32],
    lists: int,
) -> Rows:
    """Passing rows of each list."""
    inside = list_of_row[trial.first : trial.stop]
    if trial.below < 1.0:
        inside = inside[lot[trial.first : trial.stop] < trial.below]
    held: Rows = np.bincount(inside, minlength=lists)
    return held


def _reach(
    order: npt.NDArray[np.int32],
    held: Rows,
    list_of_row: npt.NDArray[np.int32],
    truth: Rows,
) -> Rows:
    """For each true hit the passing rows in its list and all nearer ones, flat."""
    reach = []
    for lists, hits in zip(order, truth, strict=True):
        before = np.cumsum(held[lists])
        place = np.empty(len(lists), np.int64)
        place[lists] = np.arange(len(lists))
        reach.append(before[place[list_of_row[hits[hits >= 0]]]])
    return np.concatenate(reach) if reach else np.empty(0, np.int64)
