"""Statements about places, and which rows of a segment they hold for.

A statement has three outcomes for a row: it holds wherever in its uncertainty the record was; it
holds nowhere there; or it cannot be judged. Only rows of the first kind pass. Pure but for the
layers' files, which are memory-mapped: safe from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.manifest import LayerEntry
from atlas.geo.layers import (
    CERTAIN,
    CERTAIN_VALUE,
    NOT_CERTAIN,
    Category,
    Layer,
    high_name,
    low_name,
)
from atlas.geo.ranked import RankedRows
from atlas.search.selection import Selection
from atlas.search.set_operations import both, either

# A comparison takes a quarter of the time of looking a number up.
_COMPARED_VALUES = 4
Passing = npt.NDArray[np.bool_]
Rows = slice | npt.NDArray[np.int64]


class Statement(Protocol):
    """A statement about places: of a layer, or of points (see `surroundings`)."""

    @property
    def entry(self) -> LayerEntry | None:
        """The layer that tells, which an answer then cites."""

    def covers(self, segment: int) -> bool:
        """Whether anything is known of the rows of a segment."""

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a covered segment it holds for, wherever in their uncertainty they were."""

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a covered segment it may hold for; all that pass are among them."""

    def passing(self, segment: int, within: Selection) -> Selection | None:
        """Rows of a covered segment that `passes`; None where each must be looked at."""

    def possible(self, segment: int, within: Selection) -> Selection | None:
        """Rows of a covered segment that `may_pass`; None where each must be looked at."""

    def number_possible(self, segment: int) -> int | None:
        """How many rows of a covered segment `may_pass`; None where that must be counted."""


class _OfLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that a layer tells of."""

    layer: Layer

    @property
    def entry(self) -> LayerEntry | None:
        """The layer that tells."""
        return self.layer.entry

    def number_possible(self, segment: int) -> int | None:  # noqa: ARG002 - as the protocol has it
        """They must be counted."""
        return None

    def covers(self, segment: int) -> bool:
        """Whether the layer has values of the rows of a segment."""
        return self.layer.covers(segment)


class InRange(_OfLayer, frozen=True, kw_only=True):
    """A quantity lies between two bounds, both included."""

    low: float
    high: float
    order: float | None = None

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment it holds for wherever they were; the layer has their values."""
        bounds = self.layer.interval(segment, self.order)
        found: Passing = bounds.high[rows] <= self._most
        if self.low > -math.inf:
            found &= bounds.low[rows] >= self._least
        return found

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment it holds for somewhere that they may have been."""
        bounds = self.layer.interval(segment, self.order)
        found: Passing = bounds.low[rows] <= self._most
        if self.low > -math.inf:
            found &= bounds.high[rows] >= self._least
        return found

    def passing(self, segment: int, within: Selection) -> Selection | None:
        """Rows that pass, where the layer keeps rows in the order of their bounds."""
        lows, highs = low_name(self.order), high_name(self.order)
        return self._in_order(segment, within, least_of=lows, most_of=highs)

    def possible(self, segment: int, within: Selection) -> Selection | None:
        """Rows that may pass, where the layer keeps rows in the order of their bounds."""
        lows, highs = low_name(self.order), high_name(self.order)
        return self._in_order(segment, within, least_of=highs, most_of=lows)

    def _in_order(
        self, segment: int, within: Selection, *, least_of: str, most_of: str
    ) -> Selection | None:
        """Rows whose one bound is not below the least, and whose other is not above the most."""
        low, high = self.layer.ranked(segment, least_of), self.layer.ranked(segment, most_of)
        if low is None or high is None:
            return None
        if self.high < math.inf:
            within = within.of_ranks(high, slice(0, self._rank(segment, high, most_of)))
        if self.low > -math.inf:
            below = self._rank(segment, low, least_of, least=True)
            within = within.of_ranks(low, slice(below, within.rows))
        return within

    def number_possible(self, segment: int) -> int | None:
        """How many rows may pass, for a range with one end."""
        open_below = self.low == -math.inf
        if not open_below and self.high < math.inf:
            return None
        column = low_name(self.order) if open_below else high_name(self.order)
        ranked = self.layer.ranked(segment, column)
        if ranked is None:
            return None
        rank = self._rank(segment, ranked, column, least=not open_below)
        return rank if open_below else len(ranked.order) - rank

    def _rank(self, segment: int, ranked: RankedRows, column: str, *, least: bool = False) -> int:
        """How many rows have a bound not above the most, or, with `least`, below the least."""
        values = self._values(segment, column)
        if least:
            return ranked.rank(lambda row: bool(values[row] < self._least))
        return ranked.rank(lambda row: bool(values[row] <= self._most))

    def _values(self, segment: int, column: str) -> npt.NDArray[np.float32]:
        bounds = self.layer.interval(segment, self.order)
        return bounds.low if column == low_name(self.order) else bounds.high

    @property
    def _most(self) -> np.float32:
        return _float32(self.high, -np.inf)

    @property
    def _least(self) -> np.float32:
        return _float32(self.low, np.inf)


def _float32(number: float, towards: float) -> np.float32:
    """The number as the columns hold numbers; where that rounds, `towards` the stricter side."""
    found = np.float32(number)
    strict = found <= number if towards < 0 else found >= number
    return found if strict else np.nextafter(found, np.float32(towards))


