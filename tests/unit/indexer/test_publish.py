"""The publish stage: moves may be repeated, nothing is live before everything is in place."""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path

import pytest

from atlas.bundle.bundle import Bundle
from atlas.geo.place_order import FILES as PLACE_FILES
from indexer.stages import publish
from indexer.written import move_into
from tests.unit.indexer.ready import INDEXED, built, live, write_ready_plan, write_vectors

# The functions that publishing goes through, in this order, and how often each is called.
STEPS = {"move_into": 6, "describe_file": 20, "publish": 1}


def test_moving_may_be_repeated(tmp_path: Path) -> None:
    """Would break: a build that was killed after a move fails for want of the file it moved."""
    source, destination = tmp_path / "work" / "x", tmp_path / "bundle" / "segments" / "x"
    source.mkdir(parents=True)
    (source / "file").write_bytes(b"content")
    for _ in range(2):
        move_into(source, destination)
        assert (destination / "file").read_bytes() == b"content"
        assert not source.exists()


def test_what_is_in_place_is_not_written_over(tmp_path: Path) -> None:
    """Would break: a file that the live bundle names changes under the server."""
    source, destination = tmp_path / "new", tmp_path / "old"
    source.write_bytes(b"new")
    destination.write_bytes(b"old")
    move_into(source, destination)
    assert destination.read_bytes() == b"old"


def test_moving_to_another_disk_copies_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: with the work folder on another disk a half copy is taken for a segment."""
    source, destination = tmp_path / "work", tmp_path / "bundle" / "0001"
    source.mkdir()
    (source / "a").write_bytes(b"first")
    (source / "b").write_bytes(b"second")
    rename = Path.rename

    def across(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    with monkeypatch.context() as patch:

        def full(source: Path, destination: Path) -> None:
            destination.mkdir()
            (destination / "a").write_bytes((source / "a").read_bytes())
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(shutil, "copytree", full)
        with pytest.raises(OSError, match="No space left"):
            move_into(source, destination)
    assert not destination.exists()
    move_into(source, destination)
    assert sorted(path.name for path in destination.iterdir()) == ["a", "b"]
    assert [path.name for path in destination.parent.iterdir()] == ["0001"]


def test_a_crash_at_any_step_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a crash while publishing leaves a mixture, or a build that cannot go on."""
    vectors = tmp_path / "garden.parquet"
    plan = write_ready_plan(tmp_path, "garden", sections=INDEXED)
    write_vectors(vectors, 400, seed=1)
    old = built(plan).manifest
    before = {entry.path: entry.sha256 for entry in old.files}
    write_vectors(vectors, 420, seed=2)
    for name, times in STEPS.items():
        for crash_at in {0, times - 1}:
            crash(plan, monkeypatch, name, crash_at)
            bundle = Bundle.open(tmp_path / "bundle", "full")
            assert bundle.manifest == old
    new = built(plan).manifest
    assert (new.number, new.rows) == (2, 420)
    assert live(tmp_path) == Bundle.open(tmp_path / "bundle", "full").manifest == new
    # A server that holds the old bundle open reads on: its files are as they were.
    for path, sha256 in before.items():
        content = (tmp_path / "bundle" / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
    assert not set(before) & {entry.path for entry in new.files}


def crash(plan: Path, monkeypatch: pytest.MonkeyPatch, name: str, crash_at: int) -> None:
    """Build until publishing calls `name` for the time after `crash_at`, and stop there."""
    real = getattr(publish, name)
    calls = 0

    def counting(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > crash_at:
            raise RuntimeError("the power went")  # no error of a disk: these are told in words
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(publish, name, counting)
        with pytest.raises(RuntimeError, match="power"):
            built(plan)
    assert calls == crash_at + 1


def test_every_file_of_the_bundle_is_listed(tmp_path: Path) -> None:
    """Would break: a file that no checksum covers can be damaged unnoticed."""
    write_vectors(tmp_path / "garden.parquet", 300, seed=1)
    manifest = built(write_ready_plan(tmp_path, "garden", sections=INDEXED)).manifest
    root = tmp_path / "bundle"
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {entry.path for entry in manifest.files} == found - {"CURRENT", "manifest-000001.json"}
    assert {Path(entry.path).name for entry in manifest.files} == {
        "catalog-000001.duckdb",
        "rejects-000001.parquet",
        "coarse.faiss",
        "curve.json",
        "space.json",
        "training.json",
        "rows.parquet",
        "small.f16",
        *PLACE_FILES,
        "small.ivf",
        "small.list_no",
        "tombstones.roar",
    }


def test_a_manifest_that_was_never_named_does_not_stay(tmp_path: Path) -> None:
    """Would break: a build that was killed as it published is not the same as one that was not."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in (".manifest-000001.json.7.tmp", ".CURRENT.7.tmp"):
        (bundle / name).write_bytes(b"half of i")
    write_vectors(tmp_path / "garden.parquet", 300, seed=1)
    built(write_ready_plan(tmp_path, "garden"))
    assert not list(bundle.glob(".*"))
    Bundle.open(bundle, "full")
