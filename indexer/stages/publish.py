"""Publish stage: finished files in the work folder in, the live bundle out.

Files are moved to their final names, described with checksums, and named by a manifest; only then
does CURRENT point at it. Each step may be repeated after a kill: what has moved already stays.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from atlas.bundle.bundle import SEGMENTS, SPACES
from atlas.bundle.manifest import FileEntry, Manifest
from atlas.bundle.publish import describe_file, publish
from atlas.errors import BuildError
from indexer.written import WrittenFiles, move_into


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


def publish_bundle(
    root: Path,
    finished: Finished,
    manifest: Manifest,
    *,
    written: WrittenFiles,
    progress: Callable[[int], None],
    kept: tuple[FileEntry, ...] = (),
) -> Manifest:
    """Move the finished files below `root` and make them live; returns the whole manifest.

    `manifest` comes without files; `kept` are those that it shares with the bundle before it.
    `written` knows the files as they were written: BuildError for one that is no longer so.
    `progress` is called with 1 for each file described.
    """
    folders = {space.name: f"{SPACES}/{space.folder}" for space in manifest.spaces}
    moves = {folders[name]: place for name, place in finished.spaces.items()}
    moves |= {f"{SEGMENTS}/{name}": place for name, place in finished.segments.items()}
    moves |= finished.files | {manifest.catalog: finished.catalog}
    if finished.rejects is not None:
        moves[manifest.rejects] = finished.rejects
    for name, source in moves.items():
        written.about_to_move(source, root / name)
        move_into(source, root / name)
    entries: list[FileEntry] = [*kept]
    for name, source in moves.items():
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                entry = describe_file(root, path)
                if entry.sha256 != written.sha256_of(source / path.relative_to(place)):
                    raise BuildError(
                        "publish",
                        f"{path} is not as it was written; start again, and it is made anew",
                    )
                entries.append(entry)
                progress(1)
    complete = msgspec.structs.replace(manifest, files=tuple(entries))
    _remove_unnamed(root)
    publish(root, complete)
    return complete


def _remove_unnamed(root: Path) -> None:
    """Remove what a run that was killed between writing and naming left beside the manifest."""
    for leftover in root.glob(".*.tmp"):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)
