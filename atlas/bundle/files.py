"""Whole files or none: atomic writes and checksums.

Knows nothing of what is in the files. Safe from any thread or process that writes its own name.
Whoever wants to know what is written asks by `telling`, so that no writer can be forgotten.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Told = Callable[[Path, int, str], None]
# A context's, as a tracer's span is: the writers are a dozen stages that know of no listener.
_TOLD: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """Tell `told` each file that this thread finishes in the block: path, bytes, SHA-256 in hex.

    It is told when the content is durable, and before the file has its name: a file that nobody was
    told of is none of the block's.
    """
    token = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(token)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; a rename is not, before its folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name `path` in an error of the disk that names none.

    Arrow and NumPy say that a disk is full, but not of which file.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well it becomes `path`.

    The file is synced before the rename and its folder after it, so a crash at any moment leaves
    the old file, the new file, or none, never a part of one. A failed block leaves nothing. To tell
    of it, the file is read once more; `atomic_file` need not.
    """
    with _appearing(path) as temporary:
        yield temporary
        sync_file(temporary)
        if (told := _TOLD.get()) is not None:
            told(path, temporary.stat().st_size, sha256_of(temporary))


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """The same for a file that is written front to back, whose checksum is taken on the way."""
    with _appearing(path) as temporary:
        told = _TOLD.get()
        if told is None:
            with temporary.open("wb") as plain:
                yield plain
            sync_file(temporary)
            return
        with temporary.open("wb") as file:
            summed = SummedFile(file)
            yield cast("BinaryIO", summed)
        sync_file(temporary)
        told(path, summed.size_bytes, summed.sha256)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which becomes `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with naming(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


class SummedFile(io.RawIOBase):
    """A file that is written front to back, with the size and checksum of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to `file`, which stays its opener's to close."""
        self._file = file
        self._sum = hashlib.sha256()
        self.size_bytes = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        """Write bytes, or anything that lies in memory like them; returns how many they are."""
        data = np.frombuffer(memoryview(content), np.uint8)
        self._file.write(data.data)
        self._sum.update(data.data)
        self.size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size_bytes

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was written so far."""
        return self._sum.hexdigest()


def atomic_write(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_file(path) as file:
        file.write(content)


def append_numbers(file: BinaryIO, numbers: npt.NDArray[Any]) -> None:
    """Append an array as raw numbers, in C order. Raises OSError where it does not fit.

    `numpy.ndarray.tofile` loses the last kilobytes on a full disk and says nothing.
    """
    file.write(np.ascontiguousarray(numbers).data)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in pieces (memory does not grow with size)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed writer left below `folder`, and DuckDB's logs of them.

    Such a log would be read into the next file of its name, and in a container every build may have
    the same process id.
    """
    for pattern in (".*.tmp", ".*.tmp.wal"):
        for leftover in folder.rglob(pattern):
            leftover.unlink(missing_ok=True)
