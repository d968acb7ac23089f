"""Whole files or none: atomic writes and checksums.

Knows nothing of what is in the files. Safe from any thread or process that writes its own name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt


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
    the old file, the new file, or none, never a part of one. A failed block leaves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with naming(path):
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def atomic_write(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


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
