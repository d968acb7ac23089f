"""Encode stage: one segment's vectors and the trained index in, its inverted lists out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from atlas.bundle.files import atomic_file, atomic_write
from atlas.bundle.segment import index_name, list_numbers_name, vectors_name
from atlas.search.index import append_index, encode_segment


def encode_rows(
    folder: Path,
    space: str,
    rows: int,
    dim: int,
    trained: Path,
    *,
    device: str,
    progress: Callable[[int], None] = lambda _rows: None,
) -> None:
    """Write `SPACE.ivf` and `SPACE.list_no` of the segment in `folder`.

    `device` is where the codes are computed; `progress` is told rows as they are encoded. Does
    nothing where both exist.
    """
    index_path, numbers_path = folder / index_name(space), folder / list_numbers_name(space)
    if index_path.exists() and numbers_path.exists():
        progress(rows)
        return
    vectors: npt.NDArray[np.float16] = np.memmap(
        folder / vectors_name(space), np.float16, mode="r", shape=(rows, dim)
    )
    # Into memory: FAISS cannot copy inverted lists that are mapped from a file.
    index, list_numbers = encode_segment(
        faiss.read_index(str(trained)), vectors, device=device, progress=progress
    )
    with atomic_file(index_path) as file:
        append_index(index, file)
    atomic_write(numbers_path, list_numbers.tobytes())
