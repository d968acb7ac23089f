"""`indexer layer add` and `remove`: a bundle's next state with one layer more or less.

Rows, catalog and vectors stay as they are, and so does the bundle's identity: a build of the same
plan still has nothing to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from atlas.bundle.bundle import LAYERS, SEGMENTS
from atlas.bundle.manifest import LayerEntry, Manifest
from atlas.bundle.publish import describe_file, next_number, publish
from atlas.errors import BuildError
from indexer.alone import alone_with
from indexer.layers.built import CELLS, make_finished
from indexer.layers.make import LayerPlace
from indexer.layers.section import LayerSection
from indexer.progress import Watcher
from indexer.revision import require_live, work_folder
from indexer.stops import clear_stops
from indexer.written import move_into


def add_layer(root: Path, section: LayerSection, watcher: Watcher) -> LayerEntry:
    """Make a layer for every row of the live bundle in `root`, and make it live.

    A layer of the same name is replaced. Raises PlanError for a file that cannot be used.
    """
    with clear_stops(), alone_with(root):
        base = require_live(root)
        number = next_number(root)
        work = work_folder(root, f"layer-{section.name}").root
        shutil.rmtree(work, ignore_errors=True)
        segments = [(entry.name, root / SEGMENTS / entry.name) for entry in base.segments]
        entry = make_finished(
            section,
            segments,
            LayerPlace(
                work=work,
                folder=free_folder(root, section.name, number),
                cells=CELLS,
                made_at=now(),
            ),
            watcher,
        )
        move_into(work, root / LAYERS / entry.folder)
        if work.parent.exists() and not any(work.parent.iterdir()):
            work.parent.rmdir()
        others = [layer for layer in base.layers if layer.name != section.name]
        _publish(root, base, number, (*others, entry))
        return entry


def remove_layer(root: Path, name: str) -> None:
    """Make the bundle live without a layer; BuildError where it has none of this name."""
    with clear_stops(), alone_with(root):
        base = require_live(root)
        left = [layer for layer in base.layers if layer.name != name]
        if len(left) == len(base.layers):
            offered = ", ".join(layer.name for layer in base.layers) or "none"
            raise BuildError("layer", f"the bundle has no layer {name!r}; it has: {offered}")
        _publish(root, base, next_number(root), left)


def _publish(root: Path, base: Manifest, number: int, layers: Sequence[LayerEntry]) -> None:
    """Make the same rows live with these layers."""
    named = {layer.folder for layer in layers}
    before = {layer.folder for layer in base.layers}
    kept = [
        entry
        for entry in base.files
        if not entry.path.startswith(f"{LAYERS}/") or entry.path.split("/")[1] in named
    ]
    new = [
        describe_file(root, path)
        for folder in sorted(named - before)
        for path in sorted((root / LAYERS / folder).rglob("*"))
        if path.is_file()
    ]
    manifest = msgspec.structs.replace(
        base, number=number, built_at=now(), layers=tuple(layers), files=(*kept, *new)
    )
    publish(root, manifest)


def free_folder(root: Path, name: str, number: int) -> str:
    """A folder for a layer below `layers/` that is not there, not even from a stopped command."""
    folder, again = f"{name}-{number:06d}", 0
    while (root / LAYERS / folder).exists():
        again += 1
        folder = f"{name}-{number:06d}-{again}"
    return folder


def now() -> str:
    """This second, ISO 8601 in UTC."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
