"""Long passes over a segment's rows: shared among a few threads, or made while others go on.

For arrays in numpy, which lets other threads run while it computes. A search itself runs on one
thread; a filter that was never asked before is a pass over all rows that somebody waits for.
Threads: safe from any; all share one pool.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

ResultT = TypeVar("ResultT")
# The pass is bound by memory, which a few cores use up.
_MOST_THREADS = 4


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_threads(), thread_name_prefix="rows")


# A process that was forked has the pool and none of its threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


@cache
def _threads() -> int:
    return min(_MOST_THREADS, os.cpu_count() or 1)


def in_shares(
    work: Callable[[int, int], ResultT], begin: int, end: int, step: int
) -> list[ResultT]:
    """`work(first, last)` for stretches that make up `begin` to `end - 1`, in order.

    Stretches start at multiples of `step` from `begin`, and none is split where there is only one.
    `work` must be safe on several threads for stretches that are apart, and not call this itself.
    """
    steps = -(-(end - begin) // step)
    shares = max(1, min(_threads(), steps))
    edges = [begin + steps * share // shares * step for share in range(shares)]
    stops = [*edges[1:], end]
    if shares == 1:
        return [work(begin, end)]
    return list(_pool().map(work, edges, stops))


def meanwhile(work: Callable[[], ResultT]) -> Future[ResultT]:
    """What `work` gives, from another thread; it must not call `in_shares`, nor wait for it."""
    return _pool().submit(work)
