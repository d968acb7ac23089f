"""Where the time of embedding goes, in seconds.

Knows numbers only. Thread rule: one thread adds to one object.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Times:
    """Seconds by what they were spent on.

    `read`, `decode` (with hosted copies and checksums) and `frame` are summed over all workers and
    run beside the rest. `wait` (for decoded pictures), `fill` (of a batch's buffer), `launch`,
    `collect` (waiting for vectors) and `write` are those of the threads that feed the devices.
    `transfer` and `model` are the device's own: on a GPU they run beside everything, on a CPU they
    are part of `launch`.
    """

    read_s: float = 0.0
    decode_s: float = 0.0
    frame_s: float = 0.0
    wait_s: float = 0.0
    fill_s: float = 0.0
    launch_s: float = 0.0
    collect_s: float = 0.0
    transfer_s: float = 0.0
    model_s: float = 0.0
    write_s: float = 0.0

    @contextmanager
    def taking(self, name: str) -> Iterator[None]:
        """Add what the block takes to `name`, without its `_s`."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            field = f"{name}_s"
            setattr(self, field, getattr(self, field) + time.perf_counter() - started_s)

    def add(self, other: Times) -> None:
        """Add all of another's."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
