"""Where the rows of a bundle lie: the distinct places and cells that a layer is asked about.

Reads the segments' row files and nothing else. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h3.api.basic_int as h3
import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atlas.bundle.segment import ROWS
from atlas.geo.cells import NO_CELL, parent, resolution_of
from atlas.geo.outlines import Cells, Floats, Integers

# A layer's file is read once for so many rows: their distinct places take 100 bytes each.
GROUP_ROWS = 10_000_000
# Cells coarser than this are as large as countries: one value says nothing of them.
COARSEST_CELL = 3


class SegmentRows(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rows of one segment: each row's place (-1 where it has none) and uncertainty.

    `place` int64 and `uncertainty_m` float32 (NaN where unknown), both one a row.
    """

    name: str
    place: Integers
    uncertainty_m: NDArray[np.float32]


class Places(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Distinct coordinates in degrees, (n,) each, and the rows that lie there."""

    latitude: Floats
    longitude: Floats
    rows: tuple[SegmentRows, ...]


class RowFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Segments by name and folder, and what is added to the uncertainty of their rows."""

    segments: tuple[tuple[str, Path], ...]
    accuracy_m: float = 0.0


def groups_of_places(files: RowFiles) -> Iterator[Places]:
    """The places of some segments at a time, `GROUP_ROWS` rows or one segment."""
    group: list[tuple[str, Path]] = []
    rows = 0
    for name, folder in files.segments:
        count = int(pq.read_metadata(folder / ROWS).num_rows)
        if group and rows + count > GROUP_ROWS:
            yield _places(group, files.accuracy_m)
            group, rows = [], 0
        group.append((name, folder))
        rows += count
    if group:
        yield _places(group, files.accuracy_m)


def _places(segments: Sequence[tuple[str, Path]], accuracy_m: float) -> Places:
    columns = ["latitude", "longitude", "uncertainty_m"]
    tables = [pq.read_table(folder / ROWS, columns=columns) for _, folder in segments]
    latitude, longitude, uncertainty = (
        np.concatenate([table[name].to_numpy() for table in tables]).astype(np.float64)
        for name in columns
    )
    known = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude))
    distinct, inverse = np.unique(latitude[known] + 1j * longitude[known], return_inverse=True)
    place = np.full(len(latitude), -1, np.int64)
    place[known] = inverse
    bounds = np.cumsum([0, *(table.num_rows for table in tables)])
    return Places(
        latitude=distinct.real.copy(),
        longitude=distinct.imag.copy(),
        rows=tuple(
            SegmentRows(
                name=name,
                place=place[first:last],
                uncertainty_m=(uncertainty[first:last] + accuracy_m).astype(np.float32),
            )
            for (name, _), first, last in zip(segments, bounds[:-1], bounds[1:], strict=True)
        ),
    )


def occupied_cells(files: RowFiles) -> Cells:
    """Every cell that a row is stored in, and all above it from `COARSEST_CELL` on, ascending."""
    found = np.empty(0, np.uint64)
    for _, folder in files.segments:
        for batch in pq.ParquetFile(folder / ROWS).iter_batches(1_000_000, columns=["cell"]):
            stored = batch.column("cell").drop_null().to_numpy(zero_copy_only=False)
            found = np.union1d(found, stored.astype(np.uint64))
    finest = int(resolution_of(found).max(initial=-1))
    levels = [parent(found, level) for level in range(COARSEST_CELL, finest)]
    every = np.unique(np.concatenate([found, *levels]))
    cells: Cells = every[every != NO_CELL]
    return cells


def centres(cells: Cells) -> tuple[Floats, Floats]:
    """Latitude and longitude of the cells' centres, degrees (0.4 microseconds a cell)."""
    points = np.array([h3.cell_to_latlng(cell) for cell in cells.tolist()], np.float64)
    latitude, longitude = points.reshape(-1, 2).T
    return latitude.copy(), longitude.copy()
