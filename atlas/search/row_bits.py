"""Sets of a segment's rows as one bit a row, lowest bit of a byte first, as FAISS reads them.

Pure functions on uint8 arrays: safe from any thread. Bits beyond the last row are never set.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

_END_BYTES = 4_096
# `every` looks at the row of this number of every so many words of 64, from about such a step on.
SAMPLED_ROWS, SAMPLED_AT = 64, 36


def packed(positions: Positions, rows: int) -> Bits:
    """One bit a row from sorted distinct positions; time follows the positions, not the rows."""
    bits = np.zeros((rows + 7) // 8, np.uint8)
    if len(positions):
        byte = positions >> 3
        starts = np.flatnonzero(np.concatenate([[True], byte[1:] != byte[:-1]]))
        values = np.left_shift(1, positions & 7).astype(np.uint8)
        bits[byte[starts]] = np.add.reduceat(values, starts)  # distinct bits: their sum is their or
    return bits


def of_run(start: int, stop: int, rows: int) -> Bits:
    """One bit a row, set from `start` to `stop` - 1."""
    bits = np.zeros((rows + 7) // 8, np.uint8)
    if start < stop:
        bits[start >> 3 : ((stop - 1) >> 3) + 1] = 0xFF
        bits[start >> 3] &= 0xFF & ~((1 << (start & 7)) - 1)
        bits[(stop - 1) >> 3] &= (2 << ((stop - 1) & 7)) - 1
    return bits


def number_of(bits: Bits) -> int:
    """How many bits are set."""
    whole = len(bits) & ~7
    # Eight bytes a step: byte by byte the sum took longer than the comparison that made the bits.
    words = np.bitwise_count(bits[:whole].view(np.uint64)).sum(dtype=np.int64)
    return int(words) + int(np.bitwise_count(bits[whole:]).sum(dtype=np.int64))


def numbers_by_block(bits: Bits, block_bytes: int) -> Positions:
    """How many are set in each block of `block_bytes` bytes, a multiple of 8; (blocks,) int64."""
    whole = len(bits) // block_bytes * block_bytes
    words = np.bitwise_count(bits[:whole].view(np.uint64)).reshape(-1, block_bytes // 8)
    # At most 64 a word: the sum of a short block fits 16 bits, which adds four times as fast.
    fits = block_bytes * 8 <= np.iinfo(np.uint16).max
    counts: Positions = words.sum(axis=1, dtype=np.uint16 if fits else np.int64).astype(np.int64)
    if whole < len(bits):
        counts = np.append(counts, number_of(bits[whole:]))
    return counts


def positions_of(bits: Bits) -> Positions:
    """Positions of the bits that are set, few of them: only bytes that hold any are unpacked."""
    held = np.flatnonzero(bits != 0)
    found = np.flatnonzero(np.unpackbits(bits[held], bitorder="little").view(bool))
    positions: Positions = held[found >> 3] * 8 + (found & 7)
    return positions


def every(bits: Bits, step: int) -> tuple[Positions, int]:
    """Positions of the bits that are set among about every `step`-th, and the step that was taken.

    It is a power of two below 8, a multiple of 8 below 64 or a multiple of 64, at most a third
    above `step`. Whole bytes are skipped from 8 up, so that the time is that of the bits looked at.
    """
    if step < 8:
        kept, step = (0b0101_0101, 2) if step < 4 else (0b0001_0001, 4)
        return positions_of(bits & np.uint8(kept)), step
    words = (step + SAMPLED_ROWS // 4) // SAMPLED_ROWS
    if words == 0:
        stride = step // 8
        first = stride // 2
        bit = first & 7
    else:
        stride = words * (SAMPLED_ROWS // 8)
        first = words // 2 * (SAMPLED_ROWS // 8) + SAMPLED_AT // 8
        bit = SAMPLED_AT & 7
    found = np.flatnonzero(bits[first::stride] & np.uint8(1 << bit) != 0)
    return (first + found * stride) * 8 + bit, 8 * stride


def first_set(bits: Bits) -> int:
    """The position of the first bit that is set; there is one."""
    start = 0
    while not bits[start : start + _END_BYTES].any():
        start += _END_BYTES
    byte = start + int((bits[start : start + _END_BYTES] != 0).argmax())
    value = int(bits[byte])
    return byte * 8 + (value & -value).bit_length() - 1


def last_set(bits: Bits) -> int:
    """The position of the last bit that is set; there is one."""
    stop = len(bits)
    while not bits[max(stop - _END_BYTES, 0) : stop].any():
        stop -= _END_BYTES
    start = max(stop - _END_BYTES, 0)
    byte = start + int(np.flatnonzero(bits[start:stop])[-1])
    return byte * 8 + int(bits[byte]).bit_length() - 1


def clear(bits: Bits, start: int, stop: int) -> None:
    """Clear the bits from `start` to `stop - 1`, at least one."""
    first, last = start >> 3, (stop - 1) >> 3
    before = (1 << (start & 7)) - 1
    after = 0xFF & ~((2 << ((stop - 1) & 7)) - 1)
    if first == last:
        bits[first] &= before | after
        return
    bits[first] &= before
    bits[last] &= after
    bits[first + 1 : last] = 0
