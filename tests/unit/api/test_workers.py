"""The bounded pool: off the loop, never more waiting than allowed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from atlas.api.workers import BoundedPool
from atlas.errors import Overloaded


def pool(workers: int = 1, max_queue: int = 1) -> BoundedPool:
    """A small pool."""
    return BoundedPool("the queue of tests", workers=workers, max_queue=max_queue, retry_after_s=2)


async def test_runs_off_the_loop_and_returns() -> None:
    """A search on the event loop would stop every other request."""
    small = pool()
    assert await small.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await small.run(divmod, 1, 0)
    small.close()


async def test_refuses_when_full_and_recovers() -> None:
    """Beyond the queue the answer is immediate, and a finished job frees its place."""
    small, gate = pool(), threading.Event()
    jobs = [asyncio.ensure_future(small.run(gate.wait, 10)) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert small.depth == 1
    with pytest.raises(Overloaded) as refused:
        await small.run(int)
    assert refused.value.retry_after_s == 2
    gate.set()
    await asyncio.gather(*jobs)
    await asyncio.sleep(0)
    assert small.depth == 0
    assert await small.run(int) == 0
    small.close()


async def test_a_caller_who_left_frees_the_queue_only_when_its_job_ends() -> None:
    """A running thread cannot be stopped; a waiting job can, and makes room at once."""
    small, gate = pool(), threading.Event()
    running = asyncio.ensure_future(small.run(gate.wait, 10))
    waiting = asyncio.ensure_future(small.run(int))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.sleep(0.05)
    assert small.depth == 0
    running.cancel()
    await asyncio.sleep(0.05)
    taken = asyncio.ensure_future(small.run(int))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await small.run(int)
    gate.set()
    assert await taken == 0
    small.close()
