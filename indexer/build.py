"""The order of a build: read and embed every part, then hand them to the assembly.

The one place that wires sources, encoders, engine and stages. A build may be killed at any moment
and started again; it goes on where it was and ends with the same bundle. Workers import this module
for their jobs, so it imports torch, and what comes after the parts, only where they are used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq

from atlas.bundle.files import remove_leftovers
from atlas.bundle.manifest import Manifest
from atlas.errors import BuildError
from indexer.account import Parts
from indexer.alone import alone_in, alone_with
from indexer.embedding.decoders import workers_for
from indexer.embedding.lane import PictureJob
from indexer.embedding.part import PartFile
from indexer.engines.local import run_parts, worker_count
from indexer.identity import embed_identity, read_identity, ready_identity
from indexer.parts import PartReport, check_vectors, records_path
from indexer.plan import Plan
from indexer.plan_sections import EmbeddingsSection, SpaceSection
from indexer.progress import Watcher
from indexer.quality.curation import Curation, curation_of
from indexer.quality.exclusion import Exclusion, exclusion_of, report_unmet
from indexer.sources import Source, SourcePart, open_sources
from indexer.sources.url_list import UrlSource
from indexer.stages.embed import PictureWork, ReadyJob, embed_pictures, take_ready
from indexer.stages.read import read_part
from indexer.work import WorkFolder

if TYPE_CHECKING:
    from atlas.search.encoder import EncoderChoice, OpenClipEncoder

# Rows for which one more worker process is worth its start, a second or two of processor time.
_ROWS_PER_READER = 200_000
_TAKERS = 8


class Built(NamedTuple):
    """A finished build; `was_live` when nothing had changed since the bundle was built."""

    manifest: Manifest
    was_live: bool


class Prepared(NamedTuple):
    """Every part of a plan's sources with its vectors, and the encoders that made them."""

    sources: tuple[Source, ...]
    encoders: dict[str, OpenClipEncoder]
    parts: Parts


class Piece(NamedTuple):
    """One part of one source, on its way through the stages."""

    source: Source
    part: SourcePart


class _ReadJob(NamedTuple):
    source: Source
    part: SourcePart
    identity: str
    folder: Path
    curation: Curation
    exclusion: Exclusion | None


def build(plan: Plan, watcher: Watcher) -> Built:
    """Build the plan's bundle and make it live; resumes whatever an earlier run left.

    Raises PlanError for input that cannot be used and BuildError, naming the stage, where a build
    must stop: rows that do not add up, too many rejects, too little recall.
    """
    from indexer.assemble import Assembly  # noqa: PLC0415 - slow, see above
    from indexer.state import begin, identity_of, live_manifest  # noqa: PLC0415 - slow, see above
    from indexer.stops import clear_stops  # noqa: PLC0415 - slow, see above

    work = WorkFolder(plan.output.work_folder())
    begun_ns = time.time_ns()
    with clear_stops(), alone_in(work.root), alone_with(plan.output.bundle):
        sources, encoders, parts = prepare(plan, work, watcher)
        identity = identity_of(plan, parts)
        live = live_manifest(plan.output.bundle)
        if live is not None and live.identity == identity:
            return Built(manifest=live, was_live=True)
        check_vectors([work.read, work.embed], parts.embedded.values(), begun_ns)
        state = begin(plan, work, identity, watcher.note)
        assembly = Assembly(plan, state, sources, encoders, parts, watcher)
        return Built(manifest=assembly.run(), was_live=False)


