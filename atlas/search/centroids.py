"""Centroids of inverted lists: finding them by k-means, and the nearest one of each vector.

Both are a product of every vector with every centroid, the largest cost of a build (25 MFLOP a row
at 16,384 lists of 768 dimensions). Where lists are many, their centroids are put into groups, and a
vector is compared with those of the few groups nearest to it. Pure functions of arrays and a
seed; one caller, BLAS uses all processors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import faiss
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from atlas.search.torch_codes import TorchNearest

Matrix = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

# Below this many centroids a row is compared with all of them: at 4,096 x 768 that is 6 MFLOP,
# which costs no more than to find and gather its groups.
_LEAST_GROUPED = 8_192
# Groups looked into for each vector; there are as many as the square root of the lists.
_GROUPS_TRIED = 8
_ROUNDS = 10
_BLOCK_ROWS = 8_192


class Nearest:
    """Finds for each vector the centroid of the greatest inner product.

    Through groups, 98 % of the rows get the very nearest and the others one nearly as near
    (200,000 x 128, 4,096 lists; 90 % with four groups tried, 99.7 % with sixteen).
    """

    def __init__(self, centroids: Matrix, seed: int) -> None:
        """Put `centroids`, (lists, dim), into groups."""
        lists = len(centroids)
        self._centroids = np.ascontiguousarray(centroids)
        self._heads: Matrix | None = None
        if lists >= _LEAST_GROUPED:
            groups = round(math.sqrt(lists))
            heads = _random_rows(centroids, groups, seed)
            for _ in range(_ROUNDS):
                heads = _moved(centroids, assigned(centroids, heads), heads)
            group_of = assigned(centroids, heads)
            self._heads = heads
            self._members = [np.flatnonzero(group_of == group) for group in range(groups)]
            self._of_group = [np.ascontiguousarray(centroids[own]) for own in self._members]

    def find(self, vectors: Matrix) -> Numbers:
        """Number of the centroid of each of `vectors`, (n, dim) -> (n,)."""
        if self._heads is None:
            return assigned(vectors, self._centroids)
        scores = vectors @ self._heads.T
        tried = min(_GROUPS_TRIED, scores.shape[1])
        groups = np.argpartition(scores, scores.shape[1] - tried, axis=1)[:, -tried:]
        best = np.full(len(vectors), -np.inf, np.float32)
        found = np.zeros(len(vectors), np.int64)
        pairs = np.argsort(groups, axis=None, kind="stable")
        bounds = np.searchsorted(groups.ravel()[pairs], np.arange(len(self._members) + 1))
        for group, own in enumerate(self._members):
            rows = pairs[bounds[group] : bounds[group + 1]] // tried
            if not len(rows) or not len(own):
                continue
            inner = vectors[rows] @ self._of_group[group].T
            place = inner.argmax(axis=1)
            score = inner[np.arange(len(rows)), place]
            better = score > best[rows]
            best[rows[better]] = score[better]
            found[rows[better]] = own[place[better]]
        return found


def find_centroids(
    sample: npt.NDArray[np.floating], lists: int, seed: int, device: str = "cpu"
) -> Matrix:
    """Unit centroids, (lists, dim), of a sample of vectors, (n, dim), by spherical k-means.

    Starts from vectors drawn by `seed`; the same sample and seed give the same centroids. A list
    that stays empty takes half of a large one.
    """
    centroids = _random_rows(sample, lists, seed)
    for _ in range(_ROUNDS):
        nearest = Nearest(centroids, seed) if device == "cpu" else _on_device(centroids, device)
        chosen = np.empty(len(sample), np.int64)
        for start in range(0, len(sample), _BLOCK_ROWS):
            block = np.ascontiguousarray(sample[start : start + _BLOCK_ROWS], np.float32)
            chosen[start : start + len(block)] = nearest.find(block)
        centroids = _moved(sample, chosen, centroids)
    return centroids


def _on_device(centroids: Matrix, device: str) -> TorchNearest:
    # Torch takes seconds to load, which only a GPU is worth.
    from atlas.search.torch_codes import TorchNearest  # noqa: PLC0415 - slow

    return TorchNearest(centroids, device)


def _random_rows(vectors: npt.NDArray[np.floating], count: int, seed: int) -> Matrix:
    chosen = np.random.default_rng(seed).choice(len(vectors), count, replace=False)
    return _unit(np.asarray(vectors[np.sort(chosen)], np.float32))


def _moved(vectors: npt.NDArray[np.floating], chosen: Numbers, centroids: Matrix) -> Matrix:
    """Unit means of the vectors that chose each centroid; an empty one splits the largest left."""
    sums = np.zeros_like(centroids)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        of_block = chosen[start : start + _BLOCK_ROWS]
        order = np.argsort(of_block, kind="stable")
        numbers, begins = np.unique(of_block[order], return_index=True)
        rows = np.asarray(vectors[start : start + _BLOCK_ROWS], np.float32)[order]
        sums[numbers] += np.add.reduceat(rows, begins, axis=0)
    sizes = np.bincount(chosen, minlength=len(centroids))
    empty = np.flatnonzero(sizes == 0)
    moved = _unit(np.where(sizes[:, None] > 0, sums, centroids))
    largest = np.argsort(-sizes, kind="stable")[: len(empty)]
    # Two copies a little apart, as FAISS does it: the next round divides the vectors among them.
    nudge = np.where(np.arange(centroids.shape[1]) % 2, 1 / 1024, -1 / 1024).astype(np.float32)
    moved[empty] = _unit(moved[largest] * (1 + nudge))
    moved[largest] = _unit(moved[largest] * (1 - nudge))
    return moved


def _unit(vectors: Matrix) -> Matrix:
    norms: Matrix = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    norms[norms == 0] = 1
    unit: Matrix = vectors / norms
    return unit


def assigned(vectors: npt.NDArray[np.floating], centroids: Matrix) -> Numbers:
    """The centroid of the greatest inner product with each of `vectors`, (n, dim) -> (n,)."""
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = np.asarray(vectors[start : start + _BLOCK_ROWS], np.float32)
        found[start : start + len(block)] = (block @ centroids.T).argmax(axis=1)
    return found


def holds_centroids(ivf: faiss.IndexIVF) -> bool:
    """Whether the coarse quantiser holds centroids as they are, in a table or under a graph."""
    quantizer = faiss.downcast_index(ivf.quantizer)
    is_known = isinstance(quantizer, faiss.IndexFlat | faiss.IndexHNSWFlat)
    return is_known and quantizer.metric_type == faiss.METRIC_INNER_PRODUCT


def centroids_of(ivf: faiss.IndexIVF) -> Matrix:
    """The centroids of a trained index that holds them as they are, (lists, dim)."""
    centroids: Matrix = ivf.quantizer.reconstruct_n(0, ivf.nlist)
    return centroids
