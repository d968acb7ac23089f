"""The embedded engine: parts run in worker processes on this machine.

Workers are started fresh ("spawn"), since FAISS, DuckDB and torch do not survive a fork, and end
with their parent however it ends.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Literal, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


def worker_count(setting: int | Literal["auto"]) -> int:
    """Worker processes for a plan's setting; `auto` is one for each processor of this process."""
    if setting == "auto":
        return (
            max(1, len(os.sched_getaffinity(0)))
            if hasattr(os, "sched_getaffinity")
            else (os.cpu_count() or 1)
        )
    return setting


def end_with_parent() -> None:
    """Make this worker exit when its parent is gone, or a killed build would leave it waiting."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def run_parts(
    function: Callable[[Part], Result], parts: Iterable[Part], workers: int
) -> Iterator[Result]:
    """Call `function` on every part, at most `workers` at a time; results come as they finish.

    `function` and its results travel between processes by pickle. With one worker everything runs
    in this process. The first error stops the run and is raised here.
    """
    waiting = iter(parts)
    if workers == 1:
        for part in waiting:
            yield function(part)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        running: set[Future[Result]] = set()
        try:
            # No more than two parts a worker are handed out, so memory does not grow with the plan.
            for part in waiting:
                running.add(pool.submit(function, part))
                if len(running) >= 2 * workers:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()
