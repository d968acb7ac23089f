"""Builds in processes of their own that are disturbed: killed at a moment, or short of disk.

One server process has imported all that a build uses and forks for each of them, so that a build of
a few photos takes about a second and thirty of them can be killed.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pyarrow.dataset
import torch
from PIL import Image

import indexer.assemble
import indexer.state
from atlas.errors import AtlasError
from atlas.search import devices, encoder
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Advance

# What a build does to files, as Python's audit hooks name it. Files that DuckDB, Arrow and FAISS
# write are opened to be synced and renamed, so each of them is several of these, too.
_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link"})
# A build imports these where it uses them first. Imported here, they are there before the fork:
# to import them takes a build's time five times over, and each of them opens hundreds of files.
_BEFORE_THE_FORK = (indexer.assemble, indexer.state, devices, encoder, pyarrow.dataset)
Image.init()
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


class Moment(NamedTuple):
    """When to be killed: `late_s` after the nth event of a stage, or the first one after it."""

    stage: int
    event: int
    late_s: float


class Room(NamedTuple):
    """From the start of a stage on no file may be written beyond `file_bytes`."""

    stage: str
    file_bytes: int


class Ended(NamedTuple):
    """How a build ended.

    `status` is `done`, `killed` or `stopped`; `stage` is where, `message` what it said when it
    stopped, `events` how many there were by stage where it was done.
    """

    status: str
    stage: str
    message: str
    events: dict[str, int]


class _Disturbed:
    """Watches a build from within, and kills its process at the moment."""

    def __init__(
        self,
        stages: tuple[str, ...],
        moment: Moment | None,
        room: Room | None,
        pipe: Connection,
    ) -> None:
        self.stage_name = ""
        self.events: Counter[str] = Counter()
        self._stages = stages
        self._moment = moment
        self._room = room
        self._pipe = pipe
        self._dying = False
        self._over = False
        self._ending = threading.Lock()

    def hook(self, event: str, _arguments: object) -> None:
        """Count what is done to a file; the moment may have come."""
        if event not in _EVENTS or self._dying:
            return
        self.events[self.stage_name] += 1
        if self._moment is None or self.stage_name not in self._stages:
            return
        at = self._stages.index(self.stage_name)
        come = at > self._moment.stage or (
            at == self._moment.stage and self.events[self.stage_name] > self._moment.event
        )
        if come:
            self._dying = True
            if self._moment.late_s:
                threading.Timer(self._moment.late_s, self._die).start()
            else:
                self._die()

    def end(self, ended: Ended) -> None:
        """Say how it ended, once: a moment that comes when all is done has missed the build."""
        self._dying = True  # what is done to files from here on is no moment
        with self._ending:
            if self._over:
                return
            self._over = True
            self._pipe.send(ended)
            if ended.status == "killed":
                os.kill(os.getpid(), signal.SIGKILL)

    def _die(self) -> None:
        self.end(Ended("killed", self.stage_name, "", {}))

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG002 - a protocol's signature
        """What follows a stage, up to the next, counts with it."""
        self.stage_name = name
        if self._room is not None and name == self._room.stage:
            # Python ignores the signal that would end the process: a write beyond it is an error.
            limits = (self._room.file_bytes, resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        yield lambda _done: None

    def note(self, message: str) -> None:
        """Say nothing."""


def _run(
    plan: Path,
    stages: tuple[str, ...],
    moment: Moment | None,
    room: Room | None,
    pipe: Connection,
) -> None:
    os.environ["SOURCE_DATE_EPOCH"] = "1767225600"
    # Threads that wait for one another would take a minute for a second's work on a busy machine.
    torch.set_num_threads(1)
    watching = _Disturbed(stages, moment, room, pipe)
    sys.addaudithook(watching.hook)
    try:
        build(read_plan(plan), watching)
    except AtlasError as error:
        watching.end(Ended("stopped", watching.stage_name, str(error), {}))
    else:
        watching.end(Ended("done", watching.stage_name, "", dict(watching.events)))


def disturbed(
    plan: Path,
    *,
    stages: tuple[str, ...] = (),
    moment: Moment | None = None,
    room: Room | None = None,
) -> Ended:
    """Build a plan in a process of its own, and say how that ended.

    It is killed at the moment, if any, and has the room that is left. Raises RuntimeError
    where the build ended in any other way than it should: by an error that is not the atlas's own,
    or by a crash.
    """
    receiver, sender = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_run, args=(plan, stages, moment, room, sender))
    process.start()
    sender.close()
    try:
        ended: Ended = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the build died with exit code {process.exitcode}") from None
    process.join()
    wanted = -signal.SIGKILL if ended.status == "killed" else 0
    if process.exitcode != wanted:
        raise RuntimeError(f"{ended} ended with exit code {process.exitcode}")
    return ended


def moments(events: dict[str, int], count: int, seed: int) -> Iterator[Moment]:
    """Seeded moments, the stages by turns: a round right at an event, a round up to 50 ms later."""
    drawn = random.Random(seed)
    stages = tuple(events)
    for number in range(count):
        stage = number % len(stages)
        event = drawn.randrange(events[stages[stage]])
        late_s = drawn.uniform(0.001, 0.05) if number // len(stages) % 2 else 0.0
        yield Moment(stage, event, late_s)
