"""Brings the texts of concurrent requests together, so that the encoder sees batches.

Knows a function from texts to vectors, and nothing of models or HTTP. Thread rule: everything
here runs on one event loop, except the encoder, which runs in one thread of its own; that thread
is the only caller of the function, and the loop never waits inside it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.errors import Overloaded

Vector = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]

QUEUE_NAME = "the queue of texts"
# Until a batch was measured; the first one on a cold model takes about this long.
FIRST_GUESS_S = 1.0
# Weight of the newest batch in the running mean of batch times.
NEWEST_WEIGHT = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """One batch, for telemetry: its size, what still waited then, and seconds spent."""

    texts: int
    waiting: int
    oldest_wait_s: float
    encode_s: float
    failed: bool


@dataclass(frozen=True, eq=False)
class _Waiter:
    text: str
    answer: asyncio.Future[Vector]
    since_s: float


class TextBatcher:
    """A bounded queue in front of `encode` (texts to float32 [n, dim]).

    A batch leaves when `max_batch` texts wait or the oldest has waited `max_wait_s`; while one
    batch runs, the next gathers. `on_batch` is told of every batch, on the event loop. Counters
    that only grow: `batches`, `texts`, `refused`; `waiting` is the depth of the queue.
    """

    def __init__(
        self,
        encode: Callable[[list[str]], Vectors],
        max_batch: int,
        max_wait_s: float,
        max_queue: int,
        on_batch: Callable[[BatchReport], None] | None = None,
    ) -> None:
        if max_batch < 1 or max_queue < 1 or max_wait_s < 0:
            raise ValueError("max_batch and max_queue are at least 1, max_wait_s at least 0")
        self.batches = 0
        self.texts = 0
        self.refused = 0
        self._encode = encode
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._max_queue = max_queue
        self._on_batch = on_batch
        self._queue: deque[_Waiter] = deque()
        self._changed = asyncio.Event()
        self._batch_s = FIRST_GUESS_S
        self._measured = False
        self._open = False
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def waiting(self) -> int:
        """Texts in the queue, those of the running batch not counted."""
        return len(self._queue)

    @property
    def retry_after_s(self) -> float:
        """Time until the queue as it stands is worked off, from recent batch times."""
        return (math.ceil(len(self._queue) / self._max_batch) + 1) * self._batch_s

    def start(self) -> None:
        """Begin to take texts; call it inside the running event loop, once."""
        if self._task is not None:
            raise RuntimeError("this batcher is started already")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="text-encoder")
        self._task = asyncio.create_task(self._run(self._thread), name="text batches")
        self._open = True

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take no more texts, finish those that wait, and end the thread.

        What is not done within `grace_s` fails with Overloaded: another server, or this one when
        it is back, can answer. Stopping twice, or before starting, does nothing.
        """
        self._open = False
        task, thread = self._task, self._thread
        self._task = self._thread = None
        if task is None or thread is None:
            return
        self._changed.set()
        await asyncio.wait({task}, timeout=grace_s)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        thread.shutdown(wait=False, cancel_futures=True)

    async def encode(self, text: str) -> Vector:
        """The vector of one text, float32 [dim], or the error of its batch.

        Raises Overloaded at once when the queue is full or the batcher does not run.
        """
        if not self._open:
            self.refused += 1
            raise Overloaded("the text encoder, which is not running,", self.retry_after_s)
        if len(self._queue) >= self._max_queue:
            self.refused += 1
            raise Overloaded(QUEUE_NAME, self.retry_after_s)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(text, loop.create_future(), loop.time())
        self._queue.append(waiter)
        self._changed.set()
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            # One who has gone must not hold a place in the queue.
            if waiter in self._queue:
                self._queue.remove(waiter)
            elif not waiter.answer.cancelled():
                waiter.answer.exception()  # else asyncio logs it as never retrieved
            raise

    async def _run(self, thread: ThreadPoolExecutor) -> None:
        try:
            while self._open or self._queue:
                if self._queue:
                    await self._gather()
                    await self._answer(self._take(), thread)
                else:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            # Also when this task is cancelled from outside: nobody may wait for ever.
            self._open = False
            self._fail(list(self._queue))
            self._queue.clear()

    def _take(self) -> list[_Waiter]:
        batch = [self._queue.popleft() for _ in range(min(self._max_batch, self.waiting))]
        return [waiter for waiter in batch if not waiter.answer.done()]

    async def _gather(self) -> None:
        """Wait for company until the batch is full or its oldest text has waited enough."""
        loop = asyncio.get_running_loop()
        while self._open and 0 < len(self._queue) < self._max_batch:
            left_s = self._queue[0].since_s + self._max_wait_s - loop.time()
            if left_s <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _answer(self, batch: Sequence[_Waiter], thread: ThreadPoolExecutor) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        failed = False
        try:
            texts = [waiter.text for waiter in batch]
            vectors = await loop.run_in_executor(thread, self._encode, texts)
            if len(vectors) != len(batch):
                raise ValueError(f"{len(batch)} texts gave {len(vectors)} vectors")  # noqa: TRY301
            for waiter, vector in zip(batch, vectors, strict=True):
                if not waiter.answer.done():
                    # A copy, so that a kept vector does not keep its whole batch.
                    waiter.answer.set_result(np.array(vector, dtype=np.float32))
        except asyncio.CancelledError:
            self._fail(batch)
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the waiters; the loop goes on
            failed = True
            for waiter in batch:
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)
        self._count(batch, began_s, loop.time() - began_s, failed=failed)

    def _count(
        self, batch: Sequence[_Waiter], began_s: float, encode_s: float, *, failed: bool
    ) -> None:
        weight = NEWEST_WEIGHT if self._measured else 1.0
        self._batch_s += weight * (encode_s - self._batch_s)
        self._measured = True
        self.batches += 1
        self.texts += len(batch)
        if self._on_batch is None:
            return
        report = BatchReport(
            texts=len(batch),
            waiting=self.waiting,
            oldest_wait_s=began_s - batch[0].since_s,
            encode_s=encode_s,
            failed=failed,
        )
        try:
            self._on_batch(report)
        except Exception:  # noqa: BLE001 - telemetry that fails must not stop the answers
            _log.exception("the observer of text batches failed")

    def _fail(self, waiters: Sequence[_Waiter]) -> None:
        for waiter in waiters:
            if not waiter.answer.done():
                stopped = Overloaded("the text encoder, which is stopping,", self.retry_after_s)
                waiter.answer.set_exception(stopped)
