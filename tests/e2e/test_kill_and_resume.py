"""A build killed at any moment and started again ends with the bundle of an undisturbed build."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import msgspec
import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import CURRENT, Manifest, read_current, read_manifest
from tests.factories import make_photos, write_plan

KILLS = 10
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


def start_build(plan: Path) -> subprocess.Popen[bytes]:
    """Start `indexer build` as a process group of its own."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "indexer", "build", "--quiet", str(plan)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def checksums(root: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the catalog and the manifest that states its bytes."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".duckdb" and not path.name.startswith("manifest-")
    }


def catalog_rows(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of the catalog, in its own order."""
    (path,) = root.glob("catalog-*.duckdb")
    with duckdb.connect(str(path), read_only=True) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}


def without_catalog(manifest: Manifest) -> Manifest:
    """The manifest less the entry of the DuckDB file, whose bytes are not reproducible."""
    files = tuple(entry for entry in manifest.files if not entry.path.endswith(".duckdb"))
    return msgspec.structs.replace(manifest, files=files)


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path: Path, tiny_model: Path) -> None:
    """A part taken twice, a half-written file or a lost row would change a checksum or a table."""
    photos = tmp_path / "photos"
    make_photos(photos, records=60)
    plans = {}
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        plans[name] = write_plan(
            tmp_path / f"{name}.toml", photos=photos, model=tiny_model, bundle=folder / "bundle"
        )
    started_s = time.monotonic()
    assert start_build(plans["undisturbed"]).wait() == 0
    duration_s = time.monotonic() - started_s

    moments = random.Random(3)
    killed_root = tmp_path / "killed" / "bundle"
    for _ in range(KILLS):
        process = start_build(plans["killed"])
        try:
            # Most of a build's time is its start; the later half is where files are written.
            process.wait(timeout=duration_s * moments.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if (killed_root / CURRENT).exists():
            Bundle.open(killed_root, "full")
    assert start_build(plans["killed"]).wait() == 0

    undisturbed_root = tmp_path / "undisturbed" / "bundle"
    assert checksums(killed_root) == checksums(undisturbed_root)
    assert catalog_rows(killed_root) == catalog_rows(undisturbed_root)
    manifests = [
        without_catalog(read_manifest(read_current(root)))
        for root in (killed_root, undisturbed_root)
    ]
    assert manifests[0] == manifests[1]
