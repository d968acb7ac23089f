"""In what order a device works: copies on one stream, the model on another, nothing waited for.

`Inline` is for devices that work while they are asked (the CPU); `CudaStreams` queues. Knows no
model. Thread rule: one thread uses one object; several objects may share a device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch

Work = Callable[[], None]
StreamName = Literal["copy", "compute"]


class Mark(Protocol):
    """A piece of work that was handed to a stream."""

    def wait(self) -> None:
        """Return when the work is done."""

    def seconds(self) -> float:
        """How long it took on the device; to be asked after `wait`."""


class Streams(Protocol):
    """Two queues of one device: what stands in one is done in order."""

    def run(self, stream: StreamName, work: Work, after: Sequence[Mark]) -> Mark:
        """Hand work to a stream, to be done once the marks of `after` are."""

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Memory of this machine that the device can copy to and from by itself."""

    def beside(self, host: torch.Tensor) -> torch.Tensor:
        """Memory of the device for what is in `host`; `host` itself where they are one."""


class _Done:
    """Work that was done when it was handed over."""

    def __init__(self, took_s: float) -> None:
        self._took_s = took_s

    def wait(self) -> None:
        """Return at once."""

    def seconds(self) -> float:
        """Wall-clock time."""
        return self._took_s


class Inline:
    """Does all work at once, in the calling thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def run(self, stream: StreamName, work: Work, after: Sequence[Mark]) -> Mark:  # noqa: ARG002 - a protocol's signature
        """Do it now: what it comes after was done before."""
        started_s = time.perf_counter()
        work()
        return _Done(time.perf_counter() - started_s)

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Ordinary memory."""
        return torch.empty(shape, dtype=dtype)

    def beside(self, host: torch.Tensor) -> torch.Tensor:
        """`host` itself on the CPU."""
        return host.to(self._device)


class _CudaMark:
    """Two events around work on a stream."""

    def __init__(self, started: torch.cuda.Event, ended: torch.cuda.Event) -> None:
        self._started = started
        self.ended = ended

    def wait(self) -> None:
        """Sleep until the second event."""
        self.ended.synchronize()

    def seconds(self) -> float:
        """Time between the events."""
        return float(self._started.elapsed_time(self.ended)) / 1000


class CudaStreams:
    """The default stream of a GPU for the model, and a side stream for copies.

    Host memory is pinned: only then does a copy run beside the model and not hold the caller up.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._streams = {
            "copy": torch.cuda.Stream(device),  # type: ignore[no-untyped-call]
            "compute": torch.cuda.default_stream(device),
        }

    def run(self, stream: StreamName, work: Work, after: Sequence[Mark]) -> Mark:
        """Queue the work and return."""
        queue = self._streams[stream]
        with torch.cuda.stream(queue):
            for mark in after:
                if not isinstance(mark, _CudaMark):
                    raise TypeError(f"{type(mark).__name__} is no mark of a CUDA stream")
                queue.wait_event(mark.ended)
            started, ended = self._event(), self._event()
            started.record(queue)
            work()
            ended.record(queue)
        return _CudaMark(started, ended)

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Pinned memory, which torch keeps for the next to ask."""
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def beside(self, host: torch.Tensor) -> torch.Tensor:
        """Memory of the GPU."""
        return torch.empty_like(host, device=self._device)

    def _event(self) -> torch.cuda.Event:
        # `blocking`: whoever waits sleeps, where it would otherwise keep a core busy.
        return torch.cuda.Event(  # type: ignore[no-untyped-call]
            enable_timing=True, blocking=True
        )


def streams_of(device: torch.device) -> Streams:
    """How work reaches this device."""
    return CudaStreams(device) if device.type == "cuda" else Inline(device)
