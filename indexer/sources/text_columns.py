"""Columns of text, worked on by distinct value: a part has far fewer names and days than rows.

The functions of single values stay the only ones that know the rules, so a part read by columns
says the same of a row as one read row by row. A column may come as a dictionary, and then stays
one. Pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.darwin_core import clean
from indexer.sources.parquet_table import as_text

Passing = npt.NDArray[np.bool_]

# What `clean` certainly leaves as it is: plain words with single blanks, none of them four letters
# or fewer alone, as words for a missing value are. Identifiers and addresses never repeat, so one
# look at all of them is five times as fast as a look at each.
_CLEAN = r"^([!-~]{5,}|[!-~]+( [!-~]+)+)$"


class Distinct(NamedTuple):
    """The distinct values of a column, and for each row which of them it has, int32."""

    values: list[str]
    at: pa.Array

    def spread(self, results: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """What was found for each distinct value, as a column of type `kind`."""
        return pa.array(results, kind).take(self.at)


def text_of(column: pa.ChunkedArray) -> pa.Array:
    """A column's values as text, "" for null. ValueError where they are not UTF-8."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        # Lone surrogates, which stand for bytes that are no text, cannot be encoded here.
        return pa.array(as_text(column), pa.string())
    text = whole(column.cast(pa.string()))
    text.validate(full=True)
    return text.fill_null("")


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece; UUIDs as their 16 bytes."""
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):  # what an empty column gives
        joined = pa.concat_arrays(joined.chunks) if joined.num_chunks else pa.array([], column.type)
    return joined.storage if isinstance(joined, pa.ExtensionArray) else joined


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """The same text in every row."""
    indices = pa.array(np.zeros(rows, np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([text], pa.string()))


def distinct(text: pa.Array) -> Distinct:
    """The distinct values of a text column without nulls, in the order they come.

    Those of a dictionary are all of its values, in its order.
    """
    encoded = text.dictionary_encode()
    return Distinct(encoded.dictionary.to_pylist(), encoded.indices)


def plain(text: pa.Array) -> pa.Array:
    """A text column whose values stand one after the other."""
    return text.cast(pa.string()) if pa.types.is_dictionary(text.type) else text


def tidied(text: pa.Array, tidy: Callable[[str], str]) -> pa.Array:
    """Each value of a text column after `tidy`."""
    if pa.types.is_dictionary(text.type):
        return pa.DictionaryArray.from_arrays(text.indices, tidied(text.dictionary, tidy))
    if tidy is clean and len(text) and pc.all(pc.match_substring_regex(text, _CLEAN)).as_py():
        return text
    found = distinct(text)
    return found.spread([tidy(value) for value in found.values], pa.string())


def passing_of(column: pa.Array | pa.ChunkedArray) -> Passing:
    """A column of truth values without nulls, as an array."""
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def is_empty(text: pa.Array) -> Passing:
    """Whether each text is ""."""
    if pa.types.is_dictionary(text.type):
        by_value: Passing = is_empty(text.dictionary)[text.indices.to_numpy()]
        return by_value
    return passing_of(pc.equal(text, ""))


def or_null(text: pa.Array) -> pa.Array:
    """The text, null where it is ""."""
    written = plain(text)
    return pc.if_else(pc.equal(written, ""), pa.scalar(None, pa.string()), written)


def filled(column: pa.Array | None, text: pa.Scalar | pa.Array, rows: int) -> pa.Array:
    """The column, and `text` in the rows that it leaves empty."""
    if column is None:
        return text if isinstance(text, pa.Array) else pa.repeat(text, rows)
    written = column if pa.types.is_string(column.type) else column.cast(pa.string()).fill_null("")
    return pc.if_else(pa.array(is_empty(tidied(written, clean))), text, written)
