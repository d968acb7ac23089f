"""An addition, a removal or a compaction killed at any moment leaves the old state or the new.

Started again it ends with the bundle of an undisturbed run.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import msgspec
import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import Manifest, read_current, read_manifest
from tests.factories import make_photos, write_plan

KILLS = 2
TABLES = (
    "taxon",
    "taxon_name",
    "image",
    "image_key",
    "image_stored_id",
    "image_by_cell",
    "occupancy",
    "source",
    "observer",
    "occupancy_run",
    "species_cell",
    "held_back",
    "duplicate",
    "duplicate_by_first",
    "duplicate_rule",
)


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """Start `indexer` as a process group of its own."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "indexer", *map(str, arguments)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def live(root: Path) -> Manifest:
    """The live manifest less what is not reproducible: the bytes of the DuckDB file."""
    manifest = read_manifest(read_current(root))
    files = tuple(entry for entry in manifest.files if not entry.path.endswith(".duckdb"))
    return msgspec.structs.replace(manifest, files=files)


def content(root: Path) -> tuple[dict[str, str], dict[str, list[tuple[object, ...]]]]:
    """Checksums of the live state's files, and the rows of its catalog."""
    checksums = {
        entry.path: hashlib.sha256((root / entry.path).read_bytes()).hexdigest()
        for entry in live(root).files
    }
    with duckdb.connect(str(root / live(root).catalog), read_only=True) as connection:
        rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    return checksums, rows


@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path, tiny_bundle: Path, tiny_model: Path) -> None:
    """A row taken twice, a segment half-moved or a catalog of other rows would show here."""
    photos = tmp_path / "photos"
    table = make_photos(photos, records=24, seed=9)
    table.write_text(table.read_text(encoding="utf-8").replace("urn:test:", "urn:more:"))
    plan = write_plan(
        tmp_path / "more.toml",
        photos=photos,
        model=tiny_model,
        bundle=tmp_path / "nowhere",
        rejects="max_share = 0.9",
    )
    plan.write_text(plan.read_text().replace('key = "tiny"', 'key = "more"'))
    roots = {name: tmp_path / name / "bundle" for name in ("undisturbed", "killed")}
    for root in roots.values():
        shutil.copytree(tiny_bundle, root)
    moments = random.Random(4)
    for number, (command, *options) in enumerate(
        (
            ("add", plan, "--quiet", "--to"),
            ("remove", "--occurrence-id", "urn:more:5"),
            ("compact", "--quiet", "--segment-rows", 50),
        ),
        start=2,
    ):
        started_s = time.monotonic()
        assert start(command, *options, roots["undisturbed"]).wait() == 0
        duration_s = time.monotonic() - started_s
        for _ in range(KILLS):
            process = start(command, *options, roots["killed"])
            try:
                # Most of the time goes into starting; files are written in the later half.
                process.wait(timeout=duration_s * moments.uniform(0.4, 1.0))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert Bundle.open(roots["killed"], "full").manifest.number in {number - 1, number}
            if Bundle.open(roots["killed"], "sizes").manifest.number == number:
                break
        if live(roots["killed"]).number < number:
            assert start(command, *options, roots["killed"]).wait() == 0
        assert content(roots["killed"]) == content(roots["undisturbed"]), command
        assert live(roots["killed"]) == live(roots["undisturbed"]), command
