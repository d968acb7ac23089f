"""Reads with an end to waiting: a store or a disk that hangs must not hold a build for ever.

Knows nothing of pictures. Each thread that reads has one reader of its own behind it, which is left
to itself once it hangs: a thread that waits for a disk cannot be ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

_Outcome = tuple[bytes, None] | tuple[None, BaseException]


class _Reader:
    """A thread that reads what it is told, one thing after the other."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Callable[[str], bytes], str]] = SimpleQueue()
        self.answers: SimpleQueue[_Outcome] = SimpleQueue()
        # A daemon, so that one that hangs does not keep the process from ending.
        threading.Thread(target=self._run, name="reader", daemon=True).start()

    def ask(self, read: Callable[[str], bytes], name: str) -> None:
        """Read `name`; the answer comes into `answers`."""
        self._asked.put((read, name))

    def _run(self) -> None:
        while True:
            read, name = self._asked.get()
            try:
                self.answers.put((read(name), None))
            except BaseException as error:  # noqa: BLE001 - handed over to who asked
                self.answers.put((None, error))


class Patience:
    """Reads by any thread that wait `seconds` at most."""

    def __init__(self, seconds: float) -> None:
        """Wait so long for each read."""
        self._seconds = seconds
        self._own = threading.local()

    def read(self, read: Callable[[str], bytes], name: str) -> bytes:
        """What `read(name)` gives or raises. Raises TimeoutError where it does neither in time."""
        reader: _Reader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = _Reader()
        reader.ask(read, name)
        try:
            data, error = reader.answers.get(timeout=self._seconds)
        except Empty:
            self._own.reader = None
            said = f"gave nothing for {self._seconds:g} s (workers.stall_s)"
            raise TimeoutError(said) from None
        if error is not None:
            raise error
        assert data is not None  # noqa: S101 - one of the two
        return data
