"""Pictures in Parquet shards: which rows a shard has, and its pictures in the order of the rows.

A row group of pictures may be larger than memory, so it is streamed: the last rows that were read
are kept, and who asks for an earlier one starts the row group again. Safe from any thread; pickled
without what is open.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from atlas.errors import PictureError
from indexer.records import RejectReason
from indexer.sources.shard_files import ShardFiles
from indexer.sources.tar_shard import ShardDamaged, ShardEntry
from indexer.sources.text_columns import text_of

_BUFFER_BYTES = 1 << 20
_KEY_ROWS = 65_536
# Rows that are kept: those that four threads ask for at once, 32 each, at 1.5 MB (the largest that
# the downloader of these shards keeps, 720 x 720 pixels). More threads make it more, see `at`.
_BATCH_ROWS = 16
_KEPT_BYTES = 200 << 20
_MOST_KEPT_BYTES = 2 << 30
_OPEN_SHARDS = 4
_SIZE_COLUMN = "resized_size"


def parquet_entries(file: BinaryIO, id_column: str, image_column: str) -> Iterator[ShardEntry]:
    """The rows of a shard; none where it has no pictures. Raises ShardDamaged."""
    row = 0
    try:
        with _opened(file) as shard:
            names = shard.schema_arrow.names
            if image_column not in names or id_column not in names:
                return
            for batch in shard.iter_batches(_KEY_ROWS, columns=[id_column], use_threads=False):
                for key in text_of(pa.chunked_array([batch.column(0)])).to_pylist():
                    yield ShardEntry(key, f"row {row + 1}", row, 0)
                    row += 1
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ShardDamaged(f"cannot be read from row {row + 1:,} on: {error}") from error


class ParquetPictures:
    """The pictures of the Parquet shards below one place."""

    def __init__(self, files: ShardFiles, image_column: str) -> None:
        self._files = files
        self._image_column = image_column
        self._start()

    def __getstate__(self) -> tuple[ShardFiles, str]:
        """What a worker process needs; it opens shards by itself."""
        return self._files, self._image_column

    def __setstate__(self, state: tuple[ShardFiles, str]) -> None:
        """Start with nothing open."""
        self._files, self._image_column = state
        self._start()

    def picture(self, shard: str, row: int) -> bytes:
        """The picture of a row (from 0), as a file. Raises PictureError."""
        with self._lock:
            reader = self._readers.pop(shard, None)
            if reader is None:
                reader = _Reader(self._files.open(shard), shard, self._image_column)
            self._readers[shard] = reader
            while len(self._readers) > _OPEN_SHARDS:
                self._readers.popitem(last=False)[1].close()
            data, size = reader.at(row)
        return as_file(data, size)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._readers: OrderedDict[str, _Reader] = OrderedDict()


class _Batch(NamedTuple):
    first: int
    images: pa.Array
    sizes: pa.Array | None


class _Reader:
    """One open shard."""

    def __init__(self, file: BinaryIO, name: str, image_column: str) -> None:
        self._file = file
        self._name = name
        self._image_column = image_column
        self._shard = _opened(file)
        has_sizes = _SIZE_COLUMN in self._shard.schema_arrow.names
        self._columns = [image_column, *([_SIZE_COLUMN] if has_sizes else [])]
        self._group = -1
        self._batches: Iterator[_Batch] = iter(())
        self._kept: deque[_Batch] = deque()
        self._kept_bytes = 0
        self._bound_bytes = _KEPT_BYTES
        self._broken: dict[int, tuple[int, str]] = {}

    def close(self) -> None:
        self._shard.close()
        self._file.close()

    def at(self, row: int) -> tuple[bytes, list[int]]:
        """Bytes of a row's picture, and its height and width where the shard says them."""
        group, first = self._group_of(row)
        behind = group == self._group and bool(self._kept) and row < self._kept[0].first
        if behind:
            # Threads are further apart than what is kept: starting again for each would cost more.
            self._bound_bytes = min(2 * self._bound_bytes, _MOST_KEPT_BYTES)
        if behind or group != self._group:
            self._group, self._kept_bytes = group, 0
            self._kept.clear()
            self._batches = self._of_group(group, first)
        while True:
            for batch in self._kept:
                if batch.first <= row < batch.first + len(batch.images):
                    return self._taken(batch, row - batch.first)
            self._check_sound(group, row)
            try:
                self._keep(next(self._batches))
            except (OSError, pa.ArrowException) as error:
                last = self._kept[-1] if self._kept else None
                begin = last.first + len(last.images) if last is not None else first
                self._broken[group] = (begin, str(error))
            except StopIteration:
                self._broken[group] = (row, "it ends before")

    def _keep(self, batch: _Batch) -> None:
        self._kept.append(batch)
        self._kept_bytes += batch.images.nbytes
        while self._kept_bytes > self._bound_bytes and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popleft().images.nbytes

    def _check_sound(self, group: int, row: int) -> None:
        begin, problem = self._broken.get(group, (row + 1, ""))
        if row >= begin:
            detail = (
                f"{self._name}, row {row + 1}: row group {group} cannot be read from row "
                f"{begin + 1} on: {problem}"
            )
            raise PictureError(RejectReason.IMAGE_DAMAGED, detail)

    def _group_of(self, row: int) -> tuple[int, int]:
        """The row group of a row, and its first row."""
        first = 0
        for group in range(self._shard.num_row_groups):
            rows = self._shard.metadata.row_group(group).num_rows
            if row < first + rows:
                return group, first
            first += rows
        detail = f"{self._name} has no row {row + 1}"
        raise PictureError(RejectReason.FILE_MISSING, detail)

    def _of_group(self, group: int, first: int) -> Iterator[_Batch]:
        """A row group from its start, so that a damaged page costs the same rows every time."""
        stream = self._shard.iter_batches(
            _BATCH_ROWS, row_groups=[group], columns=self._columns, use_threads=False
        )
        for batch in stream:
            images = batch.column(self._image_column)
            if pa.types.is_struct(images.type):  # as Hugging Face's datasets write pictures
                images = images.field("bytes")
            sizes = batch.column(_SIZE_COLUMN) if len(self._columns) > 1 else None
            yield _Batch(first, images, sizes)
            first += batch.num_rows

    def _taken(self, batch: _Batch, at: int) -> tuple[bytes, list[int]]:
        data = batch.images[at].as_py()
        size = batch.sizes[at].as_py() if batch.sizes is not None else None
        return data or b"", [int(side) for side in size or ()]


def as_file(data: bytes, size: list[int]) -> bytes:
    """A picture as the bytes of a file; rows of pixels, blue, green, red, become a BMP.

    `size` is height and width where they are known. What is exactly three bytes a pixel long is
    pixels: https://github.com/Imageomics/distributed-downloader.
    """
    if len(size) < 2 or not data or len(data) != size[0] * size[1] * 3:
        return data
    height, width = size[:2]
    target = io.BytesIO()
    Image.frombuffer("RGB", (width, height), data, "raw", "BGR", 0, 1).save(target, "BMP")
    return target.getvalue()


def _opened(file: BinaryIO) -> Any:  # noqa: ANN401 - pyarrow has no types
    return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
