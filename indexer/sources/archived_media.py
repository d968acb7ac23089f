"""The media of a Darwin Core Archive, found by the occurrences that they show.

A table of media is cut into blocks when the parts of a build are made, and each part is told the
blocks with media of its own. In the usual order, which is that of the occurrences, that is a block
or two; in any other it is more, and the outcome is the same. Pure functions of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.darwin_core import clean
from indexer.records import RejectReason
from indexer.sources.archive import ArchiveTable
from indexer.sources.columns import Columns
from indexer.sources.source import Start
from indexer.sources.table_runs import RefusedRow, Run, TextReader
from indexer.sources.text_columns import Passing, filled, is_empty, or_null, passing_of, tidied

Hashes = npt.NDArray[np.uint64]

BLOCK_ROWS = 16_384
# What is read of each medium, by the name it has here; of several columns the first that is filled.
_MEDIA_TERMS = {
    "address": ("identifier", "accessURI"),
    "references": ("references", "furtherInformationURL"),
    "licence": ("license", "rights", "UsageTerms", "WebStatement"),
    "rights_holder": ("rightsHolder", "Owner", "creator"),
    "type": ("type",),
    "format": ("format",),
}
_ADDRESS = ("accessURI", "identifier")


class Media(NamedTuple):
    """Media: the occurrence that each shows, its table and line, and cleaned text by name."""

    of: pa.Array
    table: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    texts: dict[str, pa.Array]

    def taken(self, at: npt.NDArray[np.int64]) -> Media:
        """Those at these places, in this order."""
        index = pa.array(at)
        texts = {name: text.take(index) for name, text in self.texts.items()}
        return Media(self.of.take(index), self.table[at], self.line[at], texts)

    def pictures(self) -> Passing:
        """Which may be pictures: those that do not say that they are sound, film or text."""
        kind = pc.utf8_lower(self.texts["type"])
        form = pc.utf8_lower(self.texts["format"])
        still = pc.match_substring_regex(kind, r"image|^$|photo|jpe?g|png")
        moving = pc.match_substring_regex(kind, r"moving")
        no_picture = pc.match_substring_regex(form, r"^(audio|video|text|application|model)/")
        passes = pc.and_(pc.and_not(still, moving), pc.invert(no_picture))
        return passing_of(passes)


def hashes_of(ids: pa.Array) -> Hashes:
    """64 bits of each identifier."""
    table = pa.table({"id": ids})  # read by DuckDB under this name
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("ids", table)
        found = connection.execute("SELECT hash(id) AS bits FROM ids").fetchnumpy()["bits"]
    return np.asarray(found, np.uint64)


def read_ids(run: Run) -> pa.Array:
    """The cleaned identifiers of a run that was read with them as `id`."""
    return tidied(run.columns["id"], clean)


class MediaTable:
    """One table of media, and its number among them."""

    def __init__(self, table: ArchiveTable, number: int) -> None:
        self.table = table
        self._number = number
        self._reader = TextReader(table)

    def blocks(self) -> Iterator[Start]:
        """The whole table, cut."""
        return self._reader.starts(BLOCK_ROWS)

    def ids(self, block: Start) -> tuple[pa.Array, Run]:
        """The occurrence of each sound row, and the run, of which nothing else was read."""
        run = self._reader.read(block, {"id": self.table.joining})
        return read_ids(run), run

    def media(self, blocks: Sequence[Start]) -> Iterator[Media]:
        """The sound rows of blocks."""
        held = set(self.table.columns)
        wanted = {"id": self.table.joining}
        wanted |= {term: term for terms in _MEDIA_TERMS.values() for term in terms if term in held}
        for block in blocks:
            run = self._reader.read(block, wanted)
            columns = Columns(run.columns, len(run.row))
            texts = {
                name: self._first(columns, _ADDRESS if self._is_audubon(name) else terms)
                for name, terms in _MEDIA_TERMS.items()
            }
            yield Media(read_ids(run), np.full(len(run.row), self._number), run.row, texts)

    def _is_audubon(self, name: str) -> bool:
        """Audubon Core has the address in `accessURI`; its `identifier` is any name."""
        return name == "address" and "/ac/" in self.table.row_type

    def _first(self, columns: Columns, terms: Sequence[str]) -> pa.Array:
        """Of several terms the first that is given, the archive's default counted as given."""
        found = pa.repeat(pa.scalar("", pa.string()), columns.rows)
        for term in terms:
            given = columns.text(term)
            if term in self.table.constant:
                given = filled(given, pa.scalar(self.table.constant[term]), columns.rows)
            found = pc.if_else(pa.array(is_empty(found)), given, found)
        return found


def joined(media: Sequence[Media], ids: pa.Array) -> tuple[Media, npt.NDArray[np.int64]]:
    """The media of the occurrences `ids`, in their order, and the place of each one's occurrence.

    Of occurrences with one identifier the first has the media.
    """
    nothing = pa.array([], pa.string())
    whole = Media(
        pa.concat_arrays([nothing, *(some.of for some in media)]),
        np.concatenate([np.empty(0, np.int64), *(some.table for some in media)]),
        np.concatenate([np.empty(0, np.int64), *(some.line for some in media)]),
        {
            name: pa.concat_arrays([nothing, *(some.texts[name] for some in media)])
            for name in _MEDIA_TERMS
        },
    )
    found = pc.index_in(or_null(whole.of), value_set=or_null(ids), skip_nulls=True)
    of = found.fill_null(-1).to_numpy().astype(np.int64)
    here = np.flatnonzero(of >= 0)
    order = here[np.argsort(of[here], kind="stable")]
    return whole.taken(order), of[order]


def no_such_record(line: int, occurrence: str) -> RefusedRow:
    """A medium of an occurrence that the archive does not have."""
    what = f"shows {occurrence!r}, which is no occurrence here" if occurrence else "shows nothing"
    return RefusedRow(line, RejectReason.NO_SUCH_RECORD, what)
