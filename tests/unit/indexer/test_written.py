"""What was written into a folder: files are taken over as they were written, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.files import append_numbers, atomic_file, atomic_path, atomic_write
from indexer.written import LOG, LogDamaged, WrittenFiles, move_into, taken_over


def write_some(folder: Path) -> None:
    """Write `a`, `below/b` and `c`, in this order."""
    with WrittenFiles(folder).noting():
        for name in ("a", "below/b", "c"):
            atomic_write(folder / name, f"content of {name}".encode())


def names(folder: Path) -> set[str]:
    """The files of a folder, less the log."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {LOG}


def flip(path: Path) -> None:
    """Change the bits of the middle byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_every_way_of_writing_is_noted(tmp_path: Path) -> None:
    """Would break: a kind of file, written by Arrow, NumPy or DuckDB, is never checked."""
    numbers = np.arange(12, dtype=np.float16).reshape(3, 4)
    with WrittenFiles(tmp_path).noting():
        atomic_write(tmp_path / "bytes", b"some bytes")
        with atomic_path(tmp_path / "path") as path:
            path.write_bytes(b"by somebody else")
        with atomic_file(tmp_path / "numbers") as file:
            append_numbers(file, numbers)
            append_numbers(file, numbers[:0])
            append_numbers(file, numbers.T)
        table = pa.table({"x": range(1_000)})
        with (
            atomic_file(tmp_path / "table") as file,
            pq.ParquetWriter(file, table.schema) as writer,
        ):
            writer.write_table(table)
    written = WrittenFiles(tmp_path)
    assert names(tmp_path) == {"bytes", "path", "numbers", "table"}
    for name in names(tmp_path):
        content = (tmp_path / name).read_bytes()
        assert written.sha256_of(tmp_path / name) == hashlib.sha256(content).hexdigest()
        assert written.is_whole(tmp_path / name)
    assert pq.read_table(tmp_path / "table") == table
    assert (tmp_path / "numbers").read_bytes() == numbers.tobytes() + numbers.T.tobytes()


def test_what_was_not_noted_is_not_whole(tmp_path: Path) -> None:
    """Would break: a file of an older build, or of a writer that nobody watched, is trusted."""
    atomic_write(tmp_path / "before", b"x")
    with WrittenFiles(tmp_path / "work").noting():
        atomic_write(tmp_path / "outside", b"x")
        other = Thread(target=atomic_write, args=(tmp_path / "work" / "elsewhere", b"x"))
        other.start()
        other.join()
    written = WrittenFiles(tmp_path / "work")
    assert not written.is_whole(tmp_path / "work" / "elsewhere")
    assert written.drop_damaged() == []
    assert names(tmp_path) == {"before", "outside"}


@pytest.mark.parametrize("fault", ["flipped", "cut", "longer"])
def test_damage_takes_what_came_after_with_it(tmp_path: Path, fault: str) -> None:
    """Would break: a file that was made from a damaged one is kept."""
    write_some(tmp_path)
    path = tmp_path / "below" / "b"
    if fault == "flipped":
        flip(path)
    else:
        path.write_bytes(path.read_bytes()[:-1] if fault == "cut" else path.read_bytes() + b"x")
    written = WrittenFiles(tmp_path)
    assert not written.all_whole()
    assert written.drop_damaged() == [path]
    assert names(tmp_path) == {"a"}
    again = WrittenFiles(tmp_path)
    assert again.is_whole(tmp_path / "a")
    assert again.sha256_of(path) is None
    assert again.all_whole()


def test_a_file_that_was_written_again_counts_as_the_later(tmp_path: Path) -> None:
    """Would break: a file made again is taken for damaged, or as the source of what was before."""
    write_some(tmp_path)
    with WrittenFiles(tmp_path).noting():
        atomic_write(tmp_path / "a", b"anew")
    assert WrittenFiles(tmp_path).all_whole()
    flip(tmp_path / "a")
    assert WrittenFiles(tmp_path).drop_damaged() == [tmp_path / "a"]
    assert names(tmp_path) == {"below/b", "c"}


def test_a_file_that_is_gone_is_made_again(tmp_path: Path) -> None:
    """Would break: a killed run, which had noted a file and not named it, cannot go on."""
    write_some(tmp_path)
    (tmp_path / "c").unlink()
    assert WrittenFiles(tmp_path).drop_damaged() == []
    assert names(tmp_path) == {"a", "below/b"}


def test_moved_files_are_checked_where_they_are(tmp_path: Path) -> None:
    """Would break: what a stopped publish had moved is trusted, or made again for nothing."""
    work, root = tmp_path / "work", tmp_path / "bundle"
    write_some(work)
    written = WrittenFiles(work)
    for name in ("below", "c"):
        written.about_to_move(work / name, root / name)
        move_into(work / name, root / name)
    assert WrittenFiles(work).drop_damaged() == []
    assert (names(work), names(root)) == ({"a"}, {"below/b", "c"})
    flip(root / "c")
    assert WrittenFiles(work).drop_damaged() == [root / "c"]
    # What is made again is made in the work folder, so all else is there again, too.
    assert (names(work), names(root)) == ({"a", "below/b"}, set())
    assert WrittenFiles(work).all_whole()


def test_a_move_that_was_only_announced_did_not_happen(tmp_path: Path) -> None:
    """Would break: a kill between the note of a move and the move loses the file."""
    work, root = tmp_path / "work", tmp_path / "bundle"
    write_some(work)
    WrittenFiles(work).about_to_move(work / "c", root / "c")
    assert WrittenFiles(work).all_whole()
    flip(work / "a")
    assert WrittenFiles(work).drop_damaged() == [work / "a"]
    assert names(work) == set()


def test_a_line_that_was_cut_off_is_taken_back(tmp_path: Path) -> None:
    """Would break: a kill while the log grows makes all of it unreadable."""
    write_some(tmp_path)
    log = tmp_path / LOG
    log.write_bytes(log.read_bytes()[:-9])
    written = WrittenFiles(tmp_path)
    assert written.drop_damaged() == []
    assert names(tmp_path) == {"a", "below/b"}
    with written.noting():
        atomic_write(tmp_path / "c", b"anew")
    assert WrittenFiles(tmp_path).is_whole(tmp_path / "c")


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_damaged_log_is_noticed(tmp_path: Path, at: int) -> None:
    """Would break: a name, size or checksum that a disk changed is believed."""
    write_some(tmp_path)
    log = tmp_path / LOG
    data = bytearray(log.read_bytes())
    data[at % (len(data) - 1)] ^= 0x01
    log.write_bytes(data)
    with pytest.raises(LogDamaged):
        WrittenFiles(tmp_path)
    assert not taken_over(tmp_path).is_whole(tmp_path / "a")
    assert not tmp_path.exists() or names(tmp_path) == set()
