"""What a WebDataset shard holds, from the headers of its `.tar` file.

Knows tar, not where the file lies. The format:
https://github.com/webdataset/webdataset. Pure but for the file it is given; one thread a file.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "bmp"})
_BLOCK = tarfile.BLOCKSIZE
NO_PICTURE = -1


class ShardEntry(NamedTuple):
    """One sample: its key, what it is called, and where its picture begins.

    `at` is a byte of a tar, or a row (from 0) of a table. `size_bytes` is -1 where there is no
    picture.
    """

    key: str
    name: str
    at: int
    size_bytes: int


class ShardDamaged(Exception):
    """A shard that cannot be read to its end; says at which byte or row, and why."""


def tar_entries(file: BinaryIO) -> Iterator[ShardEntry]:
    """The samples of a tar, in its order; one more for each further picture of a sample.

    Members of a sample stand together and share the name up to its first point; those that are no
    picture (texts, labels) are passed over. Raises ShardDamaged where the file is cut short, which
    shows by the blocks of zeros that end every whole tar.
    """
    key, first, pictures = "", "", 0
    for member in _members(file):
        folder, _, base = member.name.rpartition("/")
        stem, _, extension = base.partition(".")
        of = f"{folder}/{stem}" if folder else stem
        if of != key:
            if key and not pictures:
                yield ShardEntry(key, first, 0, NO_PICTURE)
            key, first, pictures = of, member.name, 0
        if member.isreg() and extension.rpartition(".")[2].lower() in PICTURES:
            pictures += 1
            yield ShardEntry(key, member.name, member.offset_data, member.size)
    if key and not pictures:
        yield ShardEntry(key, first, 0, NO_PICTURE)


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The members that are no folders. Python ends quietly at a damaged header; this does not."""
    last = "its first header"
    at = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # kept for `getmember` only
                last, at = member.name, member.offset
                if not member.isdir():
                    yield member
            end = tar.offset
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        length = file.seek(0, 2)
        problem = f"ends at byte {length:,}, within {last}, which begins at byte {at:,}: {error}"
        raise ShardDamaged(problem) from error
    file.seek(end)
    block = file.read(_BLOCK)
    if block != bytes(_BLOCK):
        what = "is cut short" if len(block) < _BLOCK else "has a damaged header"
        raise ShardDamaged(f"{what} at byte {end:,}, after {last}")
