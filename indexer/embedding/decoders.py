"""The workers that decode pictures: processes of their own, or threads of this one.

Processes share no interpreter with whoever feeds the device, and do not load torch. They are
started fresh ("spawn") and end with their parent. Thread rule: any thread may submit.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Literal, NamedTuple, Self

from atlas.errors import BuildError
from atlas.search.frame import Pixels
from indexer.embedding.prepare import STAGE, Prepared, Preparer, Row
from indexer.embedding.slots import SlotShape, shared_memory, slots_in
from indexer.engines.local import end_with_parent, worker_count

# Records that go to a worker at once: few enough that a part of 2,000 rows keeps 16 of them busy.
CHUNK_ROWS = 32
_THREADS = 4


class Workers(NamedTuple):
    """How many decode: `processes` of `threads` each; no processes: the threads are this one's."""

    processes: int
    threads: int

    @property
    def chunks(self) -> int:
        """Chunks in work at once."""
        return self.processes or self.threads


def workers_for(
    processes: int | Literal["auto"],
    threads: int | Literal["auto"],
    *,
    devices: int,
    on_gpu: bool,
) -> Workers:
    """Workers for a plan's settings.

    `auto`: beside GPUs a process for each processor but those that feed the devices; beside a model
    that runs on the processors themselves, none: threads do, and start at once. Each process has a
    few threads, since some of them wait for the disk; threads that alone feed a GPU are as many as
    there are processors.
    """
    processors = worker_count("auto")
    beside_gpu = max(1, processors - devices) if on_gpu else 0
    of_processes = beside_gpu if processes == "auto" else processes
    alone = on_gpu and not of_processes
    of_threads = max(_THREADS, processors) if alone else _THREADS
    return Workers(of_processes, of_threads if threads == "auto" else threads)


class Decoders:
    """Workers with a preparer each, and the slots that they write to."""

    def __init__(self, preparer: Preparer, workers: Workers, slots: int) -> None:
        """Start them. `slots` chunks can be on their way at once.

        Raises BuildError where there is too little shared memory for the slots.
        """
        frames = preparer.frames.items()
        shape = SlotShape(
            slots, CHUNK_ROWS, tuple((space, f.height, f.width) for space, f in frames)
        )
        self.workers = workers
        self._preparer = preparer
        self._memory: SharedMemory | None = None
        self._pool: Executor
        if workers.processes:
            self._memory = shared_memory(shape)
            self.slots = slots_in(self._memory, shape)
            self._pool = ProcessPoolExecutor(
                workers.processes,
                mp_context=get_context("spawn"),
                initializer=_start,
                initargs=(preparer, shape, self._memory.name, workers.threads),
            )
        else:
            self.slots = slots_in(bytearray(shape.size_bytes), shape)
            self._pool = ThreadPoolExecutor(workers.threads, "decode")

    def submit(self, slot: int, source_key: str, part: str, rows: list[Row]) -> Future[Prepared]:
        """Have the pictures of up to CHUNK_ROWS records framed into a slot."""
        if self._memory is not None:
            return self._pool.submit(_prepare, slot, source_key, part, rows)
        pixels = self.slots[slot]
        return self._pool.submit(self._preparer.prepare, source_key, part, rows, pixels, map)

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers, without waiting for chunks that nobody asked for yet."""
        self._pool.shutdown(cancel_futures=True)
        self.slots = []
        if self._memory is not None:
            self._memory.unlink()
            try:
                self._memory.close()
            except BufferError:
                # An error on its way up still holds pixels; the memory goes when it is gone.
                return


def result_of(future: Future[Prepared]) -> Prepared:
    """What became of a chunk. Raises BuildError where its worker was killed."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        problem = "a decoding process ended unexpectedly (out of memory?); start the build again"
        raise BuildError(STAGE, problem) from error


class _Worker(NamedTuple):
    """What a decoding process keeps from chunk to chunk."""

    preparer: Preparer
    memory: SharedMemory
    slots: list[Mapping[str, Pixels]]
    threads: ThreadPoolExecutor | None


_workers: list[_Worker] = []


def _start(preparer: Preparer, shape: SlotShape, name: str, threads: int) -> None:
    """Run once in each process."""
    end_with_parent()
    memory = SharedMemory(name)
    pool = ThreadPoolExecutor(threads, "decode") if threads > 1 else None
    _workers.append(_Worker(preparer, memory, slots_in(memory, shape), pool))


def _prepare(slot: int, source_key: str, part: str, rows: list[Row]) -> Prepared:
    """Run in a process for each chunk."""
    worker = _workers[0]
    each = worker.threads.map if worker.threads is not None else map
    return worker.preparer.prepare(source_key, part, rows, worker.slots[slot], each)
