"""Finds the line of a setting in a plan's text, for error messages.

`tomllib` gives values without their lines. This reads headers and keys only, and says None where
it is not sure (inline tables, dotted keys). Pure, safe from any thread.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+)\s*=")
_STEP = re.compile(r"\.?(?P<name>[A-Za-z0-9_-]+)(?:\[(?P<number>\d+)\])?")


def line_of(text: str, where: str, named: str | None = None) -> int | None:
    """The 1-based line of the setting at `where`, such as `$.sources[1].path`.

    `named` is a key that the message speaks of, taken where `where` is its table. Without that key
    in the text, the line of the table's header; None where that is not there either.
    """
    steps = _steps(where)
    lines = _lines_by_place(text)
    for place in (*([(*steps, named)] if named else []), *_shortened(steps)):
        if place in lines:
            return lines[place]
    return None


def _shortened(steps: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [steps[:length] for length in range(len(steps), 0, -1)]


def _steps(where: str) -> tuple[str, ...]:
    """`$.sources[1].path` as ("sources[1]", "path"); `[...]` of a mapping is left out."""
    steps = []
    for match in _STEP.finditer(where.removeprefix("$").replace("[...]", "")):
        number = match["number"]
        steps.append(match["name"] if number is None else f"{match['name']}[{number}]")
    return tuple(steps)


def _lines_by_place(text: str) -> dict[tuple[str, ...], int]:
    """The line of each header and each key, by its place, arrays of tables numbered from 0."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    in_string = False
    for number, line in enumerate(text.splitlines(), start=1):
        starts_in_string = in_string
        if (line.count('"""') + line.count("'''")) % 2:
            in_string = not in_string
        if starts_in_string:
            continue
        header = _HEADER.match(line)
        if header is not None:
            table = _table_of(header["name"], header["open"] == "[[", counts)
            lines.setdefault(table, number)
            lines.setdefault(tuple(step.partition("[")[0] for step in table), number)
        elif (key := _KEY.match(line)) is not None:
            lines.setdefault((*table, key["key"]), number)
    return lines


def _table_of(name: str, is_array: bool, counts: dict[tuple[str, ...], int]) -> tuple[str, ...]:
    """Place of a table; `[spaces.prompts]` belongs to the last `[[spaces]]` above it."""
    place: tuple[str, ...] = ()
    names = name.split(".")
    for depth, step in enumerate(names):
        key = (*place, step)
        if is_array and depth == len(names) - 1:
            counts[key] = counts.get(key, -1) + 1
        place = (*place, f"{step}[{counts[key]}]" if key in counts else step)
    return place
