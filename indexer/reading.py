"""Every part of a plan's sources read, and the photos that are on the web fetched.

Worker processes import this module for their jobs, so it imports nothing that takes seconds. One
caller a work folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from indexer.engines.local import run_parts, worker_count
from indexer.identity import read_identity
from indexer.parts import PartReport, records_path
from indexer.plan import Plan
from indexer.progress import Watcher
from indexer.quality.curation import Curation, curation_of
from indexer.quality.exclusion import Exclusion, exclusion_of, report_unmet
from indexer.sources import Source, SourcePart
from indexer.sources.url_list import UrlSource
from indexer.stages.read import read_part
from indexer.work import WorkFolder

# Rows for which one more worker process is worth its start, a second or two of processor time.
_ROWS_PER_READER = 200_000


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


def read_pieces(
    plan: Plan, work: WorkFolder, pieces: Sequence[Piece], watcher: Watcher
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


def _read_job(job: _ReadJob) -> PartReport:
    return read_part(
        job.source,
        job.part,
        identity=job.identity,
        folder=job.folder,
        curate=job.curation.apply,
        exclusion=job.exclusion,
    )


def fetch_photos(
    work: WorkFolder, pieces: Sequence[Piece], read: Mapping[str, PartReport], watcher: Watcher
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


def _workers(plan: Plan, pieces: Sequence[Piece], rows_each: int) -> int:
    """Worker processes worth starting: few rows are done sooner in this one."""
    worth = sum(piece.part.rows for piece in pieces) // rows_each
    return max(1, min(worker_count(plan.workers.count), len(pieces), worth))
