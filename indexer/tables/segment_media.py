"""Vectors and pictures of a segment, gathered from the parts in the segment's order.

One block of vectors at a time is in memory. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.bundle.files import append_numbers, atomic_file, atomic_path, atomic_write
from atlas.bundle.segment import PICTURE_OFFSETS, PICTURES, vectors_name
from indexer.tables.segment_rows import OrderedRows
from indexer.work import PartFiles

# Vectors of a segment that are put together in memory before they are written.
_BLOCK_BYTES = 1 << 29


def write_media(
    parts: Sequence[PartFiles],
    dims: dict[str, int],
    ordered: OrderedRows,
    folder: Path,
    *,
    hosts_pictures: bool,
    progress: Callable[[int], None],
) -> None:
    """Write one segment's vectors and pictures; `progress` is told rows with the last space."""
    last = list(dims)[-1] if dims else None
    wanted = pq.read_table(
        ordered.order,
        columns=["row_id", "part", "position"],
        filters=[
            ("row_id", ">=", ordered.first_row),
            ("row_id", "<", ordered.first_row + ordered.rows),
        ],
    )
    destination = wanted["row_id"].to_numpy() - ordered.first_row
    part_of = wanted["part"].to_numpy()
    position_of = wanted["position"].to_numpy()
    by_part = np.argsort(part_of, kind="stable")
    bounds = np.searchsorted(part_of[by_part], np.arange(len(parts) + 1))
    moves = [
        (part, position_of[chosen], destination[chosen])
        for number, part in enumerate(parts)
        if len(chosen := by_part[bounds[number] : bounds[number + 1]])
    ]
    for space, dim in dims.items():
        told = progress if space == last else _untold
        _scatter_vectors(moves, space, dim, ordered.rows, folder / vectors_name(space), told)
    if hosts_pictures:
        _scatter_pictures(moves, ordered.rows, folder)


Move = tuple[PartFiles, npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _scatter_vectors(
    moves: list[Move],
    space: str,
    dim: int,
    rows: int,
    path: Path,
    progress: Callable[[int], None],
) -> None:
    """Write a segment's vectors block by block, from front to back.

    Each block is put together in memory from all parts, whose files are read forwards. A segment
    of 10M x 768 so takes thirty passes over the parts; written row by row where each belongs, it
    would dirty pages all over the file and crawl as soon as it is larger than the memory.
    """
    if path.exists():
        progress(rows)
        return
    block_rows = max(1, _BLOCK_BYTES // (2 * dim))
    sorted_moves = []
    for part, position, destination in moves:
        order = np.argsort(destination, kind="stable")
        sorted_moves.append((part, position[order], destination[order]))
    with atomic_file(path) as file:
        for first in range(0, rows, block_rows):
            block = np.empty((min(block_rows, rows - first), dim), np.float16)
            for part, position, destination in sorted_moves:
                begin, end = np.searchsorted(destination, (first, first + len(block)))
                if begin == end:
                    continue
                chosen = position[begin:end]
                forwards = np.argsort(chosen)
                source = np.memmap(part.vectors[space], np.float16, mode="r").reshape(-1, dim)
                block[destination[begin:end][forwards] - first] = source[chosen[forwards]]
            append_numbers(file, block)
            progress(len(block))


def _scatter_pictures(moves: list[Move], rows: int, folder: Path) -> None:
    """Lay the hosted pictures out in row order; an empty slot is a picture that is not hosted."""
    if (folder / PICTURES).exists() and (folder / PICTURE_OFFSETS).exists():
        return
    sizes = np.zeros(rows, np.int64)
    for part, position, destination in moves:
        lengths = pq.read_table(part.records, columns=["media"])["media"]
        measured = pc.binary_length(lengths).fill_null(0).to_numpy()
        sizes[destination] = measured[position]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    with atomic_path(folder / PICTURES) as temporary, temporary.open("wb") as file:
        file.truncate(int(offsets[-1]))
        for part, position, destination in moves:
            media = pq.read_table(part.records, columns=["media"])["media"]
            for source, row in zip(position.tolist(), destination.tolist(), strict=True):
                if content := media[source].as_py():
                    file.seek(int(offsets[row]))
                    file.write(content)
    atomic_write(folder / PICTURE_OFFSETS, offsets.tobytes())


def _untold(rows: int) -> None:
    """Rows of which more is to be written."""
    del rows
