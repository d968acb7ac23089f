"""Finds the columns of a table by the names that the atlas reads.

Knows headers, not rows. Pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from atlas.errors import PlanError


def columns_by_name(
    table: Path,
    header: Sequence[str],
    wanted: Mapping[str, str],
    renamed: Mapping[str, str],
    needed: Iterable[str] = (),
) -> dict[str, str]:
    """The file's column for each name that it has; `wanted` gives the usual column of each name.

    `renamed` are the plan's own. Raises PlanError where it renames what is never read, or where a
    column that it names, or one of `needed`, is not there.
    """
    unknown = sorted(set(renamed) - set(wanted))
    if unknown:
        raise PlanError(table, f"`columns` maps {unknown[0]!r}, which the atlas never reads")
    asked = {**wanted, **renamed}
    found = {name: _found(column, header) for name, column in asked.items()}
    for name in (*needed, *renamed):
        if not found[name]:
            raise PlanError(table, f"has no column {asked[name]!r}", 1)
    return {name: column for name, column in found.items() if column}


def check_constant(table: Path, constant: Iterable[str], read: Iterable[str]) -> None:
    """Raise PlanError where the plan sets a term for every row that is none of those `read`."""
    unknown = sorted(set(constant) - set(read))
    if unknown:
        raise PlanError(table, f"`constant` sets {unknown[0]!r}, which the atlas never reads")


def _found(column: str, header: Sequence[str]) -> str:
    """The header's own spelling of a column, "" where it has none.

    GBIF's Parquet downloads write Darwin Core terms in lower case.
    """
    if column in header:
        return column
    folded = [name.casefold() for name in header]
    matches = folded.count(column.casefold())
    return header[folded.index(column.casefold())] if matches == 1 else ""
