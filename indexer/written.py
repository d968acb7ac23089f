"""The files of a work folder as they were written: what a later run may take over.

Each file's size and SHA-256 are noted while it is written, in the order in which files are
finished, in a log of lines that carry their own check. One process at a time; a file that is
finished by another thread is not noted, and made again by the next run.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from atlas.bundle.files import naming, sha256_of, sync_folder, telling

LOG = "written.log"
_READERS = 4


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A file that was finished: path below the folder, size, SHA-256 in hex."""

    name: str
    size_bytes: int
    sha256: str


class Moved(msgspec.Struct, frozen=True, kw_only=True, tag="moved"):
    """A file or folder that is about to be moved to its final name outside the folder."""

    name: str
    final: str


class LogDamaged(Exception):
    """A log that is not as it was written: nothing of its folder can be trusted."""


class WrittenFiles:
    """What was written into `folder`, by an earlier run and this one."""

    def __init__(self, folder: Path) -> None:
        """Read the log of an earlier run; LogDamaged where it is not as it was written.

        A last line that a killed run left unfinished is taken back.
        """
        self._folder = folder
        self._log = folder / LOG
        self._files: dict[str, WrittenFile] = {}
        self._moved: dict[str, Path] = {}
        content = self._log.read_bytes() if self._log.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._log, whole)
        for line in content[:whole].splitlines():
            self._take(_entry_of(line))

    @property
    def size_bytes(self) -> int:
        """Bytes of all files that were noted."""
        return sum(file.size_bytes for file in self._files.values())

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note every file that is finished in the folder by this thread in the block."""
        with telling(self._told):
            yield

    def about_to_move(self, place: Path, final: Path) -> None:
        """Note that a file or folder gets its final name outside the folder."""
        if place.exists():
            self._note(Moved(name=self._name(place), final=str(final.absolute())))

    def sha256_of(self, path: Path) -> str | None:
        """The checksum of a file as it was written, None for one that was not noted."""
        known = self._files.get(self._name(path))
        return None if known is None else known.sha256

    def is_whole(self, path: Path) -> bool:
        """Whether a file is there as it was written."""
        known = self._files.get(self._name(path))
        return known is not None and _is_as_written(self._place(known.name), known)

    def all_whole(self) -> bool:
        """Whether every file that was noted is there as it was written."""
        return all(self._compared().values())

    def drop_damaged(self) -> list[Path]:
        """Compare every file with what was noted, and forget what cannot be trusted.

        That is a file that is not as it was written, or is missing, and all that were written
        after it: they may follow from it. What was moved is brought back first, so that whatever is
        made again is made in this folder. Files that were never noted are removed. Returns the
        files that are not as they were written.
        """
        whole = self._compared()
        lost = [name for name, is_whole in whole.items() if not is_whole]
        damaged = [path for path in map(self._place, lost) if path.exists()]
        if lost:
            self._bring_back()
            names = list(whole)
            for name in names[names.index(lost[0]) :]:
                (self._folder / name).unlink(missing_ok=True)
                del self._files[name]
            self._rewrite()
        self._remove_unknown()
        return damaged

    def _compared(self) -> dict[str, bool]:
        """Whether each file is as it was written, by name, in the order of writing."""
        known = self._files.values()
        with ThreadPoolExecutor(_READERS, "check") as pool:
            return dict(
                zip(
                    self._files,
                    pool.map(_is_as_written, map(self._place, self._files), known),
                    strict=True,
                )
            )

    def _told(self, path: Path, size_bytes: int, sha256: str) -> None:
        if path.is_relative_to(self._folder):
            name = self._name(path)
            self._note(WrittenFile(name=name, size_bytes=size_bytes, sha256=sha256))

    def _note(self, entry: WrittenFile | Moved) -> None:
        """Write a line, durable before what it tells of has its name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        is_new = not self._log.exists()
        with naming(self._log), self._log.open("ab") as file:
            file.write(_line_of(entry))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self._folder)
        self._take(entry)

    def _take(self, entry: WrittenFile | Moved) -> None:
        if isinstance(entry, Moved):
            self._moved[entry.name] = Path(entry.final)
            return
        # Last, where it was written before: what came since does not follow from it as it is now.
        self._files.pop(entry.name, None)
        self._files[entry.name] = entry

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _place(self, name: str) -> Path:
        """Where a file is: in the folder, or where it was moved."""
        for moved, final in self._moved.items():
            if final.exists() and (name == moved or name.startswith(f"{moved}/")):
                return final / name.removeprefix(moved).removeprefix("/")
        return self._folder / name

    def _bring_back(self) -> None:
        for name, final in self._moved.items():
            if not final.exists():
                continue
            move_into(final, self._folder / name)
            # Still there where it was copied, to another file system or from one.
            if final.is_dir():
                shutil.rmtree(final)
            final.unlink(missing_ok=True)
            sync_folder(final.parent)
        self._moved.clear()

    def _rewrite(self) -> None:
        temporary = self._log.with_name(f".{LOG}.tmp")
        temporary.write_bytes(b"".join(map(_line_of, self._files.values())))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(self._log)
        sync_folder(self._folder)

    def _remove_unknown(self) -> None:
        for path in self._folder.rglob("*"):
            if path.is_file() and path != self._log and self._name(path) not in self._files:
                path.unlink()


def taken_over(folder: Path) -> WrittenFiles:
    """What an earlier run wrote into a folder; where its log is damaged, the folder is removed."""
    try:
        return WrittenFiles(folder)
    except LogDamaged:
        shutil.rmtree(folder)
        return WrittenFiles(folder)


def move_into(source: Path, destination: Path) -> None:
    """Move a finished file or folder to another name; does nothing when it is there already.

    Across file systems the copy is made under a temporary name first.
    """
    if destination.exists():
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(destination)
    except OSError:
        temporary = destination.with_name(f".{destination.name}.moving.tmp")
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
        shutil.copytree(source, temporary) if source.is_dir() else shutil.copy2(source, temporary)
        temporary.rename(destination)
    sync_folder(destination.parent)


def _is_as_written(path: Path, known: WrittenFile) -> bool:
    try:
        return path.stat().st_size == known.size_bytes and sha256_of(path) == known.sha256
    except FileNotFoundError:
        return False


def _line_of(entry: WrittenFile | Moved) -> bytes:
    said = msgspec.json.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(said), said)


def _entry_of(line: bytes) -> WrittenFile | Moved:
    check, _, said = line.partition(b" ")
    if check != b"%08x" % zlib.crc32(said):
        raise LogDamaged(line)
    return msgspec.json.decode(said, type=WrittenFile | Moved)
