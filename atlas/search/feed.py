"""Feeds one model with batches of pictures, so that its device never waits for a copy.

Two buffers: while the device works on one batch the next is copied to it, and results are asked
for one batch late. Knows streams and a function that makes vectors; no files, no rows. Thread
rule: one thread owns a feed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from atlas.errors import EncoderError
from atlas.search.frame import Pixels
from atlas.search.streams import Mark, Streams

Vectors = npt.NDArray[np.float32]
Forward = Callable[[torch.Tensor], torch.Tensor]

# Batches handed to the device before the first of them is waited for: one computes while the next
# is copied; more would only hold memory.
BATCHES_IN_FLIGHT = 2


@dataclass
class _Slot:
    """A batch's memory on both sides, and the marks after which each side may be overwritten."""

    host: torch.Tensor
    device: torch.Tensor
    copied: Mark | None = None
    read: Mark | None = None


@dataclass(frozen=True)
class Pending:
    """A batch on its way through the device."""

    encoder: str
    rows: int
    copied: Mark
    done: Mark
    result: torch.Tensor

    def vectors(self) -> Vectors:
        """Wait for this batch alone: float32 [rows, dim]. EncoderError where one is not finite."""
        self.done.wait()
        vectors: Vectors = self.result[: self.rows].numpy()
        if not np.isfinite(vectors).all():
            # A NaN would sit in an index unseen and push every honest neighbour out.
            row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
            problem = f"vector {row} of a batch is not finite; take dtype float32"
            raise EncoderError(self.encoder, problem)
        return vectors

    @property
    def seconds(self) -> tuple[float, float]:
        """Time on the device, of the copy to it and of the model; to be asked after `vectors`."""
        return self.copied.seconds(), self.done.seconds()


class Feed:
    """Batches of up to `batch_size` framed pictures, one after the other, to one model.

    With `fixed` every batch has the same shape: the last is filled up, since a compiled model is
    compiled anew for every other.
    """

    in_flight = BATCHES_IN_FLIGHT

    def __init__(
        self,
        encoder: str,
        forward: Forward,
        streams: Streams,
        *,
        batch_size: int,
        height: int,
        width: int,
        dim: int,
        fixed: bool,
    ) -> None:
        """`forward` makes float32 [n, dim] of uint8 [n, 3, height, width], both on the device."""
        self._encoder = encoder
        self._forward = forward
        self._streams = streams
        self._shape = (batch_size, 3, height, width)
        self._dim = dim
        self._fixed = fixed
        self._slots: list[_Slot] = []
        self._launched = 0

    def buffer(self) -> Pixels:
        """Where the next batch goes: uint8 [batch_size, 3, height, width], to be filled in order.

        Always the same memory until `launch`. Waits only where the batch before last is not yet
        copied.
        """
        slot = self._slot()
        if slot.copied is not None:
            slot.copied.wait()
        pixels: Pixels = slot.host.numpy()
        return pixels

    def launch(self, rows: int) -> Pending:
        """Hand the first `rows` pictures of the buffer to the device, and return at once."""
        if not 0 < rows <= self._shape[0]:
            raise ValueError(f"a batch has 1 to {self._shape[0]} pictures, not {rows}")
        slot = self._slot()
        self._launched += 1
        filled = self._shape[0] if self._fixed else rows
        slot.host[rows:filled] = 0
        source, target = slot.host[:filled], slot.device[:filled]
        result = self._streams.host((filled, self._dim), torch.float32)

        def copy() -> None:
            if target.data_ptr() != source.data_ptr():
                target.copy_(source, non_blocking=True)

        def compute() -> None:
            with torch.inference_mode():
                result.copy_(self._forward(target), non_blocking=True)

        # The device side may be overwritten when the model has read it, the host side when it is
        # copied.
        slot.copied = self._streams.run("copy", copy, [slot.read] if slot.read else [])
        slot.read = self._streams.run("compute", compute, [slot.copied])
        return Pending(self._encoder, rows, slot.copied, slot.read, result)

    def _slot(self) -> _Slot:
        at = self._launched % BATCHES_IN_FLIGHT
        if at == len(self._slots):
            host = self._streams.host(self._shape, torch.uint8)
            self._slots.append(_Slot(host, self._streams.beside(host)))
        return self._slots[at]
