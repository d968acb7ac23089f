"""Publishing: a crash between any two steps leaves the old bundle whole and live."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from atlas.bundle import publish as publishing
from atlas.bundle.bundle import Bundle
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import CURRENT, Manifest, manifest_name, read_current, read_manifest
from atlas.bundle.publish import describe_file, next_number, publish
from tests.bundle_factory import random_vectors, write_bundle


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of six rows. Never write to it."""
    return write_bundle(tmp_path_factory.mktemp("bundle"), [random_vectors(6, 4, 1)]).root


@pytest.fixture
def live(original: Path, tmp_path: Path) -> Bundle:
    """A copy that a test may publish over."""
    return Bundle.open(Path(shutil.copytree(original, tmp_path / "bundle")))


def successor(live: Bundle) -> Manifest:
    """A second manifest of the same files."""
    return msgspec.structs.replace(live.manifest, number=2, title="second")


def test_the_new_manifest_is_live(live: Bundle) -> None:
    """Would break: a finished build is never seen by the server."""
    path = publish(live.root, successor(live))
    assert path == live.root / "manifest-000002.json"
    assert (live.root / CURRENT).read_text() == "manifest-000002.json\n"
    assert Bundle.open(live.root).manifest == successor(live)
    assert read_manifest(live.root / manifest_name(1)) == live.manifest


@pytest.mark.parametrize("crash_at", [0, 1])
def test_a_crash_leaves_the_old_bundle(
    live: Bundle, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """Would break: after a power cut CURRENT names half a manifest, or none at all."""
    renames = []
    replace = Path.replace

    def crashing(self: Path, target: Path) -> Path:
        renames.append(Path(target).name)
        if len(renames) > crash_at:
            raise OSError("the power went")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crashing)
        with pytest.raises(OSError, match="power"):
            publish(live.root, successor(live))
    assert renames == [manifest_name(2), CURRENT][: crash_at + 1]
    assert Bundle.open(live.root, "full").manifest == live.manifest
    assert not list(live.root.glob(".*.tmp"))
    publish(live.root, successor(live))
    assert Bundle.open(live.root, "full").manifest.title == "second"


def test_current_is_swapped_last(live: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: for a moment CURRENT names a manifest that is not there."""
    seen = []

    def watch(path: Path, content: bytes) -> None:
        atomic_write(path, content)
        seen.append((path.name, read_manifest(read_current(live.root)).number))

    monkeypatch.setattr(publishing, "atomic_write", watch)
    publish(live.root, successor(live))
    assert seen == [(manifest_name(2), 1), (CURRENT, 2)]


def test_numbers_rise(tmp_path: Path) -> None:
    """Would break: a build writes over files of an earlier bundle, or takes them for its own."""
    assert next_number(tmp_path / "nothing") == 1
    for name in ("manifest-000009.json", "manifest-000010.json", "manifest-old.json", "notes-99"):
        (tmp_path / name).touch()
    assert next_number(tmp_path) == 11
    (tmp_path / "catalog-000011.duckdb").touch()
    assert next_number(tmp_path) == 12
    (tmp_path / "rejects-1000000.parquet").touch()
    assert next_number(tmp_path) == 1_000_001


def test_files_are_described_as_they_are(tmp_path: Path) -> None:
    """Would break: the manifest's size or checksum is not that of the file."""
    path = tmp_path / "segments" / "0001" / "rows.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"four")
    entry = describe_file(tmp_path, path)
    assert entry.path == "segments/0001/rows.parquet"
    assert entry.size_bytes == 4
    assert entry.sha256 == hashlib.sha256(b"four").hexdigest()
