"""The protocol of a system that is compared, and what they share of filtering and of SQL.

One thread asks; a system keeps to one thread of its own where it lets itself be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.lineages import RANKS

RowNumbers = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float32]

# Integer columns, one a rank: the same filter in fewer bytes than names.
TAXON_COLUMNS = tuple(f"taxon_{rank}" for rank in RANKS)
FILTER_COLUMNS = ("source", *TAXON_COLUMNS, "latitude", "longitude", "month")


class System(Protocol):
    """One way to store the rows of a world and to answer questions about them.

    `settings` says how it is run, for the report; `reads_vectors` whether it needs the world's
    vector file beside what it built; `most_questions` bounds the questions of a case where a
    question takes seconds.
    """

    settings: str
    reads_vectors: bool
    most_questions: int

    def prepare(self, data: WorldOnDisk, folder: Path) -> None:
        """Build what is missing in `folder`, and open it."""

    def ask(self, query: Vector, condition: Condition, count: int) -> RowNumbers:
        """Up to `count` row numbers of the world, best first."""

    def close(self) -> None:
        """Give back what was opened."""


class AfterFilter:
    """Keeps of the rows that a search found those that pass; each condition is tested once."""

    def __init__(self, data: WorldOnDisk) -> None:
        self._data = data
        self._passing: dict[Condition, npt.NDArray[np.uint8]] = {}

    def first(self, rows: RowNumbers, condition: Condition, count: int) -> RowNumbers:
        """The first `count` of `rows` that pass, in their order; fewer where they run out."""
        if condition not in self._passing:
            self._passing[condition] = np.packbits(self._data.passes(condition))
        kept = self._passing[condition][rows >> 3] >> (7 - (rows & 7)).astype(np.uint8) & 1 == 1
        inside: RowNumbers = rows[kept][:count]
        return inside


def columns_of(data: WorldOnDisk, start: int, stop: int) -> pa.Table:
    """The row numbers and the columns that conditions read, as a table."""
    part = slice(start, stop)
    nodes = data.world.lineages.nodes[data.columns["species"][part]]
    taxa = {name: nodes[:, depth] for depth, name in enumerate(TAXON_COLUMNS)}
    return pa.table(
        {
            "row": np.arange(start, stop, dtype=np.int64),
            "source": np.asarray(data.columns["source"][part]).astype(np.int32),
            **taxa,
            "latitude": np.asarray(data.columns["latitude"][part]),
            "longitude": np.asarray(data.columns["longitude"][part]),
            "month": data.month[part].astype(np.int32),
        }
    )


def sql_of(condition: Condition) -> str:
    """A condition in SQL on `columns_of`; "" where it does not limit. All values are numbers."""
    terms = []
    if condition.source is not None:
        terms.append(f"source = {condition.source}")
    if condition.taxon is not None:
        depth, node = condition.taxon
        terms.append(f"{TAXON_COLUMNS[depth]} = {node}")
    if condition.month is not None:
        terms.append(f"month = {condition.month}")
    if condition.box is not None:
        west, south, east, north = condition.box
        terms.append(f"longitude >= {west!r} AND longitude <= {east!r}")
        terms.append(f"latitude >= {south!r} AND latitude <= {north!r}")
    return " AND ".join(terms)
