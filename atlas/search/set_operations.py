"""Selections of one segment joined with each other: rows that are in both, or in any.

Pure functions: safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atlas.search.selection import Selection


def both(one: Selection, other: Selection) -> Selection:
    """Rows that are in two selections of a segment."""
    if one.all_rows or other.all_rows:
        return other if one.all_rows else one
    few, many = (one, other) if one.count <= other.count else (other, one)
    if few.run is not None and many.run is not None:
        start, stop = max(few.run.start, many.run.start), min(few.run.stop, many.run.stop)
        return Selection.of_run(start, max(start, stop), one.rows)
    if few.is_sparse:
        positions = few.positions()
        return Selection.of_positions(positions[many.contains(positions)], one.rows)
    return Selection.of_bits(few.bits() & many.bits(), one.rows)


def either(selections: Sequence[Selection]) -> Selection:
    """Rows that are in any of some selections of a segment, at least one."""
    rows = selections[0].rows
    some = [one for one in selections if one.count]
    if len(some) < 2:
        return some[0] if some else Selection.of_run(0, 0, rows)
    if all(one.is_sparse for one in some):
        positions = np.unique(np.concatenate([one.positions() for one in some]))
        return Selection.of_positions(positions, rows)
    bits = some[0].bits().copy()
    for one in some[1:]:
        bits |= one.bits()
    return Selection.of_bits(bits, rows)
