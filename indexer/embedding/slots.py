"""Memory for framed pictures that workers write and one process reads, without copying.

Knows shapes only. Thread rule: a slot has one user at a time; who has it is for the owner to know.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np

from atlas.errors import BuildError
from atlas.search.frame import Pixels

_SHARED = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory, not a file of ours


@dataclass(frozen=True)
class SlotShape:
    """How the memory is cut: `count` slots of `rows` pictures, in each space's own frame.

    `frames` are space, height and width.
    """

    count: int
    rows: int
    frames: tuple[tuple[str, int, int], ...]

    @property
    def slot_bytes(self) -> int:
        """Size of one slot."""
        return sum(self.rows * 3 * height * width for _, height, width in self.frames)

    @property
    def size_bytes(self) -> int:
        """Size of all of them."""
        return self.count * self.slot_bytes


def slots_in(memory: SharedMemory | bytearray, shape: SlotShape) -> list[Mapping[str, Pixels]]:
    """Each slot's pixels by space: uint8 [rows, 3, height, width], views of the memory."""
    buffer = memory if isinstance(memory, bytearray) else memory.buf
    slots: list[Mapping[str, Pixels]] = []
    at = 0
    for _ in range(shape.count):
        slot = {}
        for space, height, width in shape.frames:
            extent = (shape.rows, 3, height, width)
            slot[space] = np.ndarray(extent, dtype=np.uint8, buffer=buffer, offset=at)
            at += slot[space].nbytes
        slots.append(slot)
    return slots


def shared_memory(shape: SlotShape) -> SharedMemory:
    """Memory that other processes find by its name; gone when its maker has ended in any way.

    Raises BuildError where the machine keeps too little for it: written to, it would end the
    process without a word.
    """
    if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free < shape.size_bytes:
        raise BuildError(
            "embed",
            f"{_SHARED} has no {shape.size_bytes >> 20} MB free, which pictures on their way from "
            "decoding processes need; enlarge it (docker run --shm-size), or set "
            "workers.decode_processes = 0",
        )
    return SharedMemory(create=True, size=max(1, shape.size_bytes))
