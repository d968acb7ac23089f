"""Adds the sources of a plan to a bundle that is there already, as new segments of it.

Old segments stay byte for byte, and the trained indexes take the new rows as they are. The rows
are read, embedded and sorted as in a build; what is written anew is the catalog.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from atlas.bundle.bundle import read_space
from atlas.bundle.manifest import Manifest, SegmentEntry, SourceEntry, SpaceDescription
from atlas.errors import BuildError, PlanError
from atlas.search.encoder import OpenClipEncoder
from indexer.account import SourceAccount, account_of, check_rejects, write_rejects
from indexer.alone import alone_in, alone_with
from indexer.build import Built
from indexer.captions import caption_queries
from indexer.layers.built import layers_with
from indexer.parts import check_vectors, records_path, rejects_path, vectors_path
from indexer.plan import Plan
from indexer.plan_sections import OutputSection
from indexer.prepare import Prepared, prepare
from indexer.progress import Watcher
from indexer.quality.sensitive_taxa import SensitiveTaxa
from indexer.revised_catalog import write_revised_catalog
from indexer.revised_spaces import encode_segments, measure_spaces
from indexer.revision import Revision, identity_after, require_live
from indexer.stages.admit import admit_rows
from indexer.stages.sort import SORT_STEPS, cut_segments, order_rows, write_segment
from indexer.state import identity_of
from indexer.stops import clear_stops
from indexer.work import PartFiles, WorkFolder


def add(plan: Plan, root: Path, watcher: Watcher) -> Built:
    """Add the plan's sources to the live bundle in `root`; resumes whatever an earlier run left.

    Raises PlanError where the plan does not fit the bundle, and BuildError as a build does.
    """
    require_live(root)
    output = OutputSection(bundle=root, work=plan.output.work)
    plan = msgspec.structs.replace(plan, output=output)
    work = WorkFolder(output.work_folder())
    begun_ns = time.time_ns()
    with clear_stops(), alone_in(work.root), alone_with(root):
        base = require_live(root)
        own = WorkFolder(work.root / "add")
        spaces = {entry.name: read_space(root, entry) for entry in base.spaces}
        _check_settings(plan, base, spaces)
        prepared = prepare(plan, work, watcher, partial(_check_weights, plan, spaces, watcher))
        said = f"add {identity_of(plan, prepared.parts)}"
        added = hashlib.sha256(said.encode()).hexdigest()
        if base.identity == added:
            shutil.rmtree(own.root, ignore_errors=True)
            return Built(manifest=base, was_live=True)
        check_vectors([work.read, work.embed], prepared.parts.embedded.values(), begun_ns)
        revision = Revision(root, base, own, identity_after(base, added), watcher)
        addition = Addition(plan, revision, prepared, work, watcher)
        with revision.noting():
            return Built(manifest=addition.run(added), was_live=False)


class Addition:
    """One addition; `run` goes through the steps in order."""

    def __init__(
        self,
        plan: Plan,
        revision: Revision,
        prepared: Prepared,
        work: WorkFolder,
        watcher: Watcher,
    ) -> None:
        """Keep what the steps need; nothing is touched before `run`."""
        self._plan = plan
        self._revision = revision
        self._prepared = prepared
        self._parts = work
        self._work = revision.work
        self._watcher = watcher
        self._files = [
            PartFiles(
                records=records_path(work.embed, name),
                rejects=rejects_path(work.embed, name),
                vectors={space: vectors_path(work.embed, name, space) for space in report.dims},
            )
            for name, report in prepared.parts.embedded.items()
        ]

    def run(self, identity: str) -> Manifest:
        """Make the bundle with the new rows live and return its manifest."""
        base, revision, plan = self._revision.base, self._revision, self._plan
        self._check_dims()
        rows = self._sort()
        refused = self._work.assembly / "rejects-added.parquet"
        if not refused.exists():
            self._write_rejects(refused)
        accounts = account_of(self._prepared.parts, rows, refused)
        check_rejects(accounts, plan.rejects.max_share, refused)
        added = self._write_segments(rows)
        segments = (*base.segments, *added)
        encode_segments(revision, added)
        sources = self._sources(accounts)
        living = revision.list_living(segments)
        counted = sum(source.rows_out - source.removed for source in sources)
        if living != counted:
            raise BuildError("account", f"{counted} rows in all accounts, but {living} in segments")
        write_revised_catalog(
            revision, segments, sources, hosted=plan.media.host, living=revision.living
        )
        taxa = pq.read_table(self._work.taxa)
        captions = {
            space.name: caption_queries(
                taxa,
                revision.spaces[space.name].prompts,
                self._prepared.encoders[space.name],
                plan.measure.queries,
                plan.index.seed,
            )
            for space in plan.spaces
            if space.name in self._prepared.encoders
        }
        measure_spaces(revision, segments, captions, plan.measure, plan.index.seed)
        layers = layers_with(
            base.layers,
            plan.layers,
            [(segment.name, revision.folder(segment.name)) for segment in added],
            root=revision.root,
            work=self._work.layers,
            number=revision.state.number,
            watcher=self._watcher,
        )
        return revision.publish(
            segments, sources, identity=identity, rejects=self._work.rejects, layers=layers
        )

    def _check_dims(self) -> None:
        for space, dim in self._prepared.parts.dims.items():
            wanted = self._revision.spaces[space].dim
            if dim != wanted:
                raise BuildError(
                    "sort", f"space {space!r} of the bundle has {wanted} dimensions, not {dim}"
                )

    def _sort(self) -> int:
        """Order the rows that are new to the bundle; returns how many there are."""
        work = self._work
        admitted = work.assembly / "admitted.parquet"
        if not work.order.exists():
            with self._watcher.stage("sort", SORT_STEPS, "steps") as advance:
                # Numbers among the new taxa alone give the same order as among all: both follow
                # from the names. The catalog is given those of the whole tree.
                order_rows(
                    self._files,
                    self._plan.taxa.ranks,
                    scratch=work.scratch,
                    order=work.order,
                    taxa=work.assembly / "taxa-added.parquet",
                    names=work.assembly / "names-added.parquet",
                    duplicates=work.duplicates,
                    progress=advance,
                )
        if not admitted.exists():
            admit_rows(
                self._files,
                self._revision.root / self._revision.base.catalog,
                order=work.order,
                first_row=self._revision.base.rows,
                scratch=work.scratch,
                admitted=admitted,
                duplicates=work.assembly / "held.parquet",
            )
        return int(pq.read_metadata(admitted).num_rows)

    def _write_rejects(self, path: Path) -> None:
        """What was refused of the new rows, and behind it all that the bundle ever refused."""
        read = (rejects_path(self._parts.read, name) for name in self._prepared.parts.read)
        embedded = (files.rejects for files in self._files)
        held = self._work.assembly / "held.parquet"
        before = self._revision.root / self._revision.base.rejects
        new = [*read, *embedded, self._work.duplicates, held]
        write_rejects([before, *new], self._work.rejects)
        # Last, so it stands for both.
        write_rejects(new, path)

    def _write_segments(self, rows: int) -> list[SegmentEntry]:
        first_row = self._revision.base.rows
        hosts = bool(self._plan.media.host)
        first_segment = self._revision.state.first_segment
        entries = []
        with self._watcher.stage("segments", rows, "rows") as advance:
            for cut in cut_segments(rows, self._plan.index.segment_rows, first_segment):
                placed = msgspec.structs.replace(cut, first_row=cut.first_row + first_row)
                write_segment(
                    self._files,
                    self._prepared.parts.dims,
                    placed,
                    order=self._work.assembly / "admitted.parquet",
                    scratch=self._work.scratch,
                    folder=self._revision.folder(cut.name),
                    hosts_pictures=hosts,
                    progress=advance,
                )
                entries.append(
                    SegmentEntry(
                        name=placed.name,
                        first_row=placed.first_row,
                        rows=placed.rows,
                        hosts_pictures=hosts,
                    )
                )
        return entries

    def _sources(self, accounts: Mapping[str, SourceAccount]) -> list[SourceEntry]:
        """The accounts of all sources; one that has brought rows before adds up."""
        sources = {source.key: source for source in self._revision.base.sources}
        for source in self._prepared.sources:
            settings = source.settings
            if settings.key not in accounts:
                continue
            account = accounts[settings.key]
            before = sources.get(settings.key)
            rejects = dict(before.rejects if before else {})
            for reason, count in account.rejects.items():
                rejects[reason] = rejects.get(reason, 0) + count
            sources[settings.key] = SourceEntry(
                key=settings.key,
                kind=str(settings.__struct_config__.tag),
                title=settings.title,
                citation=settings.citation,
                licence=settings.licence,
                url=settings.url,
                rows_in=account.rows_in + (before.rows_in if before else 0),
                rows_out=account.rows_out + (before.rows_out if before else 0),
                rejects=dict(sorted(rejects.items())),
                removed=before.removed if before else 0,
            )
        return list(sources.values())


def _check_settings(plan: Plan, base: Manifest, spaces: Mapping[str, SpaceDescription]) -> None:
    """Raise PlanError unless rows of this plan can stand beside those of the bundle."""
    for what, planned, held in (
        ("taxa.ranks", list(plan.taxa.ranks), list(base.ranks)),
        ("cells.resolution", plan.cells.resolution, base.cell_resolution),
        ("spaces", sorted(space.name for space in plan.spaces), sorted(spaces)),
    ):
        if planned != held:
            raise PlanError(plan.path, f"{what}: {planned}, but the bundle has {held}")
    if SensitiveTaxa.read(plan.sensitive.table).digest != base.sensitive:
        raise PlanError(
            plan.path,
            "sensitive.table: the bundle was built with another table, or with none; a taxon whose "
            "places are hidden in some rows only would be found in the others. Build it anew",
        )


def _check_weights(
    plan: Plan,
    spaces: Mapping[str, SpaceDescription],
    watcher: Watcher,
    encoders: Mapping[str, OpenClipEncoder],
) -> None:
    """Raise PlanError where the plan's vectors are of other weights than the bundle's.

    Vectors that come ready are as good as what the plan states of them.
    """
    for section in plan.spaces:
        space, encoder = spaces[section.name], encoders.get(section.name)
        stated = encoder.fingerprint if encoder else section.fingerprint
        if space.fingerprint is None:
            watcher.note(f"weights not compared: space {space.name} of the bundle states none")
        elif stated != space.fingerprint:
            raise PlanError(
                plan.path,
                f"spaces: the weights of {section.name!r} have fingerprint "
                f"{stated[:12] if stated else 'unknown'}; those that made the bundle's vectors "
                f"have {space.fingerprint}",
            )
        dim = encoder.dim if encoder else section.dim
        if dim not in {None, space.dim}:
            raise PlanError(
                plan.path,
                f"spaces: {section.name!r} has {dim} dimensions; the bundle has {space.dim}",
            )
