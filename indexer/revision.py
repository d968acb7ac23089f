"""The next state of a bundle that is there already: what add, remove and compact have in common.

Segments never change, so a revision is a new manifest over old and new files. New files are made
in a work folder that belongs to one identity, as in a build: a revision may be killed at any
moment and started again, and until `CURRENT` is swapped the old state is live.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from pyroaring import BitMap

from atlas.bundle.bundle import (
    COARSE_FILE,
    CURVE_FILE,
    SEGMENTS,
    SPACES,
    read_space,
)
from atlas.bundle.files import atomic_write, remove_leftovers
from atlas.bundle.manifest import (
    FORMAT_VERSION,
    Manifest,
    SegmentEntry,
    SourceEntry,
    SpaceEntry,
)
from atlas.bundle.segment import ROWS, read_tombstones
from atlas.errors import BuildError
from indexer.carried import kept_files
from indexer.layers.built import LayerFiles
from indexer.living import StoredRows, list_living
from indexer.progress import Watcher
from indexer.stages.publish import Finished, publish_bundle
from indexer.state import State, begin_in, live_manifest, new_folders
from indexer.work import WorkFolder
from indexer.written import WrittenFiles


def require_live(root: Path) -> Manifest:
    """The live manifest of the bundle to revise; BuildError where there is no bundle."""
    base = live_manifest(root)
    if base is None:
        raise BuildError("start", f"there is no bundle in {root}: build one first")
    return base


def identity_after(base: Manifest, *what: object) -> str:
    """SHA-256, in hex, of a revision: what is done, and the state that it is done to."""
    said = msgspec.json.encode([base.number, base.identity, *what], order="sorted")
    return hashlib.sha256(said).hexdigest()


def work_folder(root: Path, name: str) -> WorkFolder:
    """Where the revision called `name` makes its files: beside the bundle."""
    return WorkFolder(root.with_name(f"{root.name}.work") / name)


class Revision:
    """A bundle's next state in the making; `publish` makes it live."""

    def __init__(
        self,
        root: Path,
        base: Manifest,
        work: WorkFolder,
        identity: str,
        watcher: Watcher,
        *,
        retrains: bool = False,
    ) -> None:
        """Begin the revision of `base` with this identity, or go on with it.

        One that `retrains` has a new folder for every space.
        """
        work.root.mkdir(parents=True, exist_ok=True)
        remove_leftovers(work.root)
        self.root = root
        self.base = base
        self.work = work
        self.state: State = begin_in(
            root,
            work,
            identity,
            lambda number: new_folders(root, base.spaces, number) if retrains else base.spaces,
            watcher.note,
        )
        self._written = WrittenFiles(work.assembly)
        self._retrains = retrains
        self.spaces = {entry.name: read_space(root, entry) for entry in base.spaces}
        self.watcher = watcher
        self._files: dict[str, Path] = {}
        self._curves: dict[str, str] = {}

    def noting(self) -> AbstractContextManager[None]:
        """Within this block files are finished that a later run may take over."""
        return self._written.noting()

    # -- where things are: in the work folder, or already at their final name

    def folder(self, segment: str) -> Path:
        """A segment of the bundle, old or new."""
        final = self.root / SEGMENTS / segment
        return final if final.exists() else self.work.segment(segment)

    def _file(self, final: str) -> Path:
        """A new single file of the bundle; where it was moved already it is not made again."""
        self._files[final] = self.work.assembly / "files" / final.replace("/", "-")
        moved = self.root / final
        return moved if moved.exists() else self._files[final]

    def space_folder(self, space: str) -> Path:
        """The folder of a space, old or new."""
        final = self.root / SPACES / self.state.space_folder(space)
        return final if final.exists() else self.work.space(space)

    def coarse(self, space: str) -> Path:
        """The trained index of a space, shared by all its segments."""
        return self.space_folder(space) / COARSE_FILE

    @property
    def catalog(self) -> Path:
        """The new catalog."""
        final = self.root / self.state.catalog_name
        return final if final.exists() else self.work.catalog

    def curve_file(self, entry: SpaceEntry) -> Path:
        """Where the curve of a space goes: a new folder has the first of its own."""
        name = f"curve-{self.state.number:06d}.json"
        if self._retrains:
            self._curves[entry.name] = CURVE_FILE
            return self.space_folder(entry.name) / CURVE_FILE
        self._curves[entry.name] = name
        return self._file(f"{SPACES}/{entry.folder}/{name}")

    # -- tombstones

    def removed(self, segment: SegmentEntry) -> BitMap:
        """The removed positions of a segment."""
        name = f"{SEGMENTS}/{segment.name}/{segment.tombstones}"
        new = self._files.get(name)
        if new is not None and new.exists():
            return read_tombstones(new)
        return read_tombstones(self.folder(segment.name) / segment.tombstones)

    def with_tombstones(self, segment: SegmentEntry, positions: BitMap) -> SegmentEntry:
        """The segment with these positions removed, too, in a file of its own."""
        name = f"tombstones-{self.state.number:06d}.roar"
        path = self._file(f"{SEGMENTS}/{segment.name}/{name}")
        if not path.exists():
            atomic_write(path, (self.removed(segment) | positions).serialize())
        return msgspec.structs.replace(segment, tombstones=name)

    # -- what follows from the rows

    def stored(self, segments: Sequence[SegmentEntry]) -> list[StoredRows]:
        """The row files of segments, with what was removed of them."""
        return [
            StoredRows(self.folder(segment.name) / ROWS, segment.first_row, self.removed(segment))
            for segment in segments
        ]

    @property
    def living(self) -> Path:
        """The rows that count."""
        return self.work.assembly / "living.parquet"

    def list_living(self, segments: Sequence[SegmentEntry]) -> int:
        """List the rows that count and number their taxa; returns how many there are."""
        if not self.living.exists():
            with self.watcher.stage("rows", 1, "list") as advance:
                list_living(
                    self.stored(segments),
                    self.base.ranks,
                    scratch=self.work.scratch,
                    living=self.living,
                    taxa=self.work.taxa,
                    names=self.work.taxon_names,
                )
                advance(1)
        return int(pq.read_metadata(self.living).num_rows)

    # -- the end

    def publish(
        self,
        segments: Sequence[SegmentEntry],
        sources: Sequence[SourceEntry],
        *,
        identity: str,
        rejects: Path | None = None,
        layers: LayerFiles | None = None,
    ) -> Manifest:
        """Make the new state live and return its manifest; `rejects` where there are new ones.

        Without `layers` the place layers stay as they are.
        """
        old = {segment.name for segment in self.base.segments}
        spaces = tuple(
            SpaceEntry(
                name=entry.name,
                folder=entry.folder,
                curve=self._curves.get(entry.name, entry.curve),
            )
            for entry in self.state.spaces
        )
        manifest = msgspec.structs.replace(
            self.base,
            format_version=FORMAT_VERSION,
            number=self.state.number,
            built_at=self.state.built_at,
            identity=identity,
            rows=sum(segment.rows for segment in segments),
            catalog=self.state.catalog_name,
            rejects=self.base.rejects if rejects is None else self.state.rejects_name,
            segments=tuple(segments),
            spaces=spaces,
            sources=tuple(sources),
            layers=self.base.layers if layers is None else layers.entries,
            files=(),
        )
        finished = Finished(
            segments={s.name: self.work.segment(s.name) for s in segments if s.name not in old},
            spaces={name: self.work.space(name) for name in self.spaces} if self._retrains else {},
            catalog=self.work.catalog,
            rejects=rejects,
            files=self._files | ({} if layers is None else layers.files),
        )
        with self.watcher.stage("publish", 0, "files") as advance:
            complete = publish_bundle(
                self.root,
                finished,
                manifest,
                written=self._written,
                progress=advance,
                kept=kept_files(self.base, manifest),
            )
        self.discard()
        return complete

    def discard(self) -> None:
        """Remove the work folder; the bundle stays as it is."""
        shutil.rmtree(self.work.root)
        with suppress(OSError):  # other work may lie beside it
            self.work.root.parent.rmdir()