class IsNamed(_OfLayer, frozen=True, kw_only=True):
    """The nearest feature carries one of some names; which one it is, coordinates tell."""

    names: frozenset[int]

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment have a feature of such a name nearest."""
        found: Passing = np.isin(self.layer.name_numbers(segment)[rows], [*self.names])
        return found

    def may_pass(self, segment: int, rows: Rows) -> Passing:  # noqa: ARG002 - a protocol's signature
        """Every row: within its uncertainty another feature may be the nearest one."""
        return _every(rows, passing=True)

    def passing(self, segment: int, within: Selection) -> None:
        """Each row must be looked at."""

    def possible(self, segment: int, within: Selection) -> Selection:  # noqa: ARG002 - as above
        """Every row."""
        return within


class _Runs(NamedTuple):
    """Ranks of rows of which nothing is known, and of those that are certain to be wanted."""

    ranked: RankedRows
    unknown: slice
    certain: tuple[slice, ...]


class IsOneOf(_OfLayer, frozen=True, kw_only=True):
    """A category is one of some values."""

    values: frozenset[int]

    def passes(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment it holds for wherever they were; the layer has their values."""
        held = self.layer.category(segment)
        found = self._is_wanted(held.value[rows])
        found &= held.other[rows] == CERTAIN
        return found

    def may_pass(self, segment: int, rows: Rows) -> Passing:
        """Which rows of a segment it holds for somewhere that they may have been."""
        held = self.layer.category(segment)
        here = Category(held.value[rows], held.other[rows])
        return self._is_wanted(here.value) | self._is_wanted(here.other) | here.unknown

    def passing(self, segment: int, within: Selection) -> Selection | None:
        """Rows that pass, where the layer keeps rows in the order of what is certain."""
        runs = self._runs(segment)
        return None if runs is None else within.of_ranks(runs.ranked, *runs.certain)

    def possible(self, segment: int, within: Selection) -> Selection | None:
        """Rows that may pass, where the layer keeps rows in the order of what is certain."""
        runs = self._runs(segment)
        if runs is None:
            return None
        rows, reach = self._reach(segment, runs)
        reaching = Selection.of_positions(rows[reach].astype(np.int64), within.rows)
        return either(
            [
                within.of_ranks(runs.ranked, runs.unknown, *runs.certain),
                both(within, reaching),
            ]
        )

    def number_possible(self, segment: int) -> int | None:
        """How many rows may pass, where the layer keeps rows in the order of what is certain."""
        runs = self._runs(segment)
        if runs is None:
            return None
        told = [run.stop - run.start for run in (runs.unknown, *runs.certain)]
        _, reach = self._reach(segment, runs)
        return int(sum(told)) + int(np.count_nonzero(reach))

    def _runs(self, segment: int) -> _Runs | None:
        ranked = self.layer.ranked(segment, CERTAIN_VALUE)
        if ranked is None or len(self.values) > _COMPARED_VALUES:
            return None
        below = partial(self.layer.rank_of_value, segment, ranked)
        return _Runs(
            ranked,
            slice(0, below(NOT_CERTAIN)),
            tuple(slice(below(value), below(value + 1)) for value in sorted(self.values)),
        )

    def _reach(self, segment: int, runs: _Runs) -> tuple[npt.NDArray[np.uint32], Passing]:
        """Rows by a border, sorted, and which of them lie in a wanted area or reach one."""
        rows, here = self.layer.by_border(segment, runs.ranked)
        return rows, self._is_wanted(here.value) | self._is_wanted(here.other)

    def _is_wanted(self, numbers: npt.NDArray[np.int32]) -> Passing:
        """Which numbers of names are wanted, (n,) bool; those of no name are not."""
        if len(self.values) <= _COMPARED_VALUES:
            found = np.zeros(len(numbers), np.bool_)
            for value in self.values:
                found |= numbers == value
            return found
        # The last two entries answer for the numbers below zero.
        wanted = np.zeros(len(self.layer.names) + 3, np.bool_)
        wanted[[*self.values]] = True
        listed: Passing = wanted[numbers]
        return listed


def cited(statements: Sequence[Statement]) -> tuple[LayerEntry, ...]:
    """The layers that an answer rests on, each once, in order."""
    entries = (one.entry for one in statements if one.entry is not None)
    return tuple({entry.name: entry for entry in entries}.values())


def all_pass(statements: Sequence[Statement], segment: int, rows: Rows) -> Passing:
    """Which rows every statement holds for; all where there is no statement.

    A row without a value in a layer, because it came after the layer was made, cannot be judged.
    """
    found: Passing | None = None
    for one in statements:
        passes = one.passes(segment, rows) if one.covers(segment) else _every(rows, passing=False)
        found = passes if found is None else found & passes
    return _every(rows, passing=True) if found is None else found


def all_may_pass(statements: Sequence[Statement], segment: int, rows: Rows) -> Passing:
    """Which rows every statement may hold for; all where there is no statement."""
    found: Passing | None = None
    for one in statements:
        may = one.may_pass(segment, rows) if one.covers(segment) else _every(rows, passing=True)
        found = may if found is None else found & may
    return _every(rows, passing=True) if found is None else found


def _every(rows: Rows, *, passing: bool) -> Passing:
    number = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    return np.full(number, passing)
