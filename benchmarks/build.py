"""A whole build from ready embeddings: seconds, memory and disk of every stage.

`python -m benchmarks.build --rows 1000000 --dim 768 [--seed S] [--json FILE] [--keep FOLDER]`.
Writes a made-up world as Parquet files, then builds it in a process of its own while this one
watches: memory is what that process and its workers hold themselves, without the page cache.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.shards import write_shards
from benchmarks.worlds import World
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Advance

SPACE = "synthetic"
TOTAL = "total"
_SHARD_ROWS = 500_000
_EVERY_S = 0.05
_PLAN = """\
[atlas]
title = "Made-up world"
demonstration = true
[output]
bundle = "bundle"
[[sources]]
kind = "embeddings"
key = "world"
title = "Made-up world"
path = "source/world-*.parquet"
space = "{space}"
[sources.columns]
decimal_latitude = "decimalLatitude"
decimal_longitude = "decimalLongitude"
coordinate_uncertainty_m = "coordinateUncertaintyInMeters"
event_date = "eventDate"
observer = "recordedBy"
media_licence = "licence"
[[spaces]]
name = "{space}"
dim = {dim}
[index]
seed = {seed}
exact_below = {exact_below}
[measure]
queries = {queries}
recall_target = 0
"""


class Stage(NamedTuple):
    """What one stage took; `peak_rss_bytes` while it ran, `disk_bytes` when it had ended.

    `cpu_seconds` are of all processors, and hardly change on a machine that does other work too.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    disk_bytes: int


