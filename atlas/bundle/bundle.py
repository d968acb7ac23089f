"""A verified bundle, opened for reading: what the server and `indexer verify` hold.

Immutable once open, so every thread may share it. Knows files and checksums, not questions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from atlas.bundle.files import sha256_of
from atlas.bundle.manifest import (
    FileEntry,
    Manifest,
    SpaceDescription,
    SpaceEntry,
    read_current,
    read_manifest,
    read_struct,
)
from atlas.bundle.segment import Segment
from atlas.errors import BundleError

Verification = Literal["full", "sizes"]
SEGMENTS = "segments"
SPACES = "spaces"
LAYERS = "layers"
SPACE_FILE = "space.json"
COARSE_FILE = "coarse.faiss"
CURVE_FILE = "curve.json"


def check_file(root: Path, entry: FileEntry, verification: Verification) -> BundleError | None:
    """What is wrong with one file, or None. `sizes` skips the checksum."""
    path = root / entry.path
    try:
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            return BundleError(path, f"holds {size_bytes} bytes where {entry.size_bytes} belong")
        if verification == "full" and sha256_of(path) != entry.sha256:
            return BundleError(path, "its checksum differs from the manifest's: it was damaged")
    except FileNotFoundError:
        return BundleError(path, "this file is missing")
    except OSError as error:  # most often the rights of another owner
        return BundleError(path, f"this file cannot be read: {error.strerror}")
    return None


def check_files(
    root: Path,
    entries: Iterable[FileEntry],
    verification: Verification,
    progress: Callable[[FileEntry], None] | None = None,
) -> list[BundleError]:
    """Every problem of these files, in the manifest's order; hashing runs in threads."""
    listed = tuple(entries)
    problems = []
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = pool.map(lambda entry: check_file(root, entry, verification), listed)
        for entry, problem in zip(listed, found, strict=True):
            if progress is not None:
                progress(entry)
            if problem is not None:
                problems.append(problem)
    return problems


class Bundle:
    """An open bundle. Rows are dense: segments follow each other without a hole."""

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        segments: tuple[Segment, ...],
        spaces: dict[str, SpaceDescription],
    ) -> None:
        """Use `Bundle.open`; the constructor only keeps what it is given."""
        self.root = root
        self.manifest = manifest
        self.segments = segments
        self.spaces = spaces

    @classmethod
    def open(
        cls,
        root: Path,
        verification: Verification = "full",
        *,
        verified: Collection[FileEntry] = (),
    ) -> Bundle:
        """Open the live bundle below `root`; BundleError names the first file at fault.

        Of the files in `verified`, whose checksums this program has compared already, only the
        size is compared again: files of a bundle never change.
        """
        manifest_path = read_current(root)
        manifest = read_manifest(manifest_path)
        known = frozenset(verified)
        problems = [
            *check_files(root, [e for e in manifest.files if e in known], "sizes"),
            *check_files(root, [e for e in manifest.files if e not in known], verification),
        ]
        if problems:
            raise problems[0]
        spaces = {entry.name: read_space(root, entry) for entry in manifest.spaces}
        dims = {name: space.dim for name, space in spaces.items()}
        segments = tuple(
            Segment(root / SEGMENTS / entry.name, entry, dims) for entry in manifest.segments
        )
        cls._check_dense(manifest_path, manifest)
        return cls(root, manifest, segments, spaces)

    @staticmethod
    def _check_dense(path: Path, manifest: Manifest) -> None:
        row = 0
        for entry in manifest.segments:
            if entry.first_row != row:
                raise BundleError(path, f"segment {entry.name} starts at {entry.first_row}")
            row += entry.rows
        if row != manifest.rows:
            raise BundleError(path, f"counts {manifest.rows} rows; its segments hold {row}")

    @property
    def catalog_path(self) -> Path:
        """The DuckDB file."""
        return self.root / self.manifest.catalog

    @property
    def living_rows(self) -> int:
        """Rows that were not removed."""
        return self.manifest.rows - sum(len(segment.tombstones) for segment in self.segments)

    def curve_path(self, space: str) -> Path:
        """Path of a space's measured recall; KeyError when there is no such space."""
        for entry in self.manifest.spaces:
            if entry.name == space:
                return self.root / SPACES / entry.folder / entry.curve
        raise KeyError(space)

    def picture(self, row_id: int) -> tuple[bytes, str] | None:
        """The hosted picture of a row and its media type; None where there is none."""
        for segment in self.segments:
            position = row_id - segment.first_row
            if 0 <= position < segment.rows:
                return segment.picture(position)
        raise IndexError(row_id)


def read_space(root: Path, entry: SpaceEntry) -> SpaceDescription:
    """Read a space's description; BundleError when it describes another space."""
    path = root / SPACES / entry.folder / SPACE_FILE
    space = read_struct(path, SpaceDescription)
    if space.name != entry.name:
        raise BundleError(path, f"describes space {space.name!r}, not {entry.name!r}")
    return space