def prepare(
    plan: Plan,
    work: WorkFolder,
    watcher: Watcher,
    check: Callable[[Mapping[str, OpenClipEncoder]], None] | None = None,
) -> Prepared:
    """Read and embed every part of the plan's sources; parts that are finished are not done again.

    `check` is called with the encoders before they are put to work.
    """
    remove_leftovers(work.root)
    sources = open_sources(plan)
    watcher.note(f"{plan.atlas.title}: {plan.path.name} -> {plan.output.bundle}")
    pieces = [Piece(source, part) for source in sources for part in source.parts()]
    if not pieces:
        raise BuildError("read", "the sources hold no rows")
    read = _read(plan, work, pieces, watcher)
    encoders = _load_encoders(plan, sources, watcher)
    if check is not None:
        check(encoders)
    if plan.spaces:
        _fetch(work, pieces, read, watcher)
    embedded = _embed(plan, work, pieces, read, encoders, watcher)
    source_of = {piece.part.name: piece.source.settings.key for piece in pieces}
    return Prepared(sources, encoders, Parts(source_of=source_of, read=read, embedded=embedded))


def _read_job(job: _ReadJob) -> PartReport:
    return read_part(
        job.source,
        job.part,
        identity=job.identity,
        folder=job.folder,
        curate=job.curation.apply,
        exclusion=job.exclusion,
    )


def _read(
    plan: Plan, work: WorkFolder, pieces: list[Piece], watcher: Watcher
) -> dict[str, PartReport]:
    """Reports of the read stage by part, in the order of the sources."""
    curation, exclusion = curation_of(plan), exclusion_of(plan)
    identity = curation.identity + ("" if exclusion is None else exclusion.digest)
    jobs = [
        _ReadJob(
            piece.source,
            piece.part,
            read_identity(plan, piece.source, piece.part, identity),
            work.read,
            curation,
            exclusion,
        )
        for piece in pieces
    ]
    rows = sum(piece.part.rows for piece in pieces)
    workers = _workers(plan, pieces, _ROWS_PER_READER)
    reports: dict[str, PartReport] = {}
    with watcher.stage("read", rows, "rows") as advance:
        for report in run_parts(_read_job, jobs, workers):
            reports[report.part] = report
            advance(report.rows_in)
    if exclusion is not None:
        report_unmet(exclusion, work, sorted(reports), watcher)
    return {piece.part.name: reports[piece.part.name] for piece in pieces}


def _fetch(
    work: WorkFolder, pieces: list[Piece], read: Mapping[str, PartReport], watcher: Watcher
) -> None:
    """Fetch the photos of lists of addresses, each list's hosts at once, before any is embedded."""
    parts: dict[str, list[str]] = {}
    sources: dict[str, UrlSource] = {}
    for source, part in pieces:
        if isinstance(source, UrlSource):
            sources[part.source_key] = source
            parts.setdefault(part.source_key, []).append(part.name)
    for key, source in sources.items():
        rows = sum(read[name].rows_out for name in parts[key])
        files = (records_path(work.read, name) for name in parts[key])
        addresses = (
            address
            for file in files
            for address in pq.read_table(file, columns=["media_ref"])["media_ref"].to_pylist()
        )
        with watcher.stage("fetch", rows, "photos") as advance:
            source.fetch(addresses, advance)


def _load_encoders(
    plan: Plan, sources: tuple[Source, ...], watcher: Watcher
) -> dict[str, OpenClipEncoder]:
    """The encoders that pictures go through; none where all vectors come ready."""
    if all(_ready_spaces(plan, source) is not None for source in sources):
        return {}
    from atlas.search.encoder import load_encoder  # noqa: PLC0415 - slow, see above

    encoders = {}
    for space in plan.spaces:
        encoders[space.name] = load_encoder(encoder_choice(space))
        watcher.note(
            f"encoder {space.encoder}: {encoders[space.name].dim} dimensions, "
            f"{encoders[space.name].device}, {encoders[space.name].dtype}"
            + (", compiled" if encoders[space.name].compiled else "")
        )
    return encoders


def encoder_choice(space: SpaceSection) -> EncoderChoice:
    """How a plan's space loads its encoder."""
    from atlas.search.encoder import EncoderChoice  # noqa: PLC0415 - slow, see above

    return EncoderChoice(
        spec=space.encoder,
        pretrained=space.pretrained,
        device=space.device,
        dtype=space.dtype,
        batch_size=space.batch_size,
        compile=space.compile,
    )


