"""What two bundles are compared by: bytes of files, rows of catalogs, manifests.

A catalog's bytes are not reproducible, its rows in their own order are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import msgspec

from atlas.bundle.manifest import Manifest, read_current, read_manifest

TABLES = (
    "taxon",
    "taxon_name",
    "image",
    "image_key",
    "image_stored_id",
    "image_by_cell",
    "observer",
    "occupancy",
    "occupancy_run",
    "species_cell",
    "held_back",
    "duplicate",
    "duplicate_by_first",
    "duplicate_rule",
    "source",
    "licence",
    "flag",
)


def checksums(root: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the catalog and the manifest that states its bytes."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".duckdb" and not path.name.startswith("manifest-")
    }


def catalog_rows(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of the live catalog, in its own order."""
    catalog = root / read_manifest(read_current(root)).catalog
    with duckdb.connect(str(catalog), read_only=True) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}


def without_catalog(manifest: Manifest) -> Manifest:
    """The manifest less the entry of the DuckDB file."""
    files = tuple(entry for entry in manifest.files if not entry.path.endswith(".duckdb"))
    return msgspec.structs.replace(manifest, files=files)


def live(root: Path) -> Manifest:
    """The live manifest less the entry of its catalog."""
    return without_catalog(read_manifest(read_current(root)))
