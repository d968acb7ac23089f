"""The files of a layer: one row a cell in Parquet, one number a row of each segment, raw.

Writes what it is given; knows neither features nor rasters. One thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from atlas.bundle.files import atomic_write
from atlas.geo.cells import resolution_of
from atlas.geo.layers import CERTAIN_VALUE, OTHER, VALUE, Category, high_name, low_name
from atlas.geo.outlines import Cells, Floats, Integers
from atlas.geo.ranked import RankedRows, order_name, slices_name
from indexer.layers.places import SegmentRows
from indexer.work import parquet_writer

ScalarT = TypeVar("ScalarT", bound=np.generic)
Column = NDArray[np.float32] | NDArray[np.int32]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of a layer's files, and what was found in its source."""

    orders: tuple[float, ...] = ()
    named: bool = False
    features: int
    without_geometry: int = 0


def of_rows(values: NDArray[ScalarT], place: Integers) -> NDArray[ScalarT]:
    """The value of each row's place; 0 for a row without one, which is not looked at."""
    found = np.zeros(len(place), values.dtype)
    found[place >= 0] = values[place[place >= 0]]
    return found


def write_interval(
    folder: Path, rows: SegmentRows, low: Floats, high: Floats, order: float | None = None
) -> None:
    """Write what is known of each row: a quantity between `low` and `high`, one a row.

    A row of which nothing is known, for lack of a place or of a stated uncertainty, gets minus and
    plus infinity. Numbers are rounded outwards, so that a true bound stays one.
    """
    known = (rows.place >= 0) & np.isfinite(rows.uncertainty_m)
    least, most = low.astype(np.float32), high.astype(np.float32)
    least = np.where(least > low, np.nextafter(least, np.float32(-np.inf)), least)
    most = np.where(most < high, np.nextafter(most, np.float32(np.inf)), most)
    write_bounds(folder / rows.name / low_name(order), np.where(known, least, -np.inf))
    write_bounds(folder / rows.name / high_name(order), np.where(known, most, np.inf))


def write_bounds(path: Path, bounds: NDArray[np.generic]) -> None:
    """Write bounds of a quantity, none of them NaN, and the order of rows by them."""
    write_column(path, bounds)
    _write_order(path, bounds)


def write_category(folder: Path, category: Category) -> None:
    """Write what is known of each row of a segment, and the order of rows by what is certain."""
    write_column(folder / VALUE, category.value)
    write_column(folder / OTHER, category.other)
    _write_order(folder / CERTAIN_VALUE, category.certain)


def _write_order(column: Path, values: NDArray[np.generic]) -> None:
    ranked = RankedRows.of(values)
    for name, numbers in (
        (order_name(column.name), ranked.order.astype("<u4", copy=False)),
        (slices_name(column.name), ranked.slices.astype("<u8", copy=False)),
    ):
        atomic_write(column.with_name(name), numbers.tobytes())


def write_column(path: Path, values: NDArray[np.generic]) -> None:
    """Write 32-bit numbers, little-endian, one a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "<i4" if np.issubdtype(values.dtype, np.integer) else "<f4"
    atomic_write(path, values.astype(kind).tobytes())


def write_cells(path: Path, cells: Cells, columns: Mapping[str, Column]) -> None:
    """Write one row a cell, ascending by cell; a NaN is written as a null."""
    table = pa.table(
        {
            "cell": pa.array(cells, pa.uint64()),
            "resolution": pa.array(resolution_of(cells), pa.int8()),
            **{name: pa.array(values, from_pandas=True) for name, values in columns.items()},
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


class Names:
    """Numbers for names, from 1 in the order in which they first come; 0 is no name."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def numbers(self, names: list[str], codes: list[str]) -> NDArray[np.int32]:
        """The number of each pair of name and code, (n,)."""
        found = [
            0
            if not (name or code)
            else self._numbers.setdefault((name, code), len(self._numbers) + 1)
            for name, code in zip(names, codes, strict=True)
        ]
        return np.array(found, np.int32)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._numbers)

    def write(self, path: Path) -> None:
        """Write the table of names: id, name, code."""
        listed = list(self._numbers)
        table = pa.table(
            {
                "id": pa.array(range(1, len(listed) + 1), pa.int32()),
                "name": pa.array([name for name, _ in listed], pa.string()),
                "code": pa.array([code for _, code in listed], pa.string()),
            }
        )
        with parquet_writer(path, table.schema) as writer:
            writer.write_table(table)
