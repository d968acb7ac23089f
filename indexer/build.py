"""The order of a build: read and embed every part, then hand them to the assembly.

The one place that wires sources, encoders, engine and stages. A build may be killed at any moment
and started again; it goes on where it was and ends with the same bundle. Workers import this module
for their jobs, so it imports torch, and what comes after the parts, only where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from atlas.bundle.files import remove_leftovers
from atlas.bundle.manifest import Manifest
from atlas.errors import BuildError
from indexer.account import Parts
from indexer.alone import alone_in, alone_with
from indexer.engines.local import run_parts, worker_count
from indexer.identity import embed_identity, read_identity, ready_identity
from indexer.parts import PartReport
from indexer.plan import Plan
from indexer.plan_sections import EmbeddingsSection, SpaceSection
from indexer.progress import Watcher
from indexer.quality.curation import Curation, curation_of
from indexer.quality.exclusion import Exclusion, exclusion_of, report_unmet
from indexer.sources import Source, SourcePart, open_sources
from indexer.stages.embed import EmbedJob, embed_part
from indexer.stages.read import read_part
from indexer.work import WorkFolder

if TYPE_CHECKING:
    from atlas.search.encoder import EncoderChoice, OpenClipEncoder

# Rows for which one more worker process is worth its start, a second or two of processor time.
_ROWS_PER_READER = 200_000


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

    work = WorkFolder(plan.output.work_folder())
    with alone_in(work.root), alone_with(plan.output.bundle):
        sources, encoders, parts = prepare(plan, work, watcher)
        identity = identity_of(plan, parts)
        live = live_manifest(plan.output.bundle)
        if live is not None and live.identity == identity:
            return Built(manifest=live, was_live=True)
        state = begin(plan, work, identity)
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

    Parts without pictures are taken over as they are, which is a few links. Parts of pictures go
    one after the other through the models in this process: a model fills its device, and the
    processors, by itself, and a copy in every worker would only share them.
    """
    fingerprints = {name: encoder.fingerprint for name, encoder in encoders.items()}
    rows = sum(report.rows_out for report in read.values())

    def job_of(piece: Piece) -> EmbedJob:
        ready = _ready_spaces(plan, piece.source)
        given = fingerprints if ready is None else {}
        return EmbedJob(
            part=piece.part.name,
            identity=(
                embed_identity(plan, piece.source, work.read, piece.part.name, given)
                if ready is None
                else ready_identity(plan, read[piece.part.name])
            ),
            read_folder=work.read,
            folder=work.embed,
            source=piece.source,
            encoders=encoders if ready is None else {},
            media=plan.media,
            decode_threads=plan.workers.decode_threads,
            ready_spaces=ready,
        )

    with watcher.stage("embed", rows, "images") as advance:
        return {piece.part.name: embed_part(job_of(piece), advance) for piece in pieces}


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
