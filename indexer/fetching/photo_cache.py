"""Photos that were fetched, and why others were not: one file an address, in a folder of a build.

A file is there whole or not at all, and ends with the SHA-256 of what is before it: 32 bytes that
programs which show photos pass over. Knows no hosts. Safe from any thread that writes its own
address.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from atlas.bundle.files import SummedFile, atomic_path
from atlas.errors import BuildError, PictureError
from indexer.records import RejectReason

_FAULT = ".fault"
_SUM_BYTES = 32


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an address gave no photo. One that is not `lasting` is asked for by the next build."""

    reason: RejectReason
    detail: str
    lasting: bool


class PhotoCache:
    """The photos below `folder`, by their address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_settled(self, address: str) -> bool:
        """Whether there is nothing more to be had: the photo is there, or will never be."""
        if self._path(address).is_file():
            return True
        fault = self._fault(address)
        return fault is not None and fault.lasting

    @contextmanager
    def writing(self, address: str) -> Iterator[BinaryIO]:
        """A file to write a photo to, which is there when the block ends well."""
        path = self._path(address)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            summed = SummedFile(file)
            yield cast("BinaryIO", summed)
            file.write(bytes.fromhex(summed.sha256))
        path.with_name(path.name + _FAULT).unlink(missing_ok=True)

    def fail(self, address: str, fault: Fault) -> None:
        """Remember why an address gave no photo."""
        path = self._path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        # Not synced, as photos are: a fault that is lost in a crash is found again.
        said = msgspec.json.encode(fault)
        temporary.write_bytes(said + hashlib.sha256(said).digest())
        temporary.replace(path.with_name(path.name + _FAULT))

    def read(self, address: str, most_bytes: int) -> bytes:
        """A photo. Raises PictureError with the reason that was remembered, or `file_missing`.

        BuildError for a photo that is not as it was written; the next build fetches it again.
        """
        path = self._path(address)
        try:
            size_bytes = path.stat().st_size - _SUM_BYTES
            if size_bytes > most_bytes:
                detail = f"{address} has more bytes than the {most_bytes} of the plan"
                raise PictureError(RejectReason.IMAGE_TOO_LARGE, detail)
            data = _unsealed(path.read_bytes())
        except FileNotFoundError:
            fault = self._fault(address)
            if fault is None:
                detail = f"{address} was not fetched"
                raise PictureError(RejectReason.FILE_MISSING, detail) from None
            raise PictureError(fault.reason, fault.detail) from None
        if data is None:
            path.unlink(missing_ok=True)
            problem = f"{path}, the photo of {address}, is not as it was written"
            raise BuildError("fetch", f"{problem}; start again, and it is fetched anew")
        return data

    def stamp(self, address: str) -> str:
        """What stands for a photo's bytes, whenever they were fetched; "" where it is missing."""
        try:
            with self._path(address).open("rb") as file:
                file.seek(-_SUM_BYTES, os.SEEK_END)
                return file.read().hex()
        except OSError:  # missing, or shorter than that, which `read` tells
            return ""

    def _path(self, address: str) -> Path:
        """By a checksum of the address: addresses are longer than names of files may be."""
        name = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / name[:3] / name[3:]

    def _fault(self, address: str) -> Fault | None:
        path = self._path(address)
        try:
            said = _unsealed(path.with_name(path.name + _FAULT).read_bytes())
        except FileNotFoundError:
            return None
        # One that is damaged is none: the address is asked for again.
        return None if said is None else msgspec.json.decode(said, type=Fault)


def _unsealed(content: bytes) -> bytes | None:
    """What is before its checksum; None where that is another's."""
    data, known = content[:-_SUM_BYTES], content[-_SUM_BYTES:]
    return data if hashlib.sha256(data).digest() == known else None
