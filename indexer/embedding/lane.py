"""One device at work: decoded pictures of part after part go through all of its models.

Pictures are asked for ahead, into the next part, so no device waits where one part ends. Each
picture is read and decoded once, however many models there are. Knows encoders by protocol, and
does not import torch, which workers that read tables would load.
Thread rule: one thread a lane; lanes share decoders and the iterator of jobs, which is locked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from atlas.search.frame import Pixels
from indexer.embedding.decoders import CHUNK_ROWS, Decoders, result_of
from indexer.embedding.part import EmbeddedPart, PartFile, Vectors
from indexer.embedding.prepare import PictureFrame, Prepared, Row
from indexer.embedding.times import Times
from indexer.parts import PartReport, begin, finished, records_path

_COLUMNS = list(Row._fields)


class Batch(Protocol):
    """What is needed of `atlas.search.feed.Pending`."""

    def vectors(self) -> Vectors:
        """Unit vectors of the batch; waits for it."""

    @property
    def seconds(self) -> tuple[float, float]:
        """Device time of the copy and of the model; to be asked after `vectors`."""


class PictureFeed(Protocol):
    """What is needed of `atlas.search.feed.Feed`."""

    @property
    def in_flight(self) -> int:
        """Batches to hand over before the first is waited for."""

    def buffer(self) -> Pixels:
        """uint8 [batch_size, 3, height, width] to fill in order; the same until `launch`."""

    def launch(self, rows: int) -> Batch:
        """Hand the first rows over."""


class PictureEncoder(Protocol):
    """What is needed of `atlas.search.encoder.OpenClipEncoder`."""

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""

    @property
    def batch_size(self) -> int:
        """Most pictures of a batch."""

    @property
    def frame(self) -> PictureFrame:
        """How pictures become its input."""

    def feed(self) -> PictureFeed:
        """A stream of batches, for one thread."""


class PictureJob(NamedTuple):
    """A part whose pictures are to be embedded: its records, and where the result goes."""

    file: PartFile
    read_folder: Path
    source_key: str


class _Chunk(NamedTuple):
    """Records whose pictures are being prepared; `last` of their part."""

    part: EmbeddedPart
    records: pa.Table
    slot: int
    future: Future[Prepared]
    last: bool


class _Launched(NamedTuple):
    """A batch that a device works on, and whose it is."""

    part: EmbeddedPart
    rows: int
    batch: Batch


class _Model:
    """One space's model: the batch being filled, and those on their way."""

    def __init__(self, space: str, encoder: PictureEncoder, times: Times) -> None:
        self._space = space
        self._batch_size = encoder.batch_size
        self._feed = encoder.feed()
        self._times = times
        self._filled = 0
        self._launched: deque[_Launched] = deque()

    def add(self, part: EmbeddedPart, pixels: Pixels, kept: Sequence[int]) -> None:
        """Take a chunk's kept pictures, handing over every batch that is full."""
        at = 0
        while at < len(kept):
            rows = min(len(kept) - at, self._batch_size - self._filled)
            with self._times.taking("fill"):
                buffer = self._feed.buffer()
                buffer[self._filled : self._filled + rows] = _chosen(pixels, kept[at : at + rows])
            self._filled += rows
            at += rows
            if self._filled == self._batch_size:
                self.launch(part)

    def launch(self, part: EmbeddedPart) -> None:
        """Hand over what is there; a batch never holds pictures of two parts."""
        if not self._filled:
            return
        with self._times.taking("launch"):
            batch = self._feed.launch(self._filled)
        self._launched.append(_Launched(part, self._filled, batch))
        self._filled = 0
        if len(self._launched) == self._feed.in_flight:
            self.collect()

    def collect(self) -> None:
        """Wait for the oldest batch and give its vectors to its part."""
        part, rows, batch = self._launched.popleft()
        with self._times.taking("collect"):
            vectors = batch.vectors()
        transfer_s, model_s = batch.seconds
        self._times.transfer_s += transfer_s
        self._times.model_s += model_s
        with self._times.taking("write"):
            part.add_vectors(self._space, vectors, rows)

    def drain(self) -> None:
        """Wait for all batches."""
        while self._launched:
            self.collect()


