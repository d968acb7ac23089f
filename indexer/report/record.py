"""How the stages of a build went, kept in its work folder, over as many runs as it took.

`Recorded` watches beside whoever shows progress. What it writes is whole at every moment, so a run
that is killed is on record up to its last finished stage. One thread.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from atlas.bundle.files import atomic_write
from indexer.progress import Advance, Watcher

RECORD = "runs.json"
# Points of a stage's curve that are kept; every other one goes when there are twice as many.
_MOST_POINTS = 200


class StageRun(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of one run: `done` of `total` units in `took_s`, begun `started_s` after the run.

    `points` are seconds since the stage began and the units done by then. `whole` is false where
    the run stopped in it.
    """

    name: str
    unit: str
    total: int
    done: int
    started_s: float
    took_s: float
    whole: bool
    points: tuple[tuple[float, int], ...]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a build; `number` is that of the bundle it was for, None until that is live.

    `key` tells it from others that began in the same second.
    """

    key: str
    started_at: str
    number: int | None = None
    stages: tuple[StageRun, ...] = ()


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `runs.json`: all runs in one work folder, oldest first."""

    runs: tuple[Run, ...] = ()


def read_record(work: Path) -> RunRecord:
    """The record in a work folder; an empty one where there is none that can be read."""
    try:
        return msgspec.json.decode((work / RECORD).read_bytes(), type=RunRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return RunRecord()


def runs_of(work: Path, number: int) -> tuple[Run, ...]:
    """The runs that made the bundle with this number."""
    return tuple(run for run in read_record(work).runs if run.number == number)


class Recorded:
    """Passes everything on to another watcher and keeps how each stage went."""

    def __init__(
        self, watcher: Watcher, work: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is written before the first stage has ended. `clock` gives seconds."""
        self._watcher = watcher
        self._work = work
        self._clock = clock
        self._started_s = clock()
        self._run = Run(
            key=uuid.uuid4().hex, started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        )

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        """The other watcher's stage, with its curve kept."""
        begun_s = self._clock()
        curve = _Curve()
        whole = False
        try:
            with self._watcher.stage(name, total, unit) as show:

                def advance(count: int) -> None:
                    curve.add(self._clock() - begun_s, count)
                    show(count)

                yield advance
            whole = True
        finally:
            done = StageRun(
                name=name,
                unit=unit,
                total=total,
                done=curve.done,
                started_s=round(begun_s - self._started_s, 3),
                took_s=round(self._clock() - begun_s, 3),
                whole=whole,
                points=tuple(curve.points),
            )
            self._run = msgspec.structs.replace(self._run, stages=(*self._run.stages, done))
            self._write(read_record(self._work).runs)

    def note(self, message: str) -> None:
        """Pass it on."""
        self._watcher.note(message)

    def forget(self) -> None:
        """Take this run off the record: nothing was left to do in it."""
        others = (r for r in read_record(self._work).runs if r.key != self._run.key)
        atomic_write(self._work / RECORD, _written(RunRecord(runs=tuple(others))))

    def is_live(self, number: int) -> None:
        """Every run that led to no bundle yet has led to this one."""
        self._run = msgspec.structs.replace(self._run, number=number)
        self._write(
            tuple(
                run if run.number is not None else msgspec.structs.replace(run, number=number)
                for run in read_record(self._work).runs
            )
        )

    def _write(self, runs: tuple[Run, ...]) -> None:
        others = (run for run in runs if run.key != self._run.key)
        atomic_write(self._work / RECORD, _written(RunRecord(runs=(*others, self._run))))


def _written(record: RunRecord) -> bytes:
    return msgspec.json.encode(record) + b"\n"


class _Curve:
    """Units done over time, at most `_MOST_POINTS` points and the last one."""

    def __init__(self) -> None:
        self.done = 0
        self._kept: list[tuple[float, int]] = []
        self._every = 1
        self._seen = 0
        self._last = (0.0, 0)

    def add(self, at_s: float, count: int) -> None:
        """Count units done `at_s` seconds after the stage began."""
        self.done += count
        self._last = (round(at_s, 3), self.done)
        self._seen += 1
        if self._seen % self._every == 0:
            self._kept.append(self._last)
        if len(self._kept) >= 2 * _MOST_POINTS:
            self._kept = self._kept[1::2]
            self._every *= 2

    @property
    def points(self) -> list[tuple[float, int]]:
        """What is kept, the last point among it."""
        ends = self._kept[-1:] == [self._last] or not self._seen
        return self._kept if ends else [*self._kept, self._last]
