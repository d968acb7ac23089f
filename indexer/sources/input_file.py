"""The state of input files, so that a build notices when one changes under it.

Knows nothing of what is in them but how a zip is opened. Safe from any thread.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from atlas.errors import BuildError, PlanError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def stamp_of(path: Path) -> str:
    """Size and modification time of a file, or of the zip that it lies in.

    Raises PlanError where it cannot be seen.
    """
    try:
        state = _on_disk(path).stat()
    except OSError as error:
        raise PlanError(path, f"cannot be read: {error.strerror}") from error
    return f"{state.st_size}:{state.st_mtime_ns}"


def check_unchanged(path: Path, stamp: str) -> None:
    """Raise BuildError where the file is no longer as it was when its parts were made."""
    if stamp_of(path) != stamp:
        raise changed(path)


def changed(path: Path, stage: str = "read") -> BuildError:
    """That an input is no longer as it was when its parts were made, seen at this stage."""
    return BuildError(stage, f"{path} changed while the build was running; start it again")


def written_on(path: Path) -> date:
    """The day (UTC) on which a file, or the zip that it lies in, was last written."""
    return datetime.fromtimestamp(_on_disk(path).stat().st_mtime, tz=UTC).date()


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, the one file inside a `.zip`, or `NAME.zip/MEMBER`, to be read from any place.

    Going back inside a zip means to unpack it again from its start, so very large ones are better
    unpacked once. Raises PlanError for a zip that is damaged or holds several files.
    """
    archive = _on_disk(path)
    if archive.suffix.lower() != ".zip" or archive.is_dir():
        return path.open("rb")
    packed = _zip_of(archive)
    name = _only_name(path, packed) if archive == path else path.relative_to(archive).as_posix()
    try:
        member = packed.open(name)
    except (KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        # RuntimeError: encrypted; NotImplementedError: packed in a way that is not known.
        raise PlanError(archive, f"{name} cannot be read from it: {error}") from error
    checked = _Member(archive, name, cast("BinaryIO", member))
    return cast("BinaryIO", io.BufferedReader(checked, 1 << 20))


class _Member(io.RawIOBase):
    """A file inside a zip, whose checksum is compared at its end; PlanError where it differs."""

    def __init__(self, archive: Path, name: str, member: BinaryIO) -> None:
        self._archive = archive
        self._name = name
        self._member = member

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._damage():
            return self._member.seek(offset, whence)

    def tell(self) -> int:
        return self._member.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        with self._damage():
            data = self._member.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._member.close()
        super().close()

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise PlanError(self._archive, f"{self._name} in it is damaged: {error}") from error


def names_in(archive: Path) -> list[str]:
    """The files of a folder or zip, relative to it, less the notes that macOS adds; sorted.

    Raises PlanError where it is neither, or damaged.
    """
    if archive.is_dir():
        return sorted(
            file.relative_to(archive).as_posix() for file in archive.rglob("*") if file.is_file()
        )
    with _zip_of(archive) as packed:
        return sorted(_names(packed))


def unpacked_name(path: Path) -> str:
    """The name of a file, or of the one file inside a `.zip`; errors as `open_bytes`."""
    if path.suffix.lower() != ".zip":
        return path.name
    with _zip_of(path) as packed:
        return _only_name(path, packed)


def _zip_of(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise PlanError(path, f"is not a readable zip file: {error}") from error
    except OSError as error:
        raise PlanError(path, f"cannot be read: {error.strerror}") from error


def _only_name(path: Path, packed: zipfile.ZipFile) -> str:
    """The member that is no folder and none of the notes that macOS adds."""
    names = _names(packed)
    if len(names) != 1:
        raise PlanError(path, f"holds {len(names)} files; a zip of a table holds one")
    return names[0]


def _names(packed: zipfile.ZipFile) -> list[str]:
    return [
        name
        for name in packed.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]


def _on_disk(path: Path) -> Path:
    """The path itself, or the zip file that it leads into."""
    for above in path.parents:
        if above.suffix.lower() == ".zip" and above.is_file():
            return above
    return path
