"""Work that nobody waits for yet, on a thread beside a search.

For passes over arrays in numpy, which lets other threads run while it computes. Threads: safe from
any; all share one pool.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

ResultT = TypeVar("ResultT")
# Such a pass is bound by memory, which a few cores use up.
_MOST_THREADS = 4


@cache
def _pool() -> ThreadPoolExecutor:
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    return ThreadPoolExecutor(threads, thread_name_prefix="meanwhile")


# A process that was forked has the pool and none of its threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


def meanwhile(work: Callable[[], ResultT]) -> Future[ResultT]:
    """What `work` gives, from another thread; it must not wait for work of this kind itself."""
    return _pool().submit(work)
