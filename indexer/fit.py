"""How well rows fit the lists of a trained index: what goes up when a bundle outgrows its training.

Reads vectors and list numbers of finished segments, and changes nothing. One caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import faiss
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.segment import index_name, list_numbers_name, vectors_name
from atlas.search.index import read_index, transformed

# In a space's folder: the fit of the rows that its index was trained and filled with.
TRAINING_FILE = "training.json"
# The mean of 1 - cosine over this many rows is known to about half a percent.
SAMPLED = 8_192


class SegmentFolder(NamedTuple):
    """Where a segment's files are, in the work folder or the bundle, and its rows."""

    folder: Path
    rows: int


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows lie in an index's lists.

    `residual` is the mean of 1 - cosine between a row and the middle of its list: the farther rows
    lie from it, the less the nearest lists say of where the nearest rows are. `imbalance` is
    lists x sum(n_l^2) / n^2 over the lists' rows n_l, as FAISS defines it: a list met by chance
    holds so many times the mean; 1 where all are equal.
    """

    rows: int
    lists: int
    residual: float
    imbalance: float


def measure_fit(space: str, segments: Sequence[SegmentFolder], *, seed: int) -> Fit:
    """The fit of all rows of these segments; the residual of `SAMPLED` of them, drawn by `seed`."""
    index = read_index(segments[0].folder / index_name(space))
    ivf = faiss.downcast_index(faiss.extract_index_ivf(index))
    lists = int(ivf.nlist)
    middles = faiss.downcast_index(ivf.quantizer).reconstruct_n(0, lists)
    rows = sum(segment.rows for segment in segments)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(SAMPLED, rows), replace=False))
    sizes = np.zeros(lists, np.int64)
    cosines = []
    first_row = 0
    for folder, count in segments:
        numbers: npt.NDArray[np.int32] = np.fromfile(folder / list_numbers_name(space), "<i4")
        sizes += np.bincount(numbers, minlength=lists)
        inside = chosen[(chosen >= first_row) & (chosen < first_row + count)] - first_row
        first_row += count
        if not len(inside):
            continue
        vectors = np.memmap(folder / vectors_name(space), np.float16, "r", shape=(count, index.d))
        turned = transformed(index, vectors[inside].astype(np.float32))
        own = middles[numbers[inside]]
        lengths = np.linalg.norm(turned, axis=1) * np.linalg.norm(own, axis=1)
        cosines.append(np.einsum("ij,ij->i", turned, own) / np.maximum(lengths, 1e-12))
    return Fit(
        rows=rows,
        lists=lists,
        residual=round(float(1.0 - np.concatenate(cosines).mean()), 6),
        imbalance=round(float(lists * np.square(sizes / rows).sum()), 6),
    )
