"""Which rows of a selection statements about places hold for, and for how many they may hold.

Where a selection has many rows, a layer that keeps rows in order tells all that pass at once; else,
and where it does not, the values of the selection's rows are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from atlas.search.place_statements import Statement, all_may_pass, all_pass
from atlas.search.selection import Selection


def narrowed(selection: Selection, statements: Sequence[Statement], segment: int) -> Selection:
    """The rows of a segment's selection that every statement holds for."""
    rest: list[Statement] = []
    for one in statements:
        in_order = selection.is_large and one.covers(segment)
        known = one.passing(segment, selection) if in_order else None
        if known is None:
            rest.append(one)
        else:
            selection = known
    return selection.narrowed(partial(all_pass, rest, segment)) if rest else selection


def number_possible(selection: Selection, statements: Sequence[Statement], segment: int) -> int:
    """How many rows of a segment's selection every statement may hold for."""
    if len(statements) == 1 and (missing := selection.missing()) is not None:
        alone = statements[0]
        number = alone.number_possible(segment) if alone.covers(segment) else None
        if number is not None:
            return number - int(np.count_nonzero(alone.may_pass(segment, missing)))
    rest: list[Statement] = []
    for one in statements:
        in_order = selection.is_large and one.covers(segment)
        known = one.possible(segment, selection) if in_order else None
        if known is None:
            rest.append(one)
        else:
            selection = known
    if not rest:
        return selection.count
    return selection.number_of(partial(all_may_pass, rest, segment))
