"""From embedded parts to the live bundle: sort, train, encode, catalog, measure, publish.

Wires the stages that see all parts at once. Everything lies in one assembly folder, which belongs
to one identity: the parts' identities and the settings that shape the bundle. A step whose files
are there is not done again; one killed half-way left none.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from atlas.bundle.bundle import CURVE_FILE, SEGMENTS, SPACE_FILE, SPACES
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import Manifest, SourceEntry, encode_json, read_struct
from atlas.bundle.segment import ROWS, vectors_name
from atlas.search.curve import Curve
from atlas.search.encoder import OpenClipEncoder
from indexer.account import Parts, account_of, check_rejects, write_rejects
from indexer.captions import caption_queries
from indexer.described import (
    manifest_of,
    source_entries,
    source_rows,
    space_description,
)
from indexer.fit import SegmentFolder
from indexer.indexing import index_space
from indexer.layers.built import LayerFiles, layers_of_build
from indexer.parts import records_path, rejects_path, vectors_path
from indexer.plan import Plan
from indexer.progress import Watcher
from indexer.recall import check_recall, measure_recall, segment_in
from indexer.sources import Source
from indexer.stages.catalog import (
    STEPS,
    BurstRule,
    CatalogInput,
    MapStorage,
    SegmentVectors,
    write_catalog,
)
from indexer.stages.measure import QuerySet
from indexer.stages.publish import Finished, publish_bundle
from indexer.stages.sort import SORT_STEPS, SegmentSlice, cut_segments, order_rows, write_segment
from indexer.state import State
from indexer.work import PartFiles, WorkFolder
from indexer.written import WrittenFiles


class Assembly:
    """One assembly; `run` goes through the steps in order."""

    def __init__(
        self,
        plan: Plan,
        state: State,
        sources: tuple[Source, ...],
        encoders: Mapping[str, OpenClipEncoder],
        parts: Parts,
        watcher: Watcher,
    ) -> None:
        """Keep what the steps need; nothing is touched before `run`."""
        self._plan = plan
        self._state = state
        self._sources = sources
        self._encoders = encoders
        self._parts = parts
        self._watcher = watcher
        self._root = plan.output.bundle
        self._work = WorkFolder(plan.output.work_folder())
        self._dims = parts.dims
        self._written = WrittenFiles(self._work.assembly)

    def run(self) -> Manifest:
        """Make the bundle live and return its manifest.

        Raises BuildError where rows do not add up, rejects are too many or recall is too low.
        """
        with self._written.noting():
            return self._steps()

    def _steps(self) -> Manifest:
        self._sort()
        accounts = account_of(self._parts, self._rows, self._rejects)
        check_rejects(accounts, self._plan.rejects.max_share, self._rejects)
        self._write_segments()
        factories = {space: self._index(space) for space in self._dims}
        self._describe_spaces(factories)
        self._write_catalog()
        layers = layers_of_build(
            self._plan.layers,
            [(cut.name, self._folder(cut)) for cut in self._cuts],
            root=self._root,
            work=self._work.layers,
            number=self._state.number,
            made_at=self._state.built_at,
            watcher=self._watcher,
        )
        self._measure()
        return self._publish(source_entries(self._sources, accounts), layers)

    # -- where things are: in the work folder, or already at their final name

    def _place(self, unfinished: Path, final: str) -> Path:
        """A file or folder of this build: what was moved already is not made again."""
        moved = self._root / final
        return moved if moved.exists() else unfinished

    def _folder(self, cut: SegmentSlice) -> Path:
        return self._place(self._work.segment(cut.name), f"{SEGMENTS}/{cut.name}")

    def _space(self, space: str) -> Path:
        return self._place(self._work.space(space), f"{SPACES}/{self._state.space_folder(space)}")

    @property
    def _catalog(self) -> Path:
        return self._place(self._work.catalog, self._state.catalog_name)

    @property
    def _rejects(self) -> Path:
        return self._place(self._work.rejects, self._state.rejects_name)

    @cached_property
    def _files(self) -> list[PartFiles]:
        folder = self._work.embed
        return [
            PartFiles(
                records=records_path(folder, name),
                rejects=rejects_path(folder, name),
                vectors={space: vectors_path(folder, name, space) for space in report.dims},
            )
            for name, report in self._parts.embedded.items()
        ]

    @cached_property
    def _rows(self) -> int:
        return int(pq.read_metadata(self._work.order).num_rows)

    @cached_property
    def _cuts(self) -> list[SegmentSlice]:
        return cut_segments(self._rows, self._plan.index.segment_rows, self._state.first_segment)

    # -- the steps

    def _sort(self) -> None:
        if not self._work.order.exists():
            with self._watcher.stage("sort", SORT_STEPS, "steps") as advance:
                order_rows(
                    self._files,
                    self._plan.taxa.ranks,
                    scratch=self._work.scratch,
                    order=self._work.order,
                    taxa=self._work.taxa,
                    names=self._work.taxon_names,
                    duplicates=self._work.duplicates,
                    progress=advance,
                )
        if not self._rejects.exists():
            read = (rejects_path(self._work.read, name) for name in self._parts.read)
            embedded = (files.rejects for files in self._files)
            write_rejects([*read, *embedded, self._work.duplicates], self._work.rejects)

    def _write_segments(self) -> None:
        with self._watcher.stage("segments", self._rows, "rows") as advance:
            for cut in self._cuts:
                write_segment(
                    self._files,
                    self._dims,
                    cut,
                    order=self._work.order,
                    scratch=self._work.scratch,
                    folder=self._folder(cut),
                    hosts_pictures=bool(self._plan.media.host),
                    progress=advance,
                )

    def _index(self, space: str) -> str | None:
        """Train and encode one space; returns its factory string, None for exact search."""
        return index_space(
            space,
            self._dims[space],
            [SegmentFolder(self._folder(cut), cut.rows) for cut in self._cuts],
            self._plan.index,
            order=self._work.order,
            folder=self._space(space),
            watcher=self._watcher,
        )

    def _describe_spaces(self, factories: dict[str, str | None]) -> None:
        for section in self._plan.spaces:
            path = self._space(section.name) / SPACE_FILE
            if path.exists() or section.name not in self._dims:
                continue
            description = space_description(
                section,
                self._dims[section.name],
                self._encoders.get(section.name),
                factories[section.name],
            )
            atomic_write(path, encode_json(description))

    def _write_catalog(self) -> None:
        # The first space stands for all: what repeats a photo does not depend on who asks.
        space = next((entry.name for entry in self._plan.spaces if entry.name in self._dims), "")
        given = CatalogInput(
            rows=tuple(self._folder(cut) / ROWS for cut in self._cuts),
            taxa=self._work.taxa,
            names=self._work.taxon_names,
            sources=source_rows(self._sources),
            hosted_licences=self._plan.media.host,
            finest=self._plan.cells.resolution,
            storage=MapStorage(species_resolutions=self._plan.cells.species_resolutions),
            bursts=BurstRule(
                space=space,
                least_cosine=self._plan.duplicates.burst_cosine,
                near_rows=self._plan.duplicates.burst_rows,
            ),
            vectors=tuple(
                SegmentVectors(
                    path=self._folder(cut) / vectors_name(space),
                    first_row=cut.first_row,
                    rows=cut.rows,
                    dim=self._dims[space],
                )
                for cut in self._cuts
                if space
            ),
        )
        with self._watcher.stage("catalog", STEPS, "steps") as advance:
            write_catalog(given, self._catalog, self._work.scratch, advance)

    def _measure(self) -> None:
        """Measure every space and stop the build where it falls short of the plan."""
        for space in self._dims:
            path = self._space(space) / CURVE_FILE
            if not path.exists():
                atomic_write(path, encode_json(self._curve(space)))
            check_recall(read_struct(path, Curve), self._plan.measure, self._watcher)

    def _curve(self, space: str) -> Curve:
        segments = [
            segment_in(
                self._folder(cut),
                space,
                first_row=cut.first_row,
                rows=cut.rows,
                dim=self._dims[space],
            )
            for cut in self._cuts
        ]
        return measure_recall(
            space,
            segments,
            self._captions(space),
            queries=self._plan.measure.queries,
            k=self._plan.measure.k,
            seed=self._plan.index.seed,
            watcher=self._watcher,
        )

    def _captions(self, space: str) -> QuerySet | None:
        """Captions of taxa as queries, where the space's encoder is at hand."""
        if space not in self._encoders:
            return None
        section = next(entry for entry in self._plan.spaces if entry.name == space)
        return caption_queries(
            pq.read_table(self._work.taxa),
            section.prompts,
            self._encoders[space],
            self._plan.measure.queries,
            self._plan.index.seed,
        )

    def _publish(self, sources: tuple[SourceEntry, ...], layers: LayerFiles) -> Manifest:
        manifest = manifest_of(self._plan, self._state, self._cuts, sources, layers, self._dims)
        finished = Finished(
            segments={cut.name: self._work.segment(cut.name) for cut in self._cuts},
            spaces={space: self._work.space(space) for space in self._dims},
            catalog=self._work.catalog,
            rejects=self._work.rejects,
            files=layers.files,
        )
        with self._watcher.stage("publish", 0, "files") as advance:
            complete = publish_bundle(
                self._root, finished, manifest, written=self._written, progress=advance
            )
        shutil.rmtree(self._work.assembly)
        return complete
