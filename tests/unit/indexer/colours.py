"""An encoder that sees a picture's mean colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from atlas.search.frame import Frame, Pixels
from indexer.embedding.part import Vectors
from indexer.embedding.prepare import PictureFrame


class ColourBatch(NamedTuple):
    """A batch that is done at once."""

    result: Vectors
    seconds: tuple[float, float] = (0.0, 0.0)

    def vectors(self) -> Vectors:
        """What was computed."""
        return self.result


class ColourFeed:
    """Two buffers in turn; what is left of older batches stays in them, as on a GPU."""

    in_flight = 2

    def __init__(self, encoder: ColourEncoder) -> None:
        self._encoder = encoder
        self._buffers = [np.full((encoder.batch_size, 3, 4, 4), 99, np.uint8) for _ in range(2)]

    def buffer(self) -> Pixels:
        """The one that was launched longer ago."""
        return self._buffers[0]

    def launch(self, rows: int) -> ColourBatch:
        """Encode at once."""
        self._buffers.reverse()
        self._encoder.batches.append(rows)
        return ColourBatch(self._encoder.encode(self._buffers[1][:rows]))


class ColourEncoder:
    """Encodes a picture as its mean colour; remembers its batches."""

    dim = 3

    def __init__(self, batch_size: int = 2, frame: PictureFrame | None = None) -> None:
        self.batch_size = batch_size
        self.frame = frame or Frame(height=4, width=4)
        self.batches: list[int] = []

    def feed(self) -> ColourFeed:
        """Buffers of its own."""
        return ColourFeed(self)

    def encode(self, pixels: Pixels) -> Vectors:
        """Mean colours as unit vectors."""
        colours = pixels.mean(axis=(2, 3)).astype(np.float32) + 1
        vectors: Vectors = colours / np.linalg.norm(colours, axis=1, keepdims=True)
        return vectors
