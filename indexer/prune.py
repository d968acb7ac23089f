"""Deletes the files of a bundle that no state from the live one on names.

Servers that still read an earlier state should have gone over first: they keep what they have
open, but may open a file again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from atlas.bundle.bundle import LAYERS, SEGMENTS, SPACES
from atlas.bundle.files import sync_folder
from atlas.bundle.manifest import manifest_name, read_manifest
from indexer.alone import alone_with
from indexer.revision import require_live

# Nothing else in the folder is ours to delete.
_OURS = ("manifest-*.json", "catalog-*.duckdb*", "rejects-*.parquet", ".*.tmp")


def prune(root: Path, *, dry_run: bool) -> dict[str, int]:
    """Delete what is not named any more; returns the size in bytes of each file, by path."""
    with alone_with(root):
        live = require_live(root)
        first = manifest_name(live.number)
        named = {path for path in root.glob("manifest-*.json") if path.name >= first}
        for path in tuple(named):
            named |= {root / entry.path for entry in read_manifest(path).files}
        ours = {path for pattern in _OURS for path in root.glob(pattern)}
        tops = [root / SEGMENTS, root / SPACES, *(root / LAYERS).glob("*"), root / LAYERS]
        folders = [top for top in tops if top.is_dir()]
        ours |= {path for folder in folders for path in folder.rglob("*") if path.is_file()}
        # Manifests first: none may name a file that is gone.
        gone = sorted(ours - named, key=lambda path: (path.suffix != ".json", path))
        sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in gone}
        if not dry_run:
            for path in gone:
                path.unlink()
            for folder in (each for top in folders for each in top.iterdir()):
                with suppress(OSError):  # files are left in it
                    folder.rmdir()
            sync_folder(root)
        return sizes
