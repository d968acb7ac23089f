"""Publish stage: finished files in the work folder in, the live bundle out.

Files are moved to their final names, described with checksums, and named by a manifest; only then
does CURRENT point at it. Each step may be repeated after a kill: what has moved already stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from atlas.bundle.bundle import SEGMENTS, SPACES
from atlas.bundle.files import sync_folder
from atlas.bundle.manifest import FileEntry, Manifest
from atlas.bundle.publish import describe_file, publish


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What a build has finished, as paths in its work folder.

    Segments and spaces by name; `files` are single ones, by their path in the bundle. `rejects` is
    None where the bundle's own file still holds.
    """

    segments: dict[str, Path]
    spaces: dict[str, Path]
    catalog: Path
    rejects: Path | None
    files: dict[str, Path] = {}


def move_into(source: Path, destination: Path) -> None:
    """Move a finished file or folder to its final name; does nothing when it is there already.

    Across file systems the copy is made under a temporary name first.
    """
    if destination.exists():
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(destination)
    except OSError:
        temporary = destination.with_name(f".{destination.name}.moving.tmp")
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
        shutil.copytree(source, temporary) if source.is_dir() else shutil.copy2(source, temporary)
        temporary.rename(destination)
    sync_folder(destination.parent)


def publish_bundle(
    root: Path,
    finished: Finished,
    manifest: Manifest,
    *,
    progress: Callable[[int], None],
    kept: tuple[FileEntry, ...] = (),
) -> Manifest:
    """Move the finished files below `root` and make them live; returns the whole manifest.

    `manifest` comes without files; `kept` are those that it shares with the bundle before it.
    `progress` is called with 1 for each file described.
    """
    folders = {space.name: f"{SPACES}/{space.folder}" for space in manifest.spaces}
    moves = {folders[name]: place for name, place in finished.spaces.items()}
    moves |= {f"{SEGMENTS}/{name}": place for name, place in finished.segments.items()}
    moves |= finished.files | {manifest.catalog: finished.catalog}
    if finished.rejects is not None:
        moves[manifest.rejects] = finished.rejects
    for name, source in moves.items():
        move_into(source, root / name)
    places = [root / name for name in moves]
    entries: list[FileEntry] = [*kept]
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                entries.append(describe_file(root, path))
                progress(1)
    complete = msgspec.structs.replace(manifest, files=tuple(entries))
    publish(root, complete)
    return complete
