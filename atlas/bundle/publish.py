"""Makes a finished set of files the live bundle, in one rename.

The files are in place and synced before the manifest names them; the manifest is in place before
`CURRENT` names it. A crash at any moment leaves the old bundle or the new one.
"""

from __future__ import annotations

import re
from pathlib import Path

from atlas.bundle.files import atomic_write, sha256_of, sync_file, sync_folder
from atlas.bundle.manifest import (
    CURRENT,
    FileEntry,
    Manifest,
    encode_json,
    manifest_name,
)

_NUMBERED = re.compile(r"(?:manifest|catalog|rejects)-(\d{6,})\.\w+")


def next_number(root: Path) -> int:
    """The number after the highest that a file in `root` has (1 in an empty folder).

    A build that was stopped while it published leaves files whose number no manifest has; under
    that number they would be taken for those of the next build.
    """
    found = [_NUMBERED.fullmatch(path.name) for path in root.glob("*-*")]
    return 1 + max((int(match[1]) for match in found if match), default=0)


def describe_file(root: Path, path: Path) -> FileEntry:
    """Sync a finished file and describe it for the manifest."""
    sync_file(path)
    sync_folder(path.parent)
    return FileEntry(
        path=path.relative_to(root).as_posix(),
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


def publish(root: Path, manifest: Manifest) -> Path:
    """Write the manifest, then swap `CURRENT` to it; returns the manifest's path."""
    path = root / manifest_name(manifest.number)
    atomic_write(path, encode_json(manifest))
    atomic_write(root / CURRENT, f"{path.name}\n".encode())
    return path
