"""A bounded pool of threads for CPU work that must stay off the event loop.

When as many jobs wait as may wait, the next is refused at once: a queue without a bound only
turns overload into timeouts. `run` belongs to one event loop, the jobs to any thread.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from atlas.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class BoundedPool:
    """At most `workers` jobs run and `max_queue` wait; `name` is what a refusal calls the queue."""

    def __init__(self, name: str, *, workers: int, max_queue: int, retry_after_s: float) -> None:
        self._name = name
        self._most = workers + max_queue
        self._workers = workers
        self._retry_after_s = retry_after_s
        self._taken = 0
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=name.replace(" ", "-"))

    @property
    def depth(self) -> int:
        """Jobs that wait."""
        return max(0, self._taken - self._workers)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `job` in a thread and return its result; raises Overloaded when the queue is full.

        A job whose caller has gone away still takes its place until it ends: threads cannot be
        stopped, and counting it as gone would let the queue grow.
        """
        if self._taken >= self._most:
            raise Overloaded(self._name, self._retry_after_s)
        self._taken += 1
        loop = asyncio.get_running_loop()
        # Log lines written in the thread keep the request id.
        context = contextvars.copy_context()
        future = self._executor.submit(partial(context.run, job, *args, **kwargs))
        future.add_done_callback(lambda _: _release(loop, self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._taken -= 1

    def close(self) -> None:
        """Let running jobs end, refuse waiting ones."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _release(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    """Count on the loop's own thread; a loop that has closed counts nothing any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(leave)
