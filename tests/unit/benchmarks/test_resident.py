"""The memory of a benchmark counts its workers too."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.resident import Resident

_HOLDER = "held = bytearray(b'x' * 60_000_000); print('there', flush=True); input()"


def test_memory_of_workers_is_counted() -> None:
    """Would break: a build whose workers grow with its rows seems to be bounded."""
    with Resident() as alone:
        pass
    with Resident() as both:
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n"
    holder.communicate("\n")
    assert both.peak_bytes - alone.peak_bytes > 50_000_000
