"""Reads, decodes and frames the pictures of a few records; what a decoding worker does.

Knows sources and frames, and no models: it must not import torch, which every worker would load.
Thread rule: a `Preparer` does not change; any thread and, pickled, any process may use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt
from PIL import Image

from atlas.bundle.flags import HIDDEN_PLACE, Flag
from atlas.errors import BuildError, PictureError
from atlas.search.frame import Pixels
from atlas.search.pictures import hosted_copy, read_picture
from indexer.embedding.patience import Patience
from indexer.embedding.times import Times
from indexer.licences import normalise_licence
from indexer.plan_sections import STALL_S, MediaSection
from indexer.records import Reject
from indexer.sources import Source

STAGE = "embed"


class PictureFrame(Protocol):
    """What is needed of `atlas.search.frame.Frame`; goes to workers by pickle."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def width(self) -> int:
        """In pixels."""

    def frame(self, picture: Image.Image, into: Pixels | None = None) -> Pixels:
        """uint8 [3, height, width]."""


class Row(NamedTuple):
    """What is needed of a record to fetch its picture."""

    row: int
    occurrence_id: str
    media_ref: str
    media_licence: str | None
    flags: int


class Kept(NamedTuple):
    """A picture that was framed, and what is kept of its file."""

    media_sha256: str
    media: bytes | None
    media_type: str | None


class Fault(NamedTuple):
    """A failure that is no picture's: the build has to stop."""

    problem: str


Outcome = Kept | Reject | Fault


class Prepared(NamedTuple):
    """What became of each row of a chunk, in order, and what it took."""

    outcomes: list[Outcome]
    times: Times


@dataclass(frozen=True)
class Preparer:
    """Everything that turns a record into framed pixels: sources by key, frames by space."""

    sources: Mapping[str, Source]
    frames: Mapping[str, PictureFrame]
    media: MediaSection
    stall_s: float = STALL_S

    @cached_property
    def patience(self) -> Patience:
        """How pictures are read, in this process."""
        return Patience(self.stall_s)

    def hosted(self) -> frozenset[str]:
        """Licence codes whose photos are copied, however the plan spells them."""
        licences = (normalise_licence(text) for text in self.media.host)
        return frozenset(licence.code for licence in licences if licence is not None)

    def prepare(
        self,
        source_key: str,
        part: str,
        rows: list[Row],
        pixels: Mapping[str, npt.NDArray[Any]],
        each: Callable[[Callable[[int], tuple[Outcome, Times]], Iterable[int]], Iterable[Any]],
    ) -> Prepared:
        """Frame the picture of row n into `pixels[space][n]`, for every space.

        `each` is `map` or that of a pool of threads.
        """
        source, hosted = self.sources[source_key], self.hosted()

        def one(at: int) -> tuple[Outcome, Times]:
            times = Times()
            into = {space: memory[at] for space, memory in pixels.items()}
            return self._outcome(source, part, rows[at], into, hosted, times), times

        total = Times()
        outcomes = []
        for outcome, times in each(one, range(len(rows))):
            outcomes.append(outcome)
            total.add(times)
        return Prepared(outcomes, total)

    def _outcome(
        self,
        source: Source,
        part: str,
        row: Row,
        into: Mapping[str, Pixels],
        hosted: frozenset[str],
        times: Times,
    ) -> Outcome:
        try:
            return self._kept(source, row, into, hosted, times)
        except PictureError as error:
            # The name of a file may tell where a sensitive organism was found.
            hidden = bool(row.flags & HIDDEN_PLACE)
            return Reject(
                source_key=source.settings.key,
                part=part,
                row=row.row,
                occurrence_id=row.occurrence_id,
                media_ref=None if hidden else row.media_ref,
                stage=STAGE,
                reason=str(error.reason),
                detail=f"row {row.row}: its taxon is sensitive" if hidden else error.problem,
            )
        except BuildError as error:
            return Fault(error.problem)
        except Exception as error:  # noqa: BLE001 - handed over as data: not all errors can be pickled
            return Fault(f"{row.media_ref} (row {row.row}): {type(error).__name__}: {error}")

    def _kept(
        self,
        source: Source,
        row: Row,
        into: Mapping[str, Pixels],
        hosted: frozenset[str],
        times: Times,
    ) -> Kept:
        with times.taking("read"):
            data = self.patience.read(source.picture, row.media_ref)
        with times.taking("decode"):
            picture = read_picture(data, max_pixels=self.media.max_pixels)
            media, media_type = None, None
            if row.media_licence in hosted:
                media, media_type = hosted_copy(picture, self.media.max_side_px)
            # The file of a photo whose place is hidden may hold it, so the pixels stand for the
            # file.
            hidden = row.flags & (HIDDEN_PLACE | Flag.LOCATION_OBSCURED)
            digest = hashlib.sha256(picture.tobytes() if hidden else data).hexdigest()
        with times.taking("frame"):
            for space, frame in self.frames.items():
                frame.frame(picture, into[space])
        return Kept(digest, media, media_type)
