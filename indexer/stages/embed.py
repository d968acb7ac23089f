"""Turns the records of parts into vectors, and copies the photos that may be copied.

Knows encoders and sources by protocol. From part to part: the files of a part appear whole, the
report last. Ready vectors are taken over by any process; pictures go through lanes, one a device.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from indexer.embedding.decoders import Decoders, Workers
from indexer.embedding.lane import Lane, PictureEncoder, PictureJob, slots_for
from indexer.embedding.part import PartFile, report_part
from indexer.embedding.prepare import Preparer
from indexer.embedding.times import Times
from indexer.parts import (
    PartReport,
    begin,
    finished,
    link_file,
    records_path,
    rejects_path,
    report_of,
    vectors_path,
    write_table,
)
from indexer.plan_sections import STALL_S, MediaSection
from indexer.records import rejects_table
from indexer.sources import Source

Progress = Callable[[int], None]


class ReadyJob(NamedTuple):
    """A part whose vectors came with its records: those of `spaces`, none without pictures."""

    file: PartFile
    read_folder: Path
    spaces: tuple[str, ...]


def take_ready(job: ReadyJob) -> PartReport:
    """Take over records and the vectors that came with them: the read part's own files, linked.

    A finished part of the same identity is left as it is.
    """
    folder, part, identity = job.file
    done = finished(folder, part, identity)
    if done is not None:
        return done
    begin(folder, part)
    read = report_of(job.read_folder, part)
    link_file(records_path(job.read_folder, part), records_path(folder, part))
    dims = {space: read.dims[space] for space in job.spaces}
    for space in job.spaces:
        link_file(vectors_path(job.read_folder, part, space), vectors_path(folder, part, space))
    write_table(rejects_path(folder, part), rejects_table([]))
    linked = {records_path(folder, part).name} | {
        vectors_path(folder, part, space).name for space in job.spaces
    }
    return report_part(
        job.file,
        dims,
        rows_in=read.rows_out,
        rows_out=read.rows_out,
        rejects=0,
        sums={name: known for name, known in read.sums.items() if name in linked},
    )


class PictureWork(NamedTuple):
    """What pictures are embedded with: sources by key, the encoders of each lane by space.

    Every lane has the same spaces, with models of its own where it has a device of its own.
    """

    sources: Mapping[str, Source]
    lanes: Sequence[Mapping[str, PictureEncoder]]
    media: MediaSection
    workers: Workers
    stall_s: float = STALL_S


def embed_pictures(
    work: PictureWork,
    jobs: Iterator[PictureJob],
    progress: Progress,
    times: Times | None = None,
) -> Iterator[PartReport]:
    """Embed parts of pictures; reports come as parts are finished.

    `jobs` are asked for as they are needed, by one thread at a time; finished parts of the same
    identity are left as they are. `progress` is called with the number of rows that were dealt
    with since the last call, by one thread at a time; where the time went is added to `times`.
    Raises BuildError where rows or vectors do not add up or a worker fails; no half part is left
    then.
    """
    frames = {space: encoder.frame for space, encoder in work.lanes[0].items()}
    each = -(-work.workers.chunks // len(work.lanes))
    slots = slots_for(work.lanes[0], each)
    preparer = Preparer(work.sources, frames, work.media, work.stall_s)
    with Decoders(preparer, work.workers, slots * len(work.lanes)) as decoders:
        lanes = [
            Lane(encoders, decoders, range(at * slots, (at + 1) * slots), progress)
            for at, encoders in enumerate(work.lanes)
        ]
        yield from lanes[0].run(jobs) if len(lanes) == 1 else _side_by_side(lanes, jobs)
        if times is not None:
            for lane in lanes:
                times.add(lane.times)


class _Shared:
    """Jobs that several lanes take from one iterator, until one of them fails."""

    def __init__(self, jobs: Iterator[PictureJob]) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def __iter__(self) -> Iterator[PictureJob]:
        return self

    def __next__(self) -> PictureJob:
        with self._lock:
            if self.stopped.is_set():
                raise StopIteration
            return next(self._jobs)


def _side_by_side(lanes: Sequence[Lane], jobs: Iterator[PictureJob]) -> Iterator[PartReport]:
    """Run each lane in a thread of its own; the first error ends them all after their parts."""
    shared = _Shared(jobs)
    reports: queue.SimpleQueue[PartReport | None] = queue.SimpleQueue()

    def work(lane: Lane) -> None:
        try:
            for report in lane.run(shared):
                reports.put(report)
        except BaseException:
            shared.stopped.set()
            raise
        finally:
            reports.put(None)

    with ThreadPoolExecutor(len(lanes), "lane") as pool:
        futures = [pool.submit(work, lane) for lane in lanes]
        try:
            working = len(lanes)
            while working:
                report = reports.get()
                if report is None:
                    working -= 1
                else:
                    yield report
        finally:
            shared.stopped.set()
        for future in futures:
            future.result()
