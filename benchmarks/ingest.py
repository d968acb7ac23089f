"""How fast dumps of iNaturalist become sorted rows of segments, and in how much memory.

    python -m benchmarks.ingest --rows 1000000

Makes dumps up (not timed), joins and reads them, and sorts the records into segments, with the
stages that a build has. Two workers at most, as on a machine with two cores. Processor time stands
beside the clock's, since it says the same on a machine that others use.
"""

from __future__ import annotations

import itertools
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from benchmarks.inat_rows import write_dumps
from benchmarks.resident import Resident
from indexer.account import Parts
from indexer.parts import records_path, rejects_path
from indexer.plan import Plan, read_plan
from indexer.prepare import prepare
from indexer.progress import Silent
from indexer.sources import open_sources
from indexer.stages.sort import Sorted, cut_segments, order_rows, write_segment
from indexer.work import PartFiles, WorkFolder

_PLAN = """\
[atlas]
title = "Dumps"
[output]
bundle = "bundle"
[[sources]]
kind = "inat_open_data"
key = "inat"
title = "iNaturalist"
path = "dumps"
as_of = 2026-01-01
[workers]
count = 2
"""


def measure(folder: Path, rows: int, seed: int) -> dict[str, Any]:
    """Make dumps of about `rows` photos in an empty folder, and take them to segments."""
    faults = max(1, rows // 10_000)
    written = write_dumps(folder / "dumps", rows, seed=seed, faults=faults)
    (folder / "plan.toml").write_text(_PLAN)
    plan = read_plan(folder / "plan.toml")
    work = WorkFolder(plan.output.work_folder())
    marks = [_Mark.now()]
    with Resident() as join:
        (source,) = open_sources(plan)
        source.parts()
    marks.append(_Mark.now())
    with Resident() as read:
        parts = prepare(plan, work, Silent()).parts
    marks.append(_Mark.now())
    with Resident() as sort:
        found = _sort(plan, work, parts)
    marks.append(_Mark.now())
    peaks = {"join": join.peak_bytes, "read": read.peak_bytes, "sort": sort.peak_bytes}
    rows_in = sum(report.rows_in for report in parts.read.values())
    rejects = sum(report.rejects for report in parts.read.values()) + found.duplicates
    if rows_in != found.rows + rejects or rejects != sum(written.refused.values()):
        raise SystemExit(f"{rows_in} rows in, {found.rows} out, {rejects} rejects: {written}")
    steps = [
        (name, after.clock_s - before.clock_s, after.cpu_s - before.cpu_s)
        for name, (before, after) in zip(
            ("join", "read", "sort"), itertools.pairwise(marks), strict=True
        )
    ]
    return {
        "benchmark": "ingest",
        "rows_in": rows_in,
        "rows_out": found.rows,
        "rejects": rejects,
        "seed": seed,
        **{f"{name}_s": round(clock_s, 2) for name, clock_s, _ in steps},
        **{f"{name}_cpu_s": round(cpu_s, 2) for name, _, cpu_s in steps},
        "rows_per_s": round(rows_in / sum(clock_s for _, clock_s, _ in steps)),
        "rows_per_cpu_s": round(rows_in / sum(cpu_s for _, _, cpu_s in steps)),
        "peak_mb": round(max(peaks.values()) / 2**20),
        **{f"{name}_peak_mb": round(peak / 2**20) for name, peak in peaks.items()},
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def _sort(plan: Plan, work: WorkFolder, parts: Parts) -> Sorted:
    """The stage that sorts, as an assembly runs it."""
    files = [
        PartFiles(
            records=records_path(work.embed, name),
            rejects=rejects_path(work.embed, name),
            vectors={},
        )
        for name in parts.embedded
    ]
    work.assembly.mkdir(parents=True)
    found = order_rows(
        files,
        plan.taxa.ranks,
        scratch=work.scratch,
        order=work.order,
        taxa=work.taxa,
        names=work.taxon_names,
        duplicates=work.duplicates,
    )
    for cut in cut_segments(found.rows, plan.index.segment_rows, 1):
        write_segment(
            files,
            {},
            cut,
            order=work.order,
            scratch=work.scratch,
            folder=work.segment(cut.name),
            hosts_pictures=False,
            progress=_nothing,
        )
    return found


class _Mark(NamedTuple):
    """A moment: the clock, and the processor time of this process and of workers that ended."""

    clock_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> _Mark:
        """This moment."""
        used = [resource.getrusage(who) for who in (_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used))


_SELF = resource.RUSAGE_SELF


def _nothing(rows: int) -> None:
    """Report progress to nobody."""


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(rows: int, seed: int, json_path: Path | None) -> None:
    """Measure rows a second from dumps of iNaturalist to sorted rows of segments."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), rows, seed)
    for name, value in found.items():
        click.echo(f"{name:16} {value}")
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode([found]), indent=2))


if __name__ == "__main__":
    main()