class _Reporting:
    """A watcher of the build that says over a pipe when stages begin and end."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG002 - a protocol's signature
        """Say when the block begins and ends."""
        self._pipe.send(("begin", name))
        yield lambda _done: None
        self._pipe.send(("end", name))

    def note(self, message: str) -> None:
        """Pass the line on."""
        self._pipe.send(("note", message))


class Peak:
    """The most memory that a process and all below it held since `reset`, sampled by a thread."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def reset(self) -> int:
        """The peak since the last reset, in bytes."""
        peak, self._peak = self._peak, 0
        return peak

    def stop(self) -> None:
        """Stop sampling."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._peak = max(self._peak, tree_rss_bytes(self._process))


def tree_rss_bytes(process: int) -> int:
    """Resident bytes of a process and all below it that are no file's pages (Linux)."""
    held = 0
    for folder in _tree(process):
        try:
            status = (folder / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in status.splitlines():
            name, _, value = line.partition(":")
            if name in {"RssAnon", "RssShmem"}:
                held += int(value.split()[0]) * 1024
    return held


def tree_cpu_seconds(process: int) -> float:
    """Processor time of a process and all below it, those that have ended included (Linux)."""
    ticks = 0
    for folder in _tree(process):
        try:
            stat = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name, in brackets, may hold blanks; then utime, stime, cutime and cstime.
        ticks += sum(int(value) for value in stat.rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _tree(process: int) -> Iterator[Path]:
    """Folders in /proc of a process and all below it."""
    waiting = [process]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        yield folder
        try:
            for task in (folder / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue


def disk_bytes(*folders: Path) -> int:
    """Bytes that files take on disk; a file with two names counts once."""
    sizes: dict[int, int] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                state = path.lstat()
            except FileNotFoundError:
                continue
            sizes[state.st_ino] = state.st_blocks * 512
    return sum(sizes.values())


def _build(plan: Path, pipe: Connection) -> None:
    """Build in a process of its own."""
    try:
        build(read_plan(plan), _Reporting(pipe))
    except Exception as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"))
        raise
    pipe.send(("done", ""))
    with suppress(EOFError):
        pipe.recv()  # stays until its processor time has been read


def watched_build(plan: Path, bundle: Path, work: Path) -> tuple[list[Stage], list[str]]:
    """Build a plan; what each stage took, with `TOTAL` last, and what the build had to say."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=_build, args=(plan, sender))
    started = begun = time.perf_counter()
    process.start()
    sender.close()
    assert process.pid is not None  # noqa: S101 - it was started
    peak = Peak(process.pid)
    stages, notes = [], []
    highest = 0
    busy_s = 0.0
    try:
        while True:
            event, text = receiver.recv()
            if event == "failed":
                raise click.ClickException(text)
            if event == "note":
                notes.append(text)
            elif event == "begin":
                highest = max(highest, peak.reset())
                begun, busy_s = time.perf_counter(), tree_cpu_seconds(process.pid)
            else:
                seconds = time.perf_counter() - (begun if event == "end" else started)
                held = peak.reset()
                highest = max(highest, held)
                used = disk_bytes(bundle, work)
                if event == "done":
                    busy_s = tree_cpu_seconds(process.pid)
                    stages.append(Stage(TOTAL, seconds, busy_s, highest, used))
                    return stages, notes
                busy_s = tree_cpu_seconds(process.pid) - busy_s
                stages.append(Stage(text, seconds, busy_s, held, used))
    except EOFError:
        raise click.ClickException("the build ended without saying why") from None
    finally:
        peak.stop()
        receiver.close()
        process.join()


def measure(folder: Path, rows: int, dim: int, seed: int, queries: int) -> list[dict[str, Any]]:
    """Make a world in `folder`, build it, and give one record a stage."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    for _ in write_shards(World.made_up(rows, dim, seed), source, _SHARD_ROWS):
        pass
    plan = folder / "plan.toml"
    exact_below = 100_000
    plan.write_text(
        _PLAN.format(space=SPACE, dim=dim, seed=seed, queries=queries, exact_below=exact_below)
    )
    stages, notes = watched_build(plan, folder / "bundle", folder / "bundle.work")
    for note in notes:
        print(note)
    vectors_bytes = rows * dim * 2
    return [
        {
            "benchmark": "build",
            "system": "atlas",
            "case": stage.name,
            "rows": rows,
            "dim": dim,
            "seed": seed,
            "seconds": round(stage.seconds, 1),
            "cpu_seconds": round(stage.cpu_seconds, 1),
            "rows_per_s": round(rows / stage.seconds) if stage.seconds else None,
            "peak_rss_bytes": stage.peak_rss_bytes,
            "disk_bytes": stage.disk_bytes,
            "bytes_per_row": round(stage.disk_bytes / rows, 1),
            "disk_of_vectors": round(stage.disk_bytes / vectors_bytes, 3),
            "cpus": os.cpu_count(),
        }
        for stage in stages
    ]


def show(records: list[dict[str, Any]]) -> None:
    """Print the records as a table."""
    table = Table(
        "stage", "seconds", "CPU s", "rows/s", "peak RSS, MB", "disk, MB", "disk / vectors"
    )
    for record in records:
        table.add_row(
            record["case"],
            f"{record['seconds']:,.1f}",
            f"{record['cpu_seconds']:,.1f}",
            f"{record['rows_per_s'] or 0:,}",
            f"{record['peak_rss_bytes'] / 1e6:,.0f}",
            f"{record['disk_bytes'] / 1e6:,.0f}",
            f"{record['disk_of_vectors']:.2f}",
        )
    Console().print(table)


@click.command()
@click.option("--rows", default=200_000, show_default=True, type=click.IntRange(1_000))
@click.option("--dim", default=768, show_default=True, type=click.IntRange(4))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
@click.option("--queries", default=500, show_default=True, type=click.IntRange(1))
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
@click.option(
    "--keep",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for source, work folder and bundle, which are kept; else they are temporary.",
)
def main(
    rows: int, dim: int, seed: int, queries: int, json_path: Path | None, keep: Path | None
) -> None:
    """Measure a build from ready embeddings, stage by stage."""
    print(
        f"{rows:,} x {dim}, seed {seed}; {platform.machine()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory(prefix="atlas-build-") as temporary:
        records = measure((keep or Path(temporary)).absolute(), rows, dim, seed, queries)
    show(records)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