def _chosen(pixels: Pixels, rows: Sequence[int]) -> Pixels:
    """These rows; a view where none between them is left out, so that they are copied once."""
    first, last = rows[0], rows[-1]
    return pixels[first : last + 1] if last - first + 1 == len(rows) else pixels[list(rows)]


def slots_for(encoders: Mapping[str, PictureEncoder], chunks_at_work: int) -> int:
    """Chunks that a lane has on their way.

    While the device has a batch, the pictures of the next become ready, and two chunks a worker
    beside, or one slow picture would stop them all. 5 MB a chunk and space at 224 pixels.
    """
    largest = max(encoder.batch_size for encoder in encoders.values())
    return -(-largest // CHUNK_ROWS) + 2 * chunks_at_work


class Lane:
    """The models of one device (or of several that work together), and their pictures."""

    def __init__(
        self,
        encoders: Mapping[str, PictureEncoder],
        decoders: Decoders,
        slots: Sequence[int],
        progress: Callable[[int], None],
    ) -> None:
        """`slots` are this lane's own. `progress` is told the number of rows dealt with."""
        self.times = Times()
        self._dims = {space: encoders[space].dim for space in sorted(encoders)}
        self._models = {space: _Model(space, encoders[space], self.times) for space in self._dims}
        self._decoders = decoders
        self._free = deque(slots)
        self._progress = progress
        self._open: deque[EmbeddedPart] = deque()

    def run(self, jobs: Iterator[PictureJob]) -> Iterator[PartReport]:
        """Embed parts until there are no more; reports come as parts are finished.

        A finished part of the same identity is left as it is. Where an error comes up, or the
        caller stops, no half part is left.
        """
        done: deque[PartReport] = deque()
        try:
            for chunk in self._ahead(jobs, done):
                self._take(chunk)
                while self._open and self._open[0].ready:
                    done.append(self._finish())
                while done:
                    yield done.popleft()
            for model in self._models.values():
                model.drain()
            while self._open:
                done.append(self._finish())
            yield from done
        except BaseException as error:
            for part in self._open:
                part.abandon(error)
            raise

    def _ahead(self, jobs: Iterator[PictureJob], done: deque[PartReport]) -> Iterator[_Chunk]:
        """Chunks in order, each handed to the decoders as soon as there is a slot for it."""
        waiting: deque[_Chunk] = deque()
        for job in jobs:
            report = finished(job.file.folder, job.file.part, job.file.identity)
            if report is not None:
                done.append(report)
                self._progress(report.rows_in)
                continue
            for chunk in self._submitted(job):
                waiting.append(chunk)
                if not self._free:
                    yield waiting.popleft()
        yield from waiting

    def _submitted(self, job: PictureJob) -> Iterator[_Chunk]:
        """The chunks of a part, at work; a part without rows has one without any."""
        begin(job.file.folder, job.file.part)
        records = pq.read_table(records_path(job.read_folder, job.file.part))
        part = EmbeddedPart(job.file, self._dims)
        self._open.append(part)
        for first in range(0, max(1, records.num_rows), CHUNK_ROWS):
            run = records.slice(first, CHUNK_ROWS)
            rows = [Row(**values) for values in run.select(_COLUMNS).to_pylist()]
            slot = self._free.popleft()
            future = self._decoders.submit(slot, job.source_key, part.name, rows)
            yield _Chunk(part, run, slot, future, last=first + CHUNK_ROWS >= records.num_rows)

    def _take(self, chunk: _Chunk) -> None:
        """Bring a chunk's pictures to the models, and its records to their part."""
        with self.times.taking("wait"):
            prepared = result_of(chunk.future)
        self.times.add(prepared.times)
        with self.times.taking("write"):
            kept = chunk.part.add_rows(chunk.records, prepared.outcomes)
        for space, model in self._models.items():
            model.add(chunk.part, self._decoders.slots[chunk.slot][space], kept)
        self._free.append(chunk.slot)
        if chunk.last:
            for model in self._models.values():
                model.launch(chunk.part)
            chunk.part.complete()
        self._progress(chunk.records.num_rows)

    def _finish(self) -> PartReport:
        with self.times.taking("write"):
            report = self._open[0].finish()
        self._open.popleft()
        return report
