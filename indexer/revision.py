"""The next state of a bundle that is there already: what add, remove and compact have in common.

Segments never change, so a revision is a new manifest over old and new files. New files are made
in a work folder that belongs to one identity, as in a build: a revision may be killed at any
moment and started again, and until `CURRENT` is swapped the old state is live.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from pyroaring import BitMap

from atlas.bundle.bundle import (
    COARSE_FILE,
    CURVE_FILE,
    SEGMENTS,
    SPACE_FILE,
    SPACES,
    read_space,
)
from atlas.bundle.files import atomic_write, remove_leftovers
from atlas.bundle.manifest import (
    FORMAT_VERSION,
    Manifest,
    SegmentEntry,
    SourceEntry,
    SpaceDescription,
    SpaceEntry,
    encode_json,
)
from atlas.bundle.segment import ROWS, read_tombstones, vectors_name
from atlas.errors import BuildError
from atlas.search.curve import Curve
from atlas.search.torch_codes import choose_device
from indexer.carried import burst_rule, hosted_licences, kept_files, map_storage
from indexer.fit import SegmentFolder
from indexer.indexing import index_space
from indexer.layers.built import LayerFiles
from indexer.living import StoredRows, list_living
from indexer.measuring import curve_of, measure_into, measured_segment
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Watcher
from indexer.stages.catalog import (
    STEPS,
    CatalogInput,
    SegmentVectors,
    SourceRow,
    write_catalog,
)
from indexer.stages.encode import encode_rows
from indexer.stages.measure import QuerySet
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
        self._watcher = watcher
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
            with self._watcher.stage("rows", 1, "list") as advance:
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

    def write_catalog(
        self,
        segments: Sequence[SegmentEntry],
        sources: Sequence[SourceEntry],
        *,
        hosted: Sequence[str] = (),
        living: Path | None = None,
    ) -> None:
        """Write the catalog of these segments; `hosted` are further licences of kept pictures."""
        path = self.root / self.state.catalog_name
        bursts = burst_rule(self.root / self.base.catalog, self.base.spaces)
        with self._watcher.stage("catalog", STEPS, "steps") as advance:
            given = CatalogInput(
                rows=tuple(self.folder(segment.name) / ROWS for segment in segments),
                taxa=self.work.taxa,
                names=self.work.taxon_names,
                sources=tuple(
                    SourceRow(**{name: getattr(s, name) for name in SourceRow.__struct_fields__})
                    for s in sources
                ),
                hosted_licences=(*hosted_licences(self.root / self.base.catalog), *hosted),
                finest=self.base.cell_resolution,
                living=living,
                storage=map_storage(self.root / self.base.catalog),
                bursts=bursts,
                vectors=tuple(
                    SegmentVectors(
                        path=self.folder(segment.name) / vectors_name(bursts.space),
                        first_row=segment.first_row,
                        rows=segment.rows,
                        dim=self.spaces[bursts.space].dim,
                    )
                    for segment in segments
                    if bursts.space
                ),
            )
            catalog = path if path.exists() else self.work.catalog
            write_catalog(given, catalog, self.work.scratch, advance)

    # -- vectors

    def encode(self, segments: Sequence[SegmentEntry]) -> None:
        """Put new segments into the inverted lists of every space that has a trained index."""
        for space in self.spaces.values():
            if space.factory is None:
                continue
            rows, device = sum(segment.rows for segment in segments), choose_device("auto")
            with self._watcher.stage("encode", rows, "rows") as advance:
                for segment in segments:
                    folder, trained = self.folder(segment.name), self.coarse(space.name)
                    encode_rows(
                        folder,
                        space.name,
                        segment.rows,
                        space.dim,
                        trained,
                        device=device,
                        progress=advance,
                    )

    def retrain(
        self, segments: Sequence[SegmentEntry], settings: IndexSection, order: Path
    ) -> None:
        """Train the index of every space anew on all rows, and fill the new segments' lists.

        The kind of each index stays, its number of lists follows the rows. `order` has `taxon_id`
        of all rows in their order.
        """
        folders = [SegmentFolder(self.folder(segment.name), segment.rows) for segment in segments]
        for name, space in self.spaces.items():
            wanted = settings
            if space.factory is not None:
                kind = re.sub(r"IVF\d+", "IVF{n}", space.factory)
                wanted = msgspec.structs.replace(settings, factory=kind, exact_below=0)
            folder = self.space_folder(name)
            folder.mkdir(parents=True, exist_ok=True)
            factory = index_space(
                name,
                space.dim,
                folders,
                wanted,
                order=order,
                folder=folder,
                watcher=self._watcher,
            )
            self.spaces[name] = msgspec.structs.replace(space, factory=factory)
            if not (folder / SPACE_FILE).exists():
                atomic_write(folder / SPACE_FILE, encode_json(self.spaces[name]))

    def measure(
        self,
        segments: Sequence[SegmentEntry],
        captions: Mapping[str, QuerySet],
        settings: MeasureSection,
        seed: int,
    ) -> None:
        """Measure every space over all its vectors; BuildError where recall is too low.

        `captions` are text-like queries by space, where its encoder is at hand.
        """
        for entry in self.base.spaces:
            space = self.spaces[entry.name]

            def curve(space: SpaceDescription = space) -> Curve:
                measured = [
                    measured_segment(
                        self.folder(segment.name),
                        space.name,
                        first_row=segment.first_row,
                        rows=segment.rows,
                        dim=space.dim,
                    )
                    for segment in segments
                ]
                asked = captions.get(space.name)
                return curve_of(space.name, measured, asked, settings, seed, self._watcher)

            path = self._curve_file(entry)
            measure_into(path, entry.name, curve, settings.recall_target, self._watcher)

    def _curve_file(self, entry: SpaceEntry) -> Path:
        """Where the curve of a space goes: a new folder has the first of its own."""
        name = f"curve-{self.state.number:06d}.json"
        if self._retrains:
            self._curves[entry.name] = CURVE_FILE
            return self.space_folder(entry.name) / CURVE_FILE
        self._curves[entry.name] = name
        return self._file(f"{SPACES}/{entry.folder}/{name}")

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
        with self._watcher.stage("publish", 0, "files") as advance:
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
