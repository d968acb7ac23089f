"""The layers of a bundle whose rows were put into another order: their columns follow the rows.

Nothing is measured again. One thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atlas.bundle.bundle import LAYERS
from atlas.bundle.files import atomic_path
from atlas.bundle.manifest import LayerEntry, SegmentEntry
from atlas.geo.layers import NAME, OTHER, UNKNOWN, VALUE, high_name, low_name
from indexer.layers.built import LayerFiles
from indexer.layers.columns import write_column


def gather_layers(
    layers: Sequence[LayerEntry],
    before: Sequence[SegmentEntry],
    after: Sequence[SegmentEntry],
    *,
    order: Path,
    root: Path,
    work: Path,
    number: int,
) -> LayerFiles:
    """The same layers for new segments; `order` has the `old_row` of each row of all of them."""
    old_row = pq.read_table(order, columns=["old_row"])["old_row"].to_numpy()
    entries, files = [], {}
    for entry in layers:
        source = root / LAYERS / entry.folder
        folder = f"{entry.name}-{number:06d}"
        target = work / folder
        for name, unknown in _columns(entry).items():
            for segment in after:
                rows = old_row[segment.first_row : segment.first_row + segment.rows]
                column = _gathered(source, name, unknown, entry, before, rows)
                write_column(target / segment.name / name, column)
        for name in filter(None, (entry.cells, entry.names)):
            with atomic_path(target / name) as temporary:
                shutil.copyfile(source / name, temporary)
        entries.append(
            msgspec.structs.replace(
                entry, folder=folder, segments=tuple(segment.name for segment in after)
            )
        )
        files[f"{LAYERS}/{folder}"] = target
    return LayerFiles(entries=tuple(entries), files=files)


def _columns(entry: LayerEntry) -> dict[str, np.float32 | np.int32]:
    """The files of a segment, and what stands in each for a row of which nothing is known."""
    if entry.kind == "category":
        return {VALUE: np.int32(UNKNOWN), OTHER: np.int32(UNKNOWN)}
    columns: dict[str, np.float32 | np.int32] = {}
    for order in (None, *entry.orders):
        columns[low_name(order)] = np.float32(-np.inf)
        columns[high_name(order)] = np.float32(np.inf)
    if entry.names:
        columns[NAME] = np.int32(0)
    return columns


def _gathered(
    source: Path,
    name: str,
    unknown: np.float32 | np.int32,
    entry: LayerEntry,
    before: Sequence[SegmentEntry],
    rows: NDArray[np.int64],
) -> NDArray[np.generic]:
    found = np.full(len(rows), unknown)
    for segment in before:
        if segment.name not in entry.segments:
            continue
        inside = (rows >= segment.first_row) & (rows < segment.first_row + segment.rows)
        column = np.memmap(source / segment.name / name, dtype=unknown.dtype, mode="r")
        found[inside] = column[rows[inside] - segment.first_row]
    return found
