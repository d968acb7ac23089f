"""Columns of a part by name: text, numbers or days, as their file gave them. Any thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from indexer.darwin_core import clean, clean_name
from indexer.sources.text_columns import tidied


class Columns:
    """Columns of a part by Darwin Core term or rank: text, "" for null, or numbers and days.

    Text may be dictionaries. A term without a column is empty in every row. `tidy` are columns that
    `clean` is known to leave as they are.
    """

    def __init__(
        self, given: Mapping[str, pa.Array], rows: int, tidy: Collection[str] = frozenset()
    ) -> None:
        self._given = given
        self._tidy = tidy
        self.rows = rows

    def __contains__(self, name: str) -> bool:
        """Whether there is a column of that name."""
        return name in self._given

    def raw(self, name: str) -> pa.Array:
        """The column as it came."""
        if name in self._given:
            return self._given[name]
        return pa.repeat(pa.scalar("", pa.string()), self.rows)

    def text(self, name: str, *, is_name: bool = False) -> pa.Array:
        """The column as cleaned text; `is_name` for names of taxa."""
        if name not in self._given or (name in self._tidy and not is_name):
            return self.raw(name)
        return tidied(spelled(self.raw(name)), clean_name if is_name else clean)

    def row(self, at: int) -> dict[str, str]:
        """One row's cleaned text, by name."""
        return {
            name: clean(spelled(column.slice(at, 1))[0].as_py())
            for name, column in self._given.items()
        }


def spelled(column: pa.Array) -> pa.Array:
    """A column of `Columns` as text; numbers as the shortest text that gives them back."""
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string()).fill_null("")
