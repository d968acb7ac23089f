"""The state of input files, so that a build notices when one changes under it.

Knows nothing of what is in them. Safe from any thread.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

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
