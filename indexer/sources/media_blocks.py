"""Which blocks of an archive's media show which run of its occurrences, and which media show none.

Neither table is held: identifiers are compared by 64 bits of their hash, so a block may be read for
nothing, and none is missed. One caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.sources.archived_media import (
    Hashes,
    Media,
    MediaTable,
    hashes_of,
    no_such_record,
    read_ids,
)
from indexer.sources.source import Start
from indexer.sources.table_runs import RefusedRow, TextReader
from indexer.sources.text_columns import is_empty

Block = tuple[int, int, int, int, int]
"""Number of the table of media, and the block's `Start` in it."""
Places = npt.NDArray[np.int64]


class Strays(NamedTuple):
    """Media of one table that show no occurrence or cannot be read, and the blocks they are in."""

    rows: int
    blocks: tuple[Block, ...]


class MediaBlocks:
    """The media of an archive beside its occurrences."""

    def __init__(self, occurrences: TextReader, joining: str, tables: Sequence[MediaTable]) -> None:
        """`joining` is the column of `occurrences` that media refer to."""
        self._occurrences = occurrences
        self._joining = joining
        self._tables = tables

    def of_runs(self, starts: Sequence[Start]) -> tuple[list[list[Block]], dict[int, Strays]]:
        """The blocks that each run of occurrences needs; and by table, media of no occurrence."""
        needed: list[list[Block]] = [[] for _ in starts]
        strays: dict[int, Strays] = {}
        if not self._tables:
            return needed, strays
        hashes, runs = self._hashes(starts)
        for number, table in enumerate(self._tables):
            lost, holding = 0, []
            for start in table.blocks():
                block = (number, *start)
                ids, run = table.ids(start)
                first, last = _found(hashes, ids)
                for at in np.unique(runs[_all_between(first, last)]):
                    needed[at].append(block)
                here = int((first == last).sum()) + len(run.refused)
                if here:
                    lost += here
                    holding.append(block)
            if lost:
                strays[number] = Strays(lost, tuple(holding))
        return needed, strays

    def media(self, blocks: Iterable[Block]) -> Iterator[Media]:
        """The sound rows of blocks."""
        for number, *start in blocks:
            yield from self._tables[number].media([Start(*start)])

    def strays(self, starts: Sequence[Start], blocks: Iterable[Block]) -> list[RefusedRow]:
        """Of these blocks the media that show no occurrence, and those that cannot be read."""
        hashes, _ = self._hashes(starts)
        refused: list[RefusedRow] = []
        for number, *start in blocks:
            ids, run = self._tables[number].ids(Start(*start))
            first, last = _found(hashes, ids)
            lost = np.flatnonzero(first == last).tolist()
            refused += [no_such_record(int(run.row[at]), ids[at].as_py()) for at in lost]
            refused += run.refused
        return sorted(refused)

    def _hashes(self, starts: Sequence[Start]) -> tuple[Hashes, Places]:
        """The identifiers of all occurrences, sorted, and the run that each stands in."""
        hashes, runs = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for number, start in enumerate(starts):
            ids = read_ids(self._occurrences.read(start, {"id": self._joining}))
            found = hashes_of(ids.filter(pa.array(~is_empty(ids))))
            hashes.append(found)
            runs.append(np.full(len(found), number, np.int64))
        whole, of = np.concatenate(hashes), np.concatenate(runs)
        order = np.argsort(whole, kind="stable")
        return whole[order], of[order]


def _found(hashes: Hashes, ids: pa.Array) -> tuple[Places, Places]:
    """The interval of sorted `hashes` that each identifier has; empty for "" and for strangers."""
    wanted = hashes_of(ids)
    first = np.searchsorted(hashes, wanted, "left")
    last = np.searchsorted(hashes, wanted, "right")
    return first, np.where(is_empty(ids), first, last)


def _all_between(first: Places, last: Places) -> Places:
    """All places of the intervals; nearly always one each."""
    once = first[last > first]
    several = [np.arange(a + 1, b) for a, b in zip(first, last, strict=True) if b - a > 1]
    return np.concatenate([once, *several])
