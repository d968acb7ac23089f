"""Runs of cells: H3 cells by their digits, sorted in one key, and what begins or ends a run.

Base cell and digits of a cell are 7 + 3r bits, and those of its parents are the upper ones: in this
order every cell of any resolution is one run. Pure functions of arrays; sorting releases the
interpreter lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FINEST = 15
_RESOLUTION_SHIFT = np.uint64(52)
_INDEX_MODE = np.uint64(1 << 59)  # an H3 index of a cell
_NO_DIGIT = np.uint64(7)
KEY_BITS = 63


def digits_of(cell: Cells, finest: int) -> Cells:
    """Base cell and digits down to `finest`, 7 + 3 finest bits; a coarser cell ends in sevens."""
    below = np.uint64((1 << 52) - 1)
    return (np.asarray(cell, np.uint64) & below) >> shift_between(finest, _FINEST)


def cells_from(digits: Cells, resolution: int) -> Cells:
    """The cells of base cell and digits down to their own resolution."""
    unused = np.uint64((1 << (3 * (_FINEST - resolution))) - 1)
    head = _INDEX_MODE | (np.uint64(resolution) << _RESOLUTION_SHIFT) | unused
    cells: Cells = (digits << shift_between(resolution, _FINEST)) | head
    return cells


def sorted_order(major: npt.NDArray[Any], minor: Cells, minor_bits: int) -> Integers:
    """Positions sorted by `major`, numbers from 0, then `minor`; in one key where that fits."""
    if bits_of(major) + minor_bits <= KEY_BITS:
        return np.argsort((major.astype(np.uint64) << np.uint64(minor_bits)) | minor)
    return np.lexsort((minor, major))


def sorted_pairs(major: npt.NDArray[Any], minor: Cells, minor_bits: int) -> tuple[Integers, Cells]:
    """Both columns sorted by `major`, then `minor`: as keys, several times faster than an order."""
    if bits_of(major) + minor_bits <= KEY_BITS:
        keys = np.sort((major.astype(np.uint64) << np.uint64(minor_bits)) | minor)
        low = np.uint64((1 << minor_bits) - 1)
        return (keys >> np.uint64(minor_bits)).astype(np.int64), keys & low
    order = np.lexsort((minor, major))
    return major[order].astype(np.int64), minor[order]


def numbered(first: Integers, second: npt.NDArray[Any]) -> tuple[Integers, Integers]:
    """A number for each row's pair, ascending as the pairs are, and the `first` of each number."""
    bits = bits_of(second)
    order = sorted_order(first, second.astype(np.uint64), bits)
    one, other = first[order], second[order]
    fresh = changes(one, other)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(fresh) - 1
    return numbers, one[fresh]


def positions(majors: Integers, minors: Cells, major: Integers, minor: Cells) -> Integers:
    """Where each pair stands among distinct sorted pairs that hold it."""
    bits = max(bits_of(minors), bits_of(minor))
    if bits_of(majors) + bits <= KEY_BITS:
        shift = np.uint64(bits)
        keys = (majors.astype(np.uint64) << shift) | minors
        return np.searchsorted(keys, (major.astype(np.uint64) << shift) | minor)
    ranks = np.unique(np.concatenate([minors, minor]))
    return positions(
        majors,
        np.searchsorted(ranks, minors).astype(np.uint64),
        major,
        np.searchsorted(ranks, minor).astype(np.uint64),
    )


def bits_of(numbers: npt.NDArray[Any]) -> int:
    """Bits of the largest of some numbers from 0."""
    return int(numbers.max(initial=0)).bit_length()


def shift_between(resolution: int, finest: int) -> np.uint64:
    """Bits between the digits of two resolutions."""
    return np.uint64(3 * (finest - resolution))


def within(digits: Cells, resolution: int, finest: int) -> Flags:
    """Which rows are stored at `resolution` or finer: the digit of that resolution is used."""
    if resolution == 0:
        return np.ones(len(digits), np.bool_)
    used: Flags = ((digits >> shift_between(resolution, finest)) & _NO_DIGIT) != _NO_DIGIT
    return used


def changes(*columns: npt.NDArray[Any]) -> Flags:
    """True where a row differs from the one before in any column, and at the first row."""
    changed = np.zeros(len(columns[0]), np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def starts(column: npt.NDArray[Any]) -> Integers:
    """Where runs of equal values begin."""
    return np.flatnonzero(changes(column))


def reduced(function: np.ufunc, values: npt.NDArray[Any], start: Integers) -> npt.NDArray[Any]:
    """A reduction of each run; empty where there is none."""
    if not len(start):
        return values[:0]
    reduced: npt.NDArray[Any] = function.reduceat(values, start)
    return reduced
