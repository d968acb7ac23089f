"""The memory that this process and its children hold together, sampled while something runs.

Linux only, from /proc. Pages that processes share are counted once for each (resident set sizes).
"""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.1
# Looking through all processes of a machine takes ten milliseconds.
_SAMPLES_A_FAMILY = 10
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Resident:
    """A context whose `peak_bytes` is the most that was held at a sample within it."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resident", daemon=True)

    def __enter__(self) -> Self:
        """Start to look."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look a last time."""
        self._done.set()
        self._thread.join()
        self.peak_bytes = max(self.peak_bytes, sum(map(resident_bytes, _family(os.getpid()))))

    def _watch(self) -> None:
        for sample in itertools.count():
            if sample % _SAMPLES_A_FAMILY == 0:
                family = _family(os.getpid())
            self.peak_bytes = max(self.peak_bytes, sum(map(resident_bytes, family)))
            if self._done.wait(_EVERY_S):
                return


def resident_bytes(process: int) -> int:
    """Resident set size of a process, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _family(process: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        children.setdefault(_parent(int(folder.name)), []).append(int(folder.name))
    found = [process]
    for parent in found:
        found += children.get(parent, [])
    return found


def _parent(process: int) -> int:
    """The process that started this one, 0 where it is gone."""
    try:
        # The name in brackets may hold anything; two fields after it is the parent.
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
