"""The spaces of the bundle as this server can use them: with an encoder, or without.

A space without an encoder still answers questions by stored photo and by vector. Texts go through
a batcher, photos through a bounded pool: neither runs on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.api.workers import BoundedPool
from atlas.bundle import SpaceDescription
from atlas.errors import InvalidQuery, SpaceUnavailable
from atlas.search.batching import BatchReport, TextBatcher
from atlas.search.encoder import Encoder
from atlas.search.pictures import read_picture
from atlas.search.prompts import query_prompt

Vector = npt.NDArray[np.float32]


class SpaceReader:
    """One space and its encoder; `missing` says why there is none."""

    def __init__(
        self,
        space: SpaceDescription,
        encoder: Encoder | None,
        *,
        missing: str = "",
    ) -> None:
        self.space = space
        self.encoder = encoder
        self._missing = missing
        self._batcher: TextBatcher | None = None

    def start(
        self,
        *,
        max_batch: int,
        max_wait_s: float,
        max_queue: int,
        on_batch: Callable[[BatchReport], None],
    ) -> None:
        """Begin to read texts; call it in the running event loop."""
        if self.encoder is not None:
            self._batcher = TextBatcher(
                self.encoder.encode_texts, max_batch, max_wait_s, max_queue, on_batch
            )
            self._batcher.start()

    async def stop(self) -> None:
        """Finish the texts that wait."""
        if self._batcher is not None:
            await self._batcher.stop()

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return 0 if self._batcher is None else self._batcher.waiting

    async def read_text(self, text: str) -> Vector:
        """The vector of a text, float32[dim]; SpaceUnavailable without an encoder, Overloaded."""
        if self._batcher is None:
            raise SpaceUnavailable(self.space.name, self._missing)
        return await self._batcher.encode(query_prompt(self.space.prompts, text))

    def photo_encoder(self) -> Encoder:
        """The encoder; SpaceUnavailable without one."""
        if self.encoder is None:
            raise SpaceUnavailable(self.space.name, self._missing)
        return self.encoder


class Encoded(NamedTuple):
    """A question's vector in one space, float32[dim], and the seconds that it took."""

    vector: Vector
    seconds: float


async def read_text(texts: Sequence[str], readers: Sequence[SpaceReader]) -> dict[str, Encoded]:
    """The vectors of a text for each reader, by space; the encoders' batches run side by side."""

    async def read(reader: SpaceReader, text: str) -> Encoded:
        started = time.perf_counter()
        vector = await reader.read_text(text)
        return Encoded(vector, time.perf_counter() - started)

    found = await asyncio.gather(*map(read, readers, texts))
    return {reader.space.name: one for reader, one in zip(readers, found, strict=True)}


async def read_photo(
    content: bytes, readers: Sequence[SpaceReader], pool: BoundedPool, *, max_pixels: int
) -> dict[str, Encoded]:
    """The vectors of a photo's bytes, by space; it is decoded once. PictureError for no photo."""
    encoders = {reader.space.name: reader.photo_encoder() for reader in readers}

    def encode() -> dict[str, Encoded]:
        started = time.perf_counter()
        picture = read_picture(content, max_pixels=max_pixels)
        found = {}
        for name, encoder in encoders.items():
            vector: Vector = encoder.encode_pictures([picture])[0]
            ended = time.perf_counter()
            found[name] = Encoded(vector, ended - started)
            started = ended
        return found

    return await pool.run(encode)


class Spaces:
    """All spaces of the bundle, by name; the first that can read text is the default.

    A bundle of records without pictures has none, and every question for one is refused.
    """

    def __init__(self, readers: Mapping[str, SpaceReader], *, max_pixels: int) -> None:
        """`max_pixels` is the largest photo taken as a question."""
        self._readers = dict(readers)
        self.max_pixels = max_pixels
        able = [name for name, reader in self._readers.items() if reader.encoder is not None]
        self.with_encoder = tuple(able)
        self.default = next(iter(able or self._readers), None)

    def __iter__(self) -> Iterator[SpaceReader]:
        """Each space, in the bundle's order."""
        return iter(self._readers.values())

    def get(self, name: str | None) -> SpaceReader:
        """The space of this name, or the default one; InvalidQuery for an unknown name."""
        wanted = self.default if name is None else name
        if not self._readers:
            raise InvalidQuery(
                "space",
                "this atlas holds records without pictures, so there is nothing to search by "
                "words or pictures; ask for taxa, maps and gaps",
            )
        if wanted not in self._readers:
            known = ", ".join(sorted(self._readers))
            raise InvalidQuery("space", f"no space {wanted!r} in this atlas; it has {known}")
        return self._readers[wanted]

    def readers(self, name: str | None) -> tuple[SpaceReader, ...]:
        """The spaces to read words or a photo with: the one named, else all with an encoder.

        The default comes first; where no space has an encoder it is the only one.
        """
        if name is not None or not self.with_encoder:
            return (self.get(name),)
        return tuple(map(self.get, self.with_encoder))

    def stored(self, name: str | None) -> tuple[SpaceReader, ...]:
        """The spaces to look for a stored photo in: the one named, else all, the default first."""
        if name is not None:
            return (self.get(name),)
        default = self.get(None)
        return (default, *(reader for reader in self if reader is not default))

    def of_vector(self, name: str | None, numbers: int) -> SpaceReader:
        """The space that a vector of so many numbers is of; InvalidQuery where that is unclear."""
        if name is not None or len(self._readers) <= 1:
            return self.get(name)
        fitting = [reader for reader in self if reader.space.dim == numbers]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            names = " and ".join(reader.space.name for reader in fitting)
            raise InvalidQuery(
                "space", f"{names} have {numbers} dimensions each; say which one the vector is of"
            )
        sizes = ", ".join(f"{reader.space.name} {reader.space.dim}" for reader in self)
        raise InvalidQuery("vector", f"has {numbers} numbers; the spaces have: {sizes}")
