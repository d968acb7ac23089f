"""The layers of a bundle whose rows were put into another order: their columns follow the rows.

Nothing is measured again. One thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atlas.bundle.bundle import LAYERS
from atlas.bundle.files import atomic_path
from atlas.bundle.manifest import LayerEntry, SegmentEntry
from atlas.geo.layers import NAME, OTHER, UNKNOWN, VALUE, Category, high_name, low_name
from indexer.layers.built import LayerFiles
from indexer.layers.columns import write_bounds, write_category, write_column

Number = np.float32 | np.int32


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
        for segment in after:
            rows = old_row[segment.first_row : segment.first_row + segment.rows]
            gathered = partial(_gathered, source, entry, before, rows)
            _write_rows(entry, target / segment.name, gathered)
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


def _write_rows(
    entry: LayerEntry, folder: Path, gathered: Callable[[str, Number], NDArray[Any]]
) -> None:
    """Write the columns of a segment; `gathered` takes what stands for a row that is not known."""
    if entry.kind == "category":
        value, other = (gathered(name, np.int32(UNKNOWN)) for name in (VALUE, OTHER))
        write_category(folder, Category(value, other))
        return
    for order in (None, *entry.orders):
        for name, unknown in ((low_name(order), -np.inf), (high_name(order), np.inf)):
            write_bounds(folder / name, gathered(name, np.float32(unknown)))
    if entry.names:
        write_column(folder / NAME, gathered(NAME, np.int32(0)))


def _gathered(
    source: Path,
    entry: LayerEntry,
    before: Sequence[SegmentEntry],
    rows: NDArray[np.int64],
    name: str,
    unknown: Number,
) -> NDArray[Any]:
    found = np.full(len(rows), unknown)
    for segment in before:
        if segment.name not in entry.segments:
            continue
        inside = (rows >= segment.first_row) & (rows < segment.first_row + segment.rows)
        column = np.memmap(source / segment.name / name, dtype=unknown.dtype, mode="r")
        found[inside] = column[rows[inside] - segment.first_row]
    return found
