"""The protocol of a source, and the parts that it is read in.

A source reads; it writes nothing, but in a folder of its own within the work folder. It may be
pickled and used in any process, one thread reading parts, any thread reading pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.plan_sections import SourceSettings


class SourcePart(msgspec.Struct, frozen=True, kw_only=True):
    """A run of rows of one input file, the unit of build work.

    Rows `first_row` (0-based) to `first_row + rows - 1`. `offset` and `first_line` are where a
    text table's part begins. `stamp` is the file's state when the parts were made; a source
    refuses to read a part whose file has changed since. `joined` are runs of rows of further tables
    that belong to the part: number of the table, first row, rows, offset, line; how many of their
    rows are taken shows when they are read, so `rows` counts those of `file` only.
    """

    source_key: str
    name: str
    number: int
    file: Path
    first_row: int
    rows: int
    offset: int = 0
    first_line: int = 1
    stamp: str
    joined: tuple[tuple[int, int, int, int, int], ...] = ()


class ReadPart(NamedTuple):
    """What reading a part gave: `rows_in` = rows of `records` + rows of `rejects`.

    `vectors` are those that came ready, by space: (records, dim) float16, unit vectors in order.
    """

    records: pa.Table
    rejects: pa.Table
    rows_in: int
    vectors: Mapping[str, npt.NDArray[np.float16]] = MappingProxyType({})


class Source(Protocol):
    """A data set that is read in parts: the same parts as long as its files stay the same."""

    @property
    def settings(self) -> SourceSettings:
        """The plan's entry: key, title, citation and so on."""

    def parts(self) -> list[SourcePart]:
        """All parts, in order. Raises PlanError where the input cannot be used at all."""

    def read(self, part: SourcePart) -> ReadPart:
        """Read one part. Raises BuildError where its file has changed since `parts`."""

    def picture(self, media_ref: str) -> bytes:
        """The bytes of an image file. Raises PictureError."""

    def picture_stamp(self, media_ref: str) -> str:
        """The state of an image file (size and time), "" where it is missing; cheap."""


def part_name(source_key: str, number: int) -> str:
    """Name of a part; names sort in the order of the rows."""
    return f"{source_key}-{number:06d}"
