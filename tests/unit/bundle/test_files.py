"""Whole files or none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from atlas.bundle.files import (
    append_numbers,
    atomic_path,
    atomic_write,
    naming,
    remove_leftovers,
    sha256_of,
)
from tests.full_disk import FULL, needs_full


def test_a_finished_block_replaces_the_old_file(tmp_path: Path) -> None:
    """Would break: a new version is not seen, or a temporary file is left beside it."""
    path = tmp_path / "below" / "file.json"
    atomic_write(path, b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("existing", [None, b"old"])
def test_a_failing_block_leaves_what_was_there(tmp_path: Path, existing: bytes | None) -> None:
    """Would break: half a file stands under the final name, and a resumed build trusts it."""
    path = tmp_path / "file"
    if existing is not None:
        path.write_bytes(existing)

    def fail_half_way() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half of")
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        fail_half_way()
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if existing is None else ["file"])
    assert existing is None or path.read_bytes() == existing


def test_a_failing_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: the old file is gone before the new one has its name."""
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(f"cannot rename {self} to {target}")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="cannot rename"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_durable_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: after a power cut the name is there and the content is not."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        steps.append("folder" if name == tmp_path.name else "file")
        fsync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    atomic_write(tmp_path / "file", b"new")
    assert steps == ["file", "rename", "folder"]


def test_a_killed_writers_file_does_not_get_in_the_way(tmp_path: Path) -> None:
    """Would break: a writer with the process number of a killed one appends to its half file."""
    leftover = tmp_path / f".file.{os.getpid()}.tmp"
    leftover.write_bytes(b"half a file that is longer")
    with atomic_path(tmp_path / "file") as temporary:
        assert not temporary.exists()
        with temporary.open("ab") as file:
            file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """Would break: killed builds fill the disk, or a finished part is taken for their waste."""
    kept = [tmp_path / "part.parquet", tmp_path / "below" / "notes.tmp", tmp_path / ".hidden"]
    gone = [tmp_path / ".part.parquet.17.tmp", tmp_path / "below" / ".x.f16.4.tmp"]
    gone.append(tmp_path / ".catalog.duckdb.4.tmp.wal")
    (tmp_path / "below").mkdir()
    for path in kept + gone:
        path.touch()
    remove_leftovers(tmp_path)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_checksums_are_those_of_the_whole_content(tmp_path: Path) -> None:
    """Would break: damage behind the first piece of a large file is not noticed."""
    content = bytes(range(256)) * 8192
    path = tmp_path / "file"
    for changed in (content, content[:-1] + b"x", b""):
        path.write_bytes(changed)
        assert sha256_of(path) == hashlib.sha256(changed).hexdigest()


@needs_full
@pytest.mark.parametrize("rows", [1, 100, 100_000])
def test_numbers_that_do_not_fit_are_not_lost_silently(rows: int) -> None:
    """Would break: the last counts of a map are missing, and nothing says so."""
    file = FULL.open("wb")
    append_numbers(file, np.arange(0))
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"), naming(FULL), file:
        append_numbers(file, np.arange(rows))


def test_numbers_are_written_in_the_order_of_rows(tmp_path: Path) -> None:
    """Would break: the transposed or strided view of an array is written as it lies in memory."""
    numbers = np.arange(12, dtype=np.int32).reshape(3, 4)
    with (tmp_path / "numbers").open("wb") as file:
        append_numbers(file, numbers.T)
        append_numbers(file, numbers[:, ::2])
    stored = np.fromfile(tmp_path / "numbers", np.int32).tolist()
    assert stored == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 0, 2, 4, 6, 8, 10]


def test_an_error_that_names_a_file_keeps_its_name(tmp_path: Path) -> None:
    """Would break: a stop names the folder around a file rather than the file."""
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path):
        (tmp_path / "missing").read_bytes()
    assert caught.value.filename == str(tmp_path / "missing")
