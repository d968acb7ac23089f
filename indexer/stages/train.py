"""Train stage: the vectors of all segments in, one trained, empty index of a space out.

The sample is drawn evenly over all rows, so the same vectors and seed give the same index.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.bundle.files import atomic_path
from atlas.search.index import train, training_rows, write_index


def train_space(
    segments: Sequence[tuple[Path, int]],
    dim: int,
    factory: str,
    path: Path,
    *,
    rows_wanted: int | None,
    seed: int,
    device: str,
) -> None:
    """Train `factory` on a sample of the segments and write it to `path`.

    `segments` are (float16 file, rows); `rows_wanted` is the size of the sample, by default what
    the number of lists makes use of; `device` is where the lists are found. Does nothing where
    `path` exists.
    """
    if path.exists():
        return
    total = sum(rows for _, rows in segments)
    wanted = min(total, rows_wanted or training_rows(factory))
    chosen = np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))
    sample = np.empty((wanted, dim), np.float16)
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
    with atomic_path(path) as temporary:
        write_index(train(sample, factory, seed=seed, device=device), temporary)
