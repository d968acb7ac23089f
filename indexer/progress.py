"""Progress of a build, for people: bars on a terminal, plain lines in a log.

A build is told only the protocol; it works the same when nobody watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int], None]


class Watcher(Protocol):
    """Whoever watches a build."""

    def stage(self, name: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Open a stage of `total` units; the block is given a function that advances it."""

    def note(self, message: str) -> None:
        """One line worth knowing."""


class Silent:
    """Watches nothing; for tests and for programs."""

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG002 - a protocol's signature
        """Count without showing."""
        yield lambda _done: None

    def note(self, message: str) -> None:
        """Say nothing."""


class Terminal:
    """Bars where the output is a terminal, one line a stage where it is not."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        """Show a bar until the block ends, then one line with the time it took."""
        started_s = time.perf_counter()
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        done = 0
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as bars:
            task = bars.add_task(name, total=total)

            def advance(count: int) -> None:
                nonlocal done
                done += count
                bars.update(task, advance=count)

            yield advance
        took_s = time.perf_counter() - started_s
        self._console.print(f"{name:>8}  {done:,} {unit} in {took_s:.1f} s", highlight=False)

    def note(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, highlight=False)
