"""The spaces of the bundle as this server can use them: with an encoder, or without.

A space without an encoder still answers questions by stored photo and by vector. Texts go through
a batcher, photos through a bounded pool: neither runs on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

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
        max_pixels: int,
    ) -> None:
        self.space = space
        self.encoder = encoder
        self._missing = missing
        self._max_pixels = max_pixels
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

    async def read_photo(self, content: bytes, pool: BoundedPool) -> Vector:
        """The vector of a photo's bytes, float32[dim]; PictureError for what is no photo."""
        encoder = self.encoder
        if encoder is None:
            raise SpaceUnavailable(self.space.name, self._missing)

        def encode() -> Vector:
            picture = read_picture(content, max_pixels=self._max_pixels)
            vector: Vector = encoder.encode_pictures([picture])[0]
            return vector

        return await pool.run(encode)


class Spaces:
    """All spaces of the bundle, by name; the first that can read text is the default."""

    def __init__(self, readers: Mapping[str, SpaceReader]) -> None:
        self._readers = dict(readers)
        able = [name for name, reader in self._readers.items() if reader.encoder is not None]
        self.with_encoder = tuple(able)
        self.default = (able or list(self._readers))[0]

    def __iter__(self) -> Iterator[SpaceReader]:
        """Each space, in the bundle's order."""
        return iter(self._readers.values())

    def get(self, name: str | None) -> SpaceReader:
        """The space of this name, or the default one; InvalidQuery for an unknown name."""
        wanted = self.default if name is None else name
        if wanted not in self._readers:
            known = ", ".join(sorted(self._readers))
            raise InvalidQuery("space", f"no space {wanted!r} in this atlas; it has {known}")
        return self._readers[wanted]
