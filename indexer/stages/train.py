"""Train stage: the vectors of all segments in, one trained, empty index of a space out.

The same vectors, sample and seed give the same index.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.bundle.files import atomic_file
from atlas.search.index import append_index, train
from indexer.sampling import Positions


def train_space(
    segments: Sequence[tuple[Path, int]],
    dim: int,
    factory: str,
    path: Path,
    *,
    chosen: Positions,
    seed: int,
    device: str,
) -> None:
    """Train `factory` on the rows `chosen` and write it to `path`.

    `segments` are (float16 file, rows); `chosen` counts through all of them, sorted, (n,) int64;
    `device` is where the lists are found. Does nothing where `path` exists.
    """
    if path.exists():
        return
    sample = np.empty((len(chosen), dim), np.float16)
    first_row = filled = 0
    for file, rows in segments:
        inside = chosen[(chosen >= first_row) & (chosen < first_row + rows)] - first_row
        if len(inside):
            vectors: npt.NDArray[np.float16] = np.memmap(
                file, np.float16, mode="r", shape=(rows, dim)
            )
            sample[filled : filled + len(inside)] = vectors[inside]
        filled += len(inside)
        first_row += rows
    with atomic_file(path) as output:
        append_index(train(sample, factory, seed=seed, device=device), output)
