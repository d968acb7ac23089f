"""`indexer` in a process of its own, to be killed at a moment that the clock gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """Start `indexer` with these arguments, as a process group of its own."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "indexer", *map(str, arguments)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_after(seconds: float, *arguments: object) -> None:
    """Start `indexer`, and kill it with all its processes unless it ends within the time."""
    process = start(*arguments)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
