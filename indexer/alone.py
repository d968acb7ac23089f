"""Locks that keep two builds from treading on each other: one of a work folder, one of a bundle.

Both are released when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import BuildError


@contextmanager
def alone_in(work: Path) -> Iterator[None]:
    """Hold a work folder's lock; BuildError where another build is at work there."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        _hold(lock.fileno(), f"another build is at work in {work}")
        yield


@contextmanager
def alone_with(bundle: Path) -> Iterator[None]:
    """Hold a bundle's folder: one process at a time decides what is live next.

    The folder itself is locked, so that no file of ours lies in a published bundle.
    """
    bundle.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(bundle, os.O_RDONLY)
    try:
        _hold(descriptor, f"another program is changing the bundle {bundle}")
        yield
    finally:
        os.close(descriptor)


def _hold(descriptor: int, problem: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BuildError("start", problem) from error
