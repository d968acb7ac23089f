"""Progress of a build, for people: bars on a terminal, plain lines in a log.

A build is told only the protocol; it works the same when nobody watches.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Advance = Callable[[int], None]

# Lines of a log come no closer than this, and never for a stage that takes less.
_LINE_EVERY_S = 10.0
# A rate is that of the last half minute: what is left takes as long as things take now.
_RATE_OVER_S = 30.0


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
    """Bars where the output is a terminal; where it is not, a line now and then and one a stage."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`clock` gives seconds."""
        self._console = console or Console(stderr=True)
        self._clock = clock

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        """Show how far the stage is, how fast, and what is left; at its end the time it took."""
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            _RateColumn(unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        pace = _Pace(total, self._clock)
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            speed_estimate_period=_RATE_OVER_S,
        ) as bars:
            task = bars.add_task(name, total=total)

            def advance(count: int) -> None:
                pace.advance(count)
                bars.update(task, advance=count)
                if not self._console.is_terminal and pace.line_is_due():
                    self._print(name, pace.line(unit))

            yield advance
        rate = f", {_rate(pace.done / pace.took_s, unit)}" if pace.took_s >= 1.0 else ""
        self._print(name, f"{pace.done:,} {unit} in {pace.took_s:.1f} s{rate}")

    def note(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, highlight=False)

    def _print(self, name: str, text: str) -> None:
        self._console.print(f"{name:>8}  {text}", highlight=False, soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Units a second, as they go now."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """The rate; nothing as long as none is known."""
        return Text("" if task.speed is None else _rate(task.speed, self._unit))


class _Pace:
    """How far a stage is, and how fast it goes."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self.done = 0
        self._total = total
        self._clock = clock
        self._started_s = self._line_s = clock()
        self._marks = deque([(self._started_s, 0)])

    @property
    def took_s(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self._started_s

    def advance(self, count: int) -> None:
        """Count units that are done."""
        self.done += count
        now_s = self._clock()
        self._marks.append((now_s, self.done))
        # One mark that is older than the window stays, or there would be nothing to start from.
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= _RATE_OVER_S:
            self._marks.popleft()

    def line_is_due(self) -> bool:
        """Whether a line was not printed for a while; the next one is then due later."""
        now_s = self._clock()
        if now_s - self._line_s < _LINE_EVERY_S:
            return False
        self._line_s = now_s
        return True

    def line(self, unit: str) -> str:
        """How far, how fast, and how long it takes at this rate."""
        (first_s, before), (last_s, now) = self._marks[0], self._marks[-1]
        rate = (now - before) / (last_s - first_s)
        of = f" of {self._total:,}" if self._total else ""
        left = (self._total - self.done) / rate if rate > 0 else 0.0
        until = f", {duration(left)} left" if self._total and left > 0 else ""
        return f"{self.done:,}{of} {unit}, {_rate(rate, unit)}{until}"


def duration(seconds: float) -> str:
    """Time for people: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _rate(a_second: float, unit: str) -> str:
    return f"{a_second:,.0f} {unit}/s" if a_second >= 10 else f"{a_second:.2g} {unit}/s"
