"""Place layers of a bundle, opened for reading: what is known of every row, and of every cell.

A row has an interval: its distance to the nearest river, say, lies between two numbers, for its
own coordinates and uncertainty. Memory-mapped and immutable: any thread. Knows nothing of filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from atlas.bundle.bundle import LAYERS, Bundle
from atlas.bundle.manifest import LayerEntry, SegmentEntry
from atlas.bundle.mapped import map_numbers
from atlas.geo.outlines import Cells
from atlas.geo.ranked import SLICES, RankedRows, order_name, slices_name, words_of

ScalarT = TypeVar("ScalarT", bound=np.generic)
Bounds = npt.NDArray[np.float32]
Values = npt.NDArray[np.int32]
Rows = npt.NDArray[np.uint32]
NAMES = "names.parquet"
VALUE, OTHER, NAME = "value.i32", "other.i32", "name.i32"
# What rows of a category are ranked by; no file holds it. Values that are certain are 0 or more.
CERTAIN_VALUE = "certain"
UNKNOWN_PLACE, NOT_CERTAIN = -2, -1
# Values of rows by a border stay in memory, 8 bytes each, where no more than one row in so many is.
_KEPT_FROM_ONE_IN = 16
# In `value`: the layer has none here; nothing is known of the row's place. In `other`: the value is
# certain; the row's uncertainty may reach any; it reaches places without a value, and no other.
OUTSIDE, UNKNOWN = 0, -1
CERTAIN, OR_OUTSIDE = 0, -2


def low_name(order: float | None = None) -> str:
    """File of float32, one a row: the least that a quantity can be; of features of an order."""
    return f"low{_suffix(order)}.f32"


def high_name(order: float | None = None) -> str:
    """File of float32, one a row: the most that a quantity can be."""
    return f"high{_suffix(order)}.f32"


def _suffix(order: float | None) -> str:
    return "" if order is None else f"-{order:g}"


class Interval(msgspec.Struct, frozen=True, eq=False):
    """Bounds of a quantity for each row of a segment, both (rows,) float32."""

    low: Bounds
    high: Bounds


class Category(msgspec.Struct, frozen=True, eq=False):
    """For each row of a segment its value, and another that its uncertainty reaches; (rows,) int32.

    Both are numbers of names; `value` may be OUTSIDE or UNKNOWN, `other` CERTAIN, UNKNOWN or
    OR_OUTSIDE.
    """

    value: Values
    other: Values

    @property
    def certain(self) -> Values:
        """The value of each row that is certain; NOT_CERTAIN, or UNKNOWN_PLACE where it may be any.

        Rows are ranked by it, so that those of which nothing can be told come first.
        """
        certain = np.where(self.other == CERTAIN, self.value, np.int32(NOT_CERTAIN))
        return np.where(self.unknown, np.int32(UNKNOWN_PLACE), certain)

    def certain_at(self, row: int) -> int:
        """The same of one row."""
        value, other = int(self.value[row]), int(self.other[row])
        if UNKNOWN in {value, other}:
            return UNKNOWN_PLACE
        return value if other == CERTAIN else NOT_CERTAIN

    @property
    def unknown(self) -> npt.NDArray[np.bool_]:
        """Whether a row may have any value, (rows,)."""
        found: npt.NDArray[np.bool_] = (self.value == UNKNOWN) | (self.other == UNKNOWN)
        return found


class LayerName(msgspec.Struct, frozen=True):
    """A value of a category, or a named feature: its number, its name and its code ('' if none)."""

    id: int
    name: str
    code: str


class CellValues(NamedTuple):
    """What a layer says of the centres of cells, arrays (n,) ascending by cell, NaN where nothing.

    Metres for a distance, numbers of names for a category, else the quantity.
    """

    cell: Cells
    value: npt.NDArray[np.float64]


class Layer:
    """One layer of an open bundle; segments are numbered as in the bundle."""

    def __init__(self, root: Path, entry: LayerEntry, segments: Sequence[SegmentEntry]) -> None:
        """Nothing is read before it is asked for."""
        self.entry = entry
        self._folder = root / LAYERS / entry.folder
        self._segments = tuple(segments)
        # Mapping a file anew takes 0.3 ms: a filter asks for the columns once a block of rows.
        self._mapped: dict[tuple[int, str], npt.NDArray[Any]] = {}
        self._ranked: dict[tuple[int, str], RankedRows | None] = {}
        self._ranks: dict[tuple[int, int], int] = {}
        self._by_border: dict[int, tuple[Rows, Category]] = {}

    def covers(self, segment: int) -> bool:
        """Whether the rows of a segment have values; those of segments added since have none."""
        return self._segments[segment].name in self.entry.segments

    def interval(self, segment: int, order: float | None = None) -> Interval:
        """Bounds of the quantity, of features of `order` and above where one is given."""
        return Interval(
            self._column(segment, low_name(order), np.float32),
            self._column(segment, high_name(order), np.float32),
        )

    def category(self, segment: int) -> Category:
        """Values of a category."""
        return Category(
            self._column(segment, VALUE, np.int32), self._column(segment, OTHER, np.int32)
        )

    def name_numbers(self, segment: int) -> Values:
        """The number of the nearest feature's name for each row; 0 where it has none."""
        return self._column(segment, NAME, np.int32)

    def ranked(self, segment: int, column: str) -> RankedRows | None:
        """The rows of a segment ascending by a column, or by CERTAIN_VALUE, ties by position.

        None where the layer was made before such were kept: then each value is looked at.
        """
        key = (segment, column)
        if key not in self._ranked:
            self._ranked[key] = self._read_ranked(segment, column)
        return self._ranked[key]

    def rank_of_value(self, segment: int, ranked: RankedRows, value: int) -> int:
        """How many of the rows ranked by what is certain come before those of a value.

        Found once: a country is asked for again with the next question about it.
        """
        key = (segment, value)
        if key not in self._ranks:
            held = self.category(segment)
            self._ranks[key] = ranked.rank(lambda row: held.certain_at(row) < value)
        return self._ranks[key]

    def by_border(self, segment: int, ranked: RankedRows) -> tuple[Rows, Category]:
        """The rows of a segment that reach another value or lie in one not for certain, (n,) each.

        Sorted, for they all rank alike and so by position; kept where they are few.
        """
        kept = self._by_border.get(segment)
        if kept is None:
            first, stop = (
                self.rank_of_value(segment, ranked, value) for value in (NOT_CERTAIN, OUTSIDE)
            )
            rows, held = ranked.order[first:stop], self.category(segment)
            kept = (rows, Category(held.value[rows], held.other[rows]))
            if len(rows) * _KEPT_FROM_ONE_IN <= len(ranked.order):
                self._by_border[segment] = kept
        return kept

    def _read_ranked(self, segment: int, column: str) -> RankedRows | None:
        order, slices = order_name(column), slices_name(column)
        described = self._segments[segment]
        folder = self._folder / described.name
        if not (folder / order).exists() and not (folder / slices).exists():
            return None
        words = words_of(described.rows)
        return RankedRows(
            map_numbers(folder / order, np.uint32, described.rows),
            map_numbers(folder / slices, np.uint64, SLICES * words).reshape(SLICES, words),
        )

    @cached_property
    def at_cells(self) -> CellValues:
        """The layer at every cell that has rows, and at the cells that hold those."""
        column = "distance_m" if self.entry.kind == "distance" else "value"
        table = pq.read_table(self._folder / self.entry.cells, columns=["cell", column])
        values = table[column].cast("float64").to_numpy()
        return CellValues(table["cell"].to_numpy(), values)

    @cached_property
    def names(self) -> tuple[LayerName, ...]:
        """The values of a category, or the names of features."""
        if not self.entry.names:
            return ()
        return tuple(
            LayerName(**row) for row in pq.read_table(self._folder / self.entry.names).to_pylist()
        )

    @cached_property
    def _numbers(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for name in self.names:
            for word in (name.name, name.code):
                if word:
                    found.setdefault(word.casefold(), set()).add(name.id)
        return found

    def numbers_of(self, word: str) -> set[int]:
        """The numbers that a name or a code stands for, in any case; empty where none."""
        return self._numbers.get(word.strip().casefold(), set())

    def order_class(self, least: float) -> float | None:
        """The least order class that holds features of `least` and above only; None if none."""
        return min((order for order in self.entry.orders if order >= least), default=None)

    def _column(self, segment: int, name: str, dtype: type[ScalarT]) -> npt.NDArray[ScalarT]:
        """A column; two threads that ask for a new one at once may both map it."""
        kept = self._mapped.get((segment, name))
        if kept is None:
            described = self._segments[segment]
            path = self._folder / described.name / name
            kept = self._mapped[segment, name] = map_numbers(path, dtype, described.rows)
        return kept


class Layers:
    """All layers of an open bundle."""

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        """Use `of` for those of a bundle."""
        self._layers = tuple(layers)

    @classmethod
    def of(cls, bundle: Bundle) -> Layers:
        """The layers that the bundle's manifest lists."""
        manifest = bundle.manifest
        return cls([Layer(bundle.root, entry, manifest.segments) for entry in manifest.layers])

    def all(self) -> tuple[Layer, ...]:
        """Every layer, in the manifest's order."""
        return self._layers

    def called(self, word: str) -> tuple[Layer, ...]:
        """The layer of this name; else those that tell of this feature."""
        named = tuple(layer for layer in self._layers if layer.entry.name == word)
        return named or tuple(layer for layer in self._layers if layer.entry.feature == word)
