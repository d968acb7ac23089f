"""Every part of a plan's sources, read and embedded: what a build and an addition begin with.

The one place that wires sources, encoders and devices. Parts that are finished are not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from atlas.bundle.files import remove_leftovers
from atlas.errors import BuildError
from indexer.account import Parts
from indexer.embedding.decoders import workers_for
from indexer.embedding.lane import PictureJob
from indexer.embedding.part import PartFile
from indexer.encoders import load_encoders, ready_spaces
from indexer.identity import embed_identity, ready_identity
from indexer.parts import PartReport
from indexer.plan import Plan
from indexer.progress import Watcher
from indexer.reading import Piece, fetch_photos, read_pieces
from indexer.sources import Source, open_sources
from indexer.stages.embed import PictureWork, ReadyJob, embed_pictures, take_ready
from indexer.work import WorkFolder

if TYPE_CHECKING:
    from atlas.search.encoder import OpenClipEncoder

_TAKERS = 8


class Prepared(NamedTuple):
    """Every part of a plan's sources with its vectors, and the encoders that made them."""

    sources: tuple[Source, ...]
    encoders: dict[str, OpenClipEncoder]
    parts: Parts


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
    read = read_pieces(plan, work, pieces, watcher)
    encoders = load_encoders(plan, sources, watcher)
    if check is not None:
        check(encoders)
    if plan.spaces:
        fetch_photos(work, pieces, read, watcher)
    embedded = _embed(plan, work, pieces, read, encoders, watcher)
    source_of = {piece.part.name: piece.source.settings.key for piece in pieces}
    return Prepared(sources, encoders, Parts(source_of=source_of, read=read, embedded=embedded))


def _embed(
    plan: Plan,
    work: WorkFolder,
    pieces: Sequence[Piece],
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
            name, spaces = piece.part.name, ready_spaces(plan, piece.source)
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
    from atlas.search.devices import devices_for_building  # noqa: PLC0415 - slow, torch

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
