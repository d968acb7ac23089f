"""Gather stage: rows of segments in, the same rows in another order as a new segment out.

Vectors and pictures are copied as they are, never computed again. One source segment at a time is
read, in pieces, so memory does not follow the bundle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pyroaring import BitMap

from atlas.bundle.files import atomic_path, atomic_write
from atlas.bundle.segment import PICTURE_OFFSETS, PICTURES, ROWS, TOMBSTONES, vectors_name
from indexer.tables.segment_places import write_place_order
from indexer.work import batches_of, quoted_list, write_batches

RowIds = npt.NDArray[np.int64]
_BLOCK_ROWS = 65_536


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that rows are taken from: rows `first_row` to `first_row + rows - 1`."""

    folder: Path
    first_row: int
    rows: int
    hosts_pictures: bool


def gather_segment(
    sources: Sequence[Gathered],
    dims: dict[str, int],
    *,
    order: Path,
    first_row: int,
    rows: int,
    scratch: Path,
    folder: Path,
    progress: Callable[[int], None],
) -> None:
    """Write rows `first_row` to `first_row + rows - 1` of `order` as the segment in `folder`.

    `order` has row_id, old_row, taxon_id and flags, sorted by row_id. `progress` is called with
    the rows written. What is there already is not written again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(sources, order, first_row, rows, scratch, folder / ROWS)
    write_place_order(folder)
    bounds = [("row_id", ">=", first_row), ("row_id", "<", first_row + rows)]
    wanted = pq.read_table(order, columns=["old_row"], filters=bounds)["old_row"].to_numpy()
    for space, dim in dims.items():
        _gather_vectors(sources, wanted, space, dim, folder / vectors_name(space))
    if any(source.hosts_pictures for source in sources):
        _gather_pictures(sources, wanted, folder)
    if not (folder / TOMBSTONES).exists():
        atomic_write(folder / TOMBSTONES, BitMap().serialize())
    progress(rows)


def _write_rows(
    sources: Sequence[Gathered],
    order: Path,
    first_row: int,
    rows: int,
    scratch: Path,
    path: Path,
) -> None:
    if path.exists():
        return
    scratch.mkdir(parents=True, exist_ok=True)
    listed = quoted_list(source.folder / ROWS for source in sources)
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        reader = batches_of(
            connection,
            "SELECT stored.* REPLACE (ordered.row_id AS row_id, ordered.taxon_id AS taxon_id, "
            "ordered.flags AS flags) "
            "FROM (SELECT * FROM read_parquet(?) WHERE row_id >= ? AND row_id < ?) AS ordered "
            f"JOIN read_parquet({listed}, union_by_name = true) AS stored "
            "ON stored.row_id = ordered.old_row "
            "ORDER BY ordered.row_id",
            [str(order), first_row, first_row + rows],
        )
        write_batches(path, reader.schema, reader)


def _pieces(sources: Sequence[Gathered], wanted: RowIds) -> list[tuple[Gathered, RowIds, RowIds]]:
    """For each source its wanted positions, and where they go; in pieces of bounded size."""
    pieces = []
    for source in sources:
        inside = (wanted >= source.first_row) & (wanted < source.first_row + source.rows)
        destination = np.flatnonzero(inside)
        for start in range(0, len(destination), _BLOCK_ROWS):
            piece = destination[start : start + _BLOCK_ROWS]
            pieces.append((source, wanted[piece] - source.first_row, piece))
    return pieces


def _gather_vectors(
    sources: Sequence[Gathered], wanted: RowIds, space: str, dim: int, path: Path
) -> None:
    if path.exists():
        return
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            # A mapped file that finds no room on the disk ends the process, and says nothing.
            os.posix_fallocate(file.fileno(), 0, 2 * dim * len(wanted))
        output = np.memmap(temporary, np.float16, "r+", shape=(len(wanted), dim))
        for source, position, destination in _pieces(sources, wanted):
            stored = np.memmap(
                source.folder / vectors_name(space), np.float16, "r", shape=(source.rows, dim)
            )
            output[destination] = stored[position]
        output.flush()


def _gather_pictures(sources: Sequence[Gathered], wanted: RowIds, folder: Path) -> None:
    """Lay the hosted pictures out in row order; an empty slot is one that is not hosted."""
    if (folder / PICTURES).exists() and (folder / PICTURE_OFFSETS).exists():
        return
    held = [
        (piece, np.fromfile(piece[0].folder / PICTURE_OFFSETS, np.int64))
        for piece in _pieces(sources, wanted)
        if piece[0].hosts_pictures
    ]
    sizes = np.zeros(len(wanted), np.int64)
    for (_, position, destination), offsets in held:
        sizes[destination] = offsets[position + 1] - offsets[position]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    with atomic_path(folder / PICTURES) as temporary, temporary.open("wb") as output:
        output.truncate(int(starts[-1]))
        for (source, position, destination), offsets in held:
            with (source.folder / PICTURES).open("rb") as pictures:
                for old, new in zip(position.tolist(), destination.tolist(), strict=True):
                    size = int(offsets[old + 1] - offsets[old])
                    content = os.pread(pictures.fileno(), size, int(offsets[old]))
                    output.seek(int(starts[new]))
                    output.write(content)
    atomic_write(folder / PICTURE_OFFSETS, starts.tobytes())
