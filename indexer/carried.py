"""What a bundle's next state carries over from the one before: licences, map storage, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec

from atlas.bundle.bundle import LAYERS, SEGMENTS, SPACES
from atlas.bundle.manifest import FileEntry, Manifest, SpaceEntry
from indexer.stages.catalog import BurstRule, MapStorage
from indexer.tables.duplicates import rule_of


def hosted_licences(catalog: Path) -> list[str]:
    """Codes of the licences under which the bundle may hold pictures."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        found = connection.execute("SELECT code FROM licence WHERE hosting ORDER BY code")
        return [code for (code,) in found.fetchall()]


def map_storage(catalog: Path) -> MapStorage:
    """Species are listed at the resolutions that they were, in a bundle that has any record."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        found = connection.execute("SELECT DISTINCT resolution FROM species_cell").fetchall()
        records = connection.execute("SELECT count(*) FROM occupancy").fetchall()[0][0]
    if not records:
        return MapStorage()
    return MapStorage(species_resolutions=tuple(sorted(resolution for (resolution,) in found)))


def burst_rule(catalog: Path, spaces: Sequence[SpaceEntry]) -> BurstRule:
    """Near-duplicates are found as they were; as is usual in a bundle that is older than that."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        rule = rule_of(connection)
    space = rule.space or next((entry.name for entry in spaces), "")
    return msgspec.structs.replace(rule, space=space)


def kept_files(base: Manifest, manifest: Manifest) -> tuple[FileEntry, ...]:
    """The files of `base` that the next manifest names, too."""
    tombstones = {
        segment.name: f"{SEGMENTS}/{segment.name}/{segment.tombstones}"
        for segment in manifest.segments
    }
    before = {
        segment.name: f"{SEGMENTS}/{segment.name}/{segment.tombstones}" for segment in base.segments
    }
    gone = {base.catalog}
    gone |= {path for name, path in before.items() if path != tombstones.get(name)}
    curves = {f"{SPACES}/{space.folder}/{space.curve}" for space in manifest.spaces}
    gone |= {
        path for one in base.spaces if (path := f"{SPACES}/{one.folder}/{one.curve}") not in curves
    }
    cells = {f"{LAYERS}/{layer.folder}/{layer.cells}" for layer in manifest.layers}
    gone |= {
        path for one in base.layers if (path := f"{LAYERS}/{one.folder}/{one.cells}") not in cells
    }
    if base.rejects != manifest.rejects:
        gone.add(base.rejects)
    folders = {layer.folder for layer in manifest.layers}
    spaces = {space.folder for space in manifest.spaces}
    dropped = (
        *(f"{SEGMENTS}/{name}/" for name in before if name not in tombstones),
        *(f"{SPACES}/{one.folder}/" for one in base.spaces if one.folder not in spaces),
        *(f"{LAYERS}/{one.folder}/" for one in base.layers if one.folder not in folders),
    )
    return tuple(
        entry
        for entry in base.files
        if entry.path not in gone and not (dropped and entry.path.startswith(dropped))
    )
