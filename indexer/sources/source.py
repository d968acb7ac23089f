"""The protocol of a source, and the parts that it is read in.

A source reads; it writes nothing, but in a folder of its own within the work folder. It may be
pickled and used in any process, one thread reading parts, any thread reading pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.errors import PictureError
from indexer.darwin_core import Defaults
from indexer.plan_sections import SourceSettings
from indexer.records import RejectReason
from indexer.sources.input_file import written_on


class Start(NamedTuple):
    """Where a run begins: its rows, and in a text table its byte offset and line."""

    first_row: int
    rows: int
    offset: int = 0
    line: int = 1


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

    @property
    def start(self) -> Start:
        """Where its rows begin."""
        return Start(self.first_row, self.rows, self.offset, self.first_line)


class FileRun(NamedTuple):
    """A run of rows that is to be a part; `stamp` and `joined` as there."""

    file: Path
    start: Start
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


class WithoutPictures(ABC):
    """What a source answers of pictures where its records come without any."""

    @property
    @abstractmethod
    def settings(self) -> SourceSettings:
        """The plan's entry."""

    def picture(self, media_ref: str) -> bytes:
        """Always raises PictureError: these records come without pictures."""
        raise PictureError(
            RejectReason.FILE_MISSING, f"{self.settings.key} has no pictures ({media_ref})"
        )

    def picture_stamp(self, media_ref: str) -> str:
        """Always "": there are no pictures, not even of `media_ref`."""
        del media_ref
        return ""


def defaults_of(settings: SourceSettings, file: Path) -> Defaults:
    """What a plan's entry says of rows that are silent; `file` was written when the rows were.

    Observations after `as_of`, or else after the day on which the file was written, are doubtful.
    """
    return Defaults(
        source_key=settings.key,
        licence=settings.licence,
        media_licence=settings.media_licence,
        as_of=settings.as_of or written_on(file),
    )


def part_name(source_key: str, number: int) -> str:
    """Name of a part; names sort in the order of the rows."""
    return f"{source_key}-{number:06d}"


def parts_of(source_key: str, runs: Iterable[FileRun]) -> list[SourcePart]:
    """A part of each run, numbered in their order."""
    return [
        SourcePart(
            source_key=source_key,
            name=part_name(source_key, number),
            number=number,
            file=run.file,
            first_row=run.start.first_row,
            rows=run.start.rows,
            offset=run.start.offset,
            first_line=run.start.line,
            stamp=run.stamp,
            joined=run.joined,
        )
        for number, run in enumerate(runs)
    ]
