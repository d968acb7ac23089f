"""Photos that were fetched, and why others were not: one file an address, in a folder of a build.

A file is there whole or not at all. Knows no hosts. Safe from any thread that writes its own
address.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from atlas.bundle.files import atomic_path
from atlas.errors import PictureError
from indexer.records import RejectReason

_FAULT = ".fault"


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
            yield file
        path.with_name(path.name + _FAULT).unlink(missing_ok=True)

    def fail(self, address: str, fault: Fault) -> None:
        """Remember why an address gave no photo."""
        path = self._path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        # Not synced, as photos are: a fault that is lost in a crash is found again.
        temporary.write_bytes(msgspec.json.encode(fault))
        temporary.replace(path.with_name(path.name + _FAULT))

    def read(self, address: str, most_bytes: int) -> bytes:
        """A photo. Raises PictureError with the reason that was remembered, or `file_missing`."""
        try:
            with self._path(address).open("rb") as file:
                data = file.read(most_bytes + 1)
        except FileNotFoundError:
            fault = self._fault(address)
            if fault is None:
                detail = f"{address} was not fetched"
                raise PictureError(RejectReason.FILE_MISSING, detail) from None
            raise PictureError(fault.reason, fault.detail) from None
        if len(data) > most_bytes:
            detail = f"{address} has more bytes than the {most_bytes} of the plan"
            raise PictureError(RejectReason.IMAGE_TOO_LARGE, detail)
        return data

    def stamp(self, address: str) -> str:
        """Size and time of a photo, "" where it is missing."""
        try:
            state = self._path(address).stat()
        except FileNotFoundError:
            return ""
        return f"{state.st_size}:{state.st_mtime_ns}"

    def _path(self, address: str) -> Path:
        """By a checksum of the address: addresses are longer than names of files may be."""
        name = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / name[:3] / name[3:]

    def _fault(self, address: str) -> Fault | None:
        path = self._path(address)
        try:
            return msgspec.json.decode(path.with_name(path.name + _FAULT).read_bytes(), type=Fault)
        except FileNotFoundError:
            return None