def _embed(
    plan: Plan,
    work: WorkFolder,
    pieces: list[Piece],
    read: Mapping[str, PartReport],
    encoders: Mapping[str, OpenClipEncoder],
    watcher: Watcher,
) -> dict[str, PartReport]:
    """Reports of the embed stage by part, in the order of the sources.

    Parts without pictures are taken over as they are, which is a few links. Pictures go through the
    models in this process, one thread a device: a model fills its device, and a CPU, by itself, and
    a copy in every worker would only share it.
    """
    fingerprints = {name: encoder.fingerprint for name, encoder in encoders.items()}
    rows = sum(report.rows_out for report in read.values())
    reports: dict[str, PartReport] = {}
    pictures: list[Piece] = []
    ready: list[ReadyJob] = []
    with watcher.stage("embed", rows, "images") as advance:
        for piece in pieces:
            name, spaces = piece.part.name, _ready_spaces(plan, piece.source)
            if spaces is None:
                pictures.append(piece)
                continue
            file = PartFile(work.embed, name, ready_identity(plan, read[name]))
            ready.append(ReadyJob(file, work.read, spaces))
        # A few links a part, each synced: the disk takes several at a time.
        with ThreadPoolExecutor(_TAKERS, "ready") as pool:
            for report in pool.map(take_ready, ready):
                reports[report.part] = report
                advance(report.rows_in)
        if pictures:
            jobs = (_picture_job(plan, work, piece, fingerprints) for piece in pictures)
            sources = {piece.source.settings.key: piece.source for piece in pictures}
            for report in embed_pictures(_picture_work(plan, sources, encoders), jobs, advance):
                reports[report.part] = report
    return {piece.part.name: reports[piece.part.name] for piece in pieces}


def _picture_job(
    plan: Plan, work: WorkFolder, piece: Piece, fingerprints: Mapping[str, str]
) -> PictureJob:
    name = piece.part.name
    identity = embed_identity(plan, piece.source, work.read, name, fingerprints)
    file = PartFile(work.embed, name, identity)
    return PictureJob(file, work.read, piece.source.settings.key)


def _picture_work(
    plan: Plan, sources: Mapping[str, Source], encoders: Mapping[str, OpenClipEncoder]
) -> PictureWork:
    """Lanes for every device of the plan, and the workers that keep them fed."""
    from atlas.search.devices import devices_for_building  # noqa: PLC0415 - slow, see above

    devices = {space.name: devices_for_building(space.device) for space in plan.spaces}
    lanes = [
        {
            name: encoder.on(devices[name][at % len(devices[name])])
            for name, encoder in encoders.items()
        }
        for at in range(max(len(names) for names in devices.values()))
    ]
    return PictureWork(
        sources=sources,
        lanes=lanes,
        media=plan.media,
        stall_s=plan.workers.stall_s,
        workers=workers_for(
            plan.workers.decode_processes,
            plan.workers.decode_threads,
            devices=len(lanes),
            on_gpu=any(encoder.device.type != "cpu" for encoder in encoders.values()),
        ),
    )


def _ready_spaces(plan: Plan, source: Source) -> tuple[str, ...] | None:
    """The spaces whose vectors a source brings; None where it brings pictures to make them from.

    In a plan without spaces no source brings pictures.
    """
    if not plan.spaces:
        return ()
    settings = source.settings
    return (settings.space,) if isinstance(settings, EmbeddingsSection) else None


def _workers(plan: Plan, pieces: list[Piece], rows_each: int) -> int:
    """Worker processes worth starting: few rows are done sooner in this one."""
    worth = sum(piece.part.rows for piece in pieces) // rows_each
    return max(1, min(worker_count(plan.workers.count), len(pieces), worth))
