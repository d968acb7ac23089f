"""Which rows of a selection statements about places hold for, and for how many they may hold.

Where a selection has many rows, a layer that keeps rows in order tells all that pass at once; else,
and where it does not, the values of the selection's rows are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from atlas.search.judging import judged, number_judged
from atlas.search.place_statements import Statement, all_may_pass, all_pass
from atlas.search.selection import Selection


def narrowed(selection: Selection, statements: Sequence[Statement], segment: int) -> Selection:
    """The rows of a segment's selection that every statement holds for."""
    left, rest = _told(
        selection, statements, segment, lambda one, among: one.passing(segment, among)
    )
    return judged(left, partial(all_pass, rest, segment)) if rest else left


def number_possible(selection: Selection, statements: Sequence[Statement], segment: int) -> int:
    """How many rows of a segment's selection every statement may hold for."""
    if len(statements) == 1 and (missing := selection.missing()) is not None:
        alone = statements[0]
        number = alone.number_possible(segment) if alone.covers(segment) else None
        if number is not None:
            return number - int(np.count_nonzero(alone.may_pass(segment, missing)))
    left, rest = _told(
        selection, statements, segment, lambda one, among: one.possible(segment, among)
    )
    return number_judged(left, partial(all_may_pass, rest, segment)) if rest else left.count


def _told(
    selection: Selection,
    statements: Sequence[Statement],
    segment: int,
    ask: Callable[[Statement, Selection], Selection | None],
) -> tuple[Selection, list[Statement]]:
    """The rows that are left by the statements that tell all at once, and the other statements."""
    rest: list[Statement] = []
    for one in statements:
        known = ask(one, selection) if selection.is_large and one.covers(segment) else None
        if known is None:
            rest.append(one)
        else:
            selection = known
    return selection, rest
