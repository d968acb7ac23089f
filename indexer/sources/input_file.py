"""The state of input files, so that a build notices when one changes under it.

Knows nothing of what is in them but how a zip is opened. Safe from any thread.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, cast

from atlas.errors import BuildError, PlanError


def stamp_of(path: Path) -> str:
    """Size and modification time of a file. Raises PlanError where it cannot be seen."""
    try:
        state = path.stat()
    except OSError as error:
        raise PlanError(path, f"cannot be read: {error.strerror}") from error
    return f"{state.st_size}:{state.st_mtime_ns}"


def check_unchanged(path: Path, stamp: str) -> None:
    """Raise BuildError where the file is no longer as it was when its parts were made."""
    if stamp_of(path) != stamp:
        raise BuildError("read", f"{path} changed while the build was running; start it again")


def written_on(path: Path) -> date:
    """The day (UTC) on which a file was last written."""
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).date()


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, or the one file inside a `.zip`, to be read from any place.

    Going back inside a zip means to unpack it again from its start, so very large ones are better
    unpacked once. Raises PlanError for a zip that is damaged or holds several files.
    """
    if path.suffix.lower() != ".zip":
        return path.open("rb")
    packed = _zip_of(path)
    return cast("BinaryIO", io.BufferedReader(packed.open(_only_name(path, packed)), 1 << 20))


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
    names = [
        name
        for name in packed.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]
    if len(names) != 1:
        raise PlanError(path, f"holds {len(names)} files; a zip of a table holds one")
    return names[0]
