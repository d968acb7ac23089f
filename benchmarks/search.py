"""Recall and latency of search under filters, ours and other systems', against exact search.

`python -m benchmarks.search --rows 100000 --dim 768 [--seed S] [--queries N] [--json FILE]
[--systems atlas,lancedb] [--filters none,random] [--keep FOLDER]`. One seeded world, the same
questions and the same truth for all systems; one thread asks one question at a time.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import click
import faiss
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.search.planner import SearchSettings
from benchmarks.conditions import Condition, WorldOnDisk
from benchmarks.questions import FILTERS, HITS, Case, Truth, answers, cases
from benchmarks.systems import SYSTEMS, MissingSystem, built_as, make_system
from benchmarks.systems.atlas import AtlasSystem
from benchmarks.systems.system import RowNumbers, System, Vector
from benchmarks.worlds import World

PACKAGES = ("faiss-cpu", "numkong", "duckdb", "lancedb", "usearch", "pgserver", "numpy")

Ask = Callable[[Vector, Condition, int], RowNumbers]


class Prepared(NamedTuple):
    """A system that is ready, what building it took (0 where it was there), and its size."""

    name: str
    system: System
    seconds: float
    size_bytes: int


class Answered(NamedTuple):
    """Hits of every question of a case; milliseconds of the first ask of each and of the second.

    `cold_ms` are first asks of conditions that were never asked before. `cpu_ms` are of all threads
    of this process during the second ask: they hardly change on a machine that does other work too,
    but do not hold what a server of its own, as PostgreSQL's, takes.
    """

    hits: list[RowNumbers]
    cold_ms: list[float]
    warm_ms: list[float]
    cpu_ms: list[float]


def prepare(name: str, system: System, data: WorldOnDisk, folder: Path) -> Prepared:
    """Build or open a system; what is built is kept beside the time that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    took = folder / "seconds.json"
    started = time.perf_counter()
    system.prepare(data, folder)
    if not took.exists():
        took.write_bytes(msgspec.json.encode(time.perf_counter() - started))
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    size_bytes += data.vectors.nbytes if system.reads_vectors else 0
    return Prepared(name, system, msgspec.json.decode(took.read_bytes(), type=float), size_bytes)


def ask_all(ask: Ask, case: Case, seen: set[Condition]) -> Answered:
    """Ask every question of a case twice; the first time may have a filter to compile."""
    hits, cold_ms, warm_ms, cpu_ms = [], [], [], []
    for question in case.questions:
        started = time.perf_counter()
        hits.append(ask(question.vector, question.condition, HITS))
        took_ms = (time.perf_counter() - started) * 1e3
        if question.condition not in seen:
            seen.add(question.condition)
            cold_ms.append(took_ms)
    for question in case.questions:
        started, used = time.perf_counter(), time.process_time()
        ask(question.vector, question.condition, HITS)
        warm_ms.append((time.perf_counter() - started) * 1e3)
        cpu_ms.append((time.process_time() - used) * 1e3)
    return Answered(hits, cold_ms, warm_ms, cpu_ms)


def quality(
    data: WorldOnDisk, case: Case, truth: Sequence[Truth], hits: list[RowNumbers]
) -> dict[str, Any]:
    """Recall, full pages, and rows that should not have been there, over a case's questions.

    Recall is the mean share of the true hits that were found, of questions with any. A page is
    full when it has as many rows that pass as it was asked for; only questions that enough rows
    pass count. `outside` counts hits that do not meet the condition.
    """
    recalls, full, outside = [], [], 0
    for question, true, found in zip(case.questions, truth, hits, strict=True):
        inside = [row for row in found.tolist() if data.passes(question.condition, row, row + 1)[0]]
        outside += len(found) - len(inside)
        if true.passing:
            recalls.append(len(set(true.rows.tolist()) & set(inside)) / len(true.rows))
        if true.passing >= HITS:
            full.append(len(set(inside)) >= HITS)
    return {
        "recall_at_10": round(float(np.mean(recalls)), 4) if recalls else None,
        "full_pages": round(float(np.mean(full)), 4) if full else None,
        "outside": outside,
    }


def times(milliseconds: Sequence[float], cpu_ms: Sequence[float] = ()) -> dict[str, Any]:
    """Median, 99th percentile and number of questions; median processor time where known."""
    found = {
        "asked": len(milliseconds),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 3),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 3),
    }
    return found | ({"cpu_p50_ms": round(float(np.median(cpu_ms)), 3)} if cpu_ms else {})


def measure(
    prepared: Prepared, data: WorldOnDisk, asked: Sequence[Case], truths: Sequence[list[Truth]]
) -> Iterator[dict[str, Any]]:
    """Flat records of one system: one a case and way of asking."""
    system = prepared.system
    shared = {
        "benchmark": "search",
        "system": prepared.name,
        "settings": system.settings,
        "rows": data.rows,
        "dim": data.dim,
        "seed": data.world.seed,
        "world": data.world.identity,
        "build_s": round(prepared.seconds, 1),
        "bytes_per_row": round(prepared.size_bytes / data.rows, 1),
    }
    ours = system if isinstance(system, AtlasSystem) else None
    if ours is not None:
        shared |= _build_of(ours, data.rows)
    seen: set[Condition] = set()
    for whole, all_truth in zip(asked, truths, strict=True):
        case = whole._replace(questions=whole.questions[: system.most_questions])
        truth = all_truth[: len(case.questions)]
        about = {
            **shared,
            "filter": case.filter,
            "share": case.share,
            "selectivity": float(np.mean([true.passing for true in truth])) / data.rows,
            "queries": case.kind,
        }
        if ours is not None and case.filter == "none":
            found = ask_all(ours.exact, case, set())
            way = {"case": "exact", **quality(data, case, truth, found.hits)}
            yield {**about, **way, **times(found.warm_ms, found.cpu_ms)}
        if case.filter == "none":
            # Pages are read in and pools are started before anything is timed.
            for question in case.questions[:5]:
                system.ask(question.vector, question.condition, HITS)
        found = ask_all(system.ask, case, seen)
        result = quality(data, case, truth, found.hits)
        name = "index" if case.filter == "none" else "filtered"
        yield {**about, "case": name, **result, **times(found.warm_ms, found.cpu_ms)}
        if ours is not None and case.filter != "none" and found.cold_ms:
            yield {**about, "case": "cold_filter", **result, **times(found.cold_ms)}
        if ours is not None:
            _check_counts(ours, case, truth)


def _build_of(ours: AtlasSystem, rows: int) -> dict[str, Any]:
    """What the builder did: the index it chose, seconds of training, rows encoded a second."""
    encoding_s = ours.timings.get("encode")
    return {
        "factory": ours.factory,
        "training_s": round(ours.timings.get("train", 0.0), 1),
        "rows_per_s": round(rows / encoding_s) if encoding_s else None,
    }


def _check_counts(ours: AtlasSystem, case: Case, truth: Sequence[Truth]) -> None:
    """Raise RuntimeError where the atlas counts other rows than the world holds."""
    for question, true in zip(case.questions, truth, strict=True):
        matching = ours.page(question.vector, question.condition, 1).matching
        if matching != true.passing:
            raise RuntimeError(
                f"{question.condition}: the atlas counts {matching} rows, {true.passing} pass"
            )


def show(records: Sequence[dict[str, Any]]) -> None:
    """Print the records as a table."""
    columns = ("system", "filter", "share", "queries", "case", "recall_at_10", "full_pages")
    table = Table(*columns, "p50_ms", "p99_ms")
    for record in records:
        if "missing" in record:
            table.add_row(record["system"], f"missing: {record['missing']}")
            continue
        values = [record[name] for name in (*columns, "p50_ms", "p99_ms")]
        table.add_row(*("" if value is None else str(value) for value in values))
    Console(width=120).print(table)


def machine() -> dict[str, Any]:
    """Where this ran: processor, its number, versions of what took part."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="atlas-search-") as folder:
        # Other users' programs, such as a database server, have to reach their folder in it.
        Path(folder).chmod(0o755)
        yield Path(folder)


def _names(known: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def read(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
        names = list(known) if value == "all" else value.split(",")
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise click.BadParameter(f"{unknown[0]!r} is none of: {', '.join(known)}, all")
        return names

    return read


def run(
    data: WorldOnDisk,
    systems: dict[str, System | MissingSystem],
    asked: Sequence[Case],
    folder: Path,
) -> Iterator[list[dict[str, Any]]]:
    """Records of one system after the other, each closed before the next is opened."""
    where = machine()
    truths = answers(data, asked) if asked else []
    for name, system in systems.items():
        if isinstance(system, MissingSystem):
            yield [{"benchmark": "search", "system": name, "missing": system.needs, **where}]
            continue
        prepared = prepare(name, system, data, folder / built_as(name))
        print(f"{name}: built in {prepared.seconds:.1f} s, {prepared.size_bytes:,} bytes")
        try:
            yield [{**record, **where} for record in measure(prepared, data, asked, truths)]
        finally:
            system.close()


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(1_000))
@click.option("--dim", default=768, show_default=True, type=click.IntRange(4))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--queries", default=200, show_default=True, type=click.IntRange(1))
@click.option("--systems", default="atlas", show_default=True, callback=_names(tuple(SYSTEMS)))
@click.option("--filters", default="all", show_default=True, callback=_names(FILTERS))
@click.option("--factory", default="auto", show_default=True, help="FAISS factory of the atlas.")
@click.option("--probes", default=None, type=click.IntRange(1), help="Lists the atlas probes.")
@click.option(
    "--real",
    default=None,
    type=click.Path(path_type=Path, exists=True),
    help="Parquet file of real vectors to resample instead of made-up ones.",
)
@click.option(
    "--keep",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the world and what the systems build, used again by the next run.",
)
@click.option("--prepare-only", is_flag=True, help="Build into --keep and ask nothing.")
@click.option("--threads", default=os.cpu_count(), show_default=True, help="For building only.")
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(
    rows: int,
    dim: int,
    seed: int,
    queries: int,
    systems: list[str],
    filters: list[str],
    factory: str,
    probes: int | None,
    real: Path | None,
    keep: Path | None,
    prepare_only: bool,
    threads: int,
    json_path: Path | None,
) -> None:
    """Measure recall@10 and latency for image-like and text-like queries under filters."""
    print(f"{rows:,} x {dim}, seed {seed}; {_processor()}, {os.cpu_count()} CPUs")
    faiss.omp_set_num_threads(threads)
    made: dict[str, System | MissingSystem] = {}
    for name in systems:
        try:
            ours = AtlasSystem(SearchSettings(probes=probes), factory)
            made[name] = ours if name == "atlas" else make_system(name)
        except MissingSystem as error:
            made[name] = error
    world = World.from_real(rows, seed, real) if real else World.made_up(rows, dim, seed)
    records: list[dict[str, Any]] = []
    with _folder(keep) as folder:
        try:
            data = WorldOnDisk(world, folder / "world")
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        asked = [] if prepare_only else cases(data, filters, queries)
        for found in run(data, made, asked, folder):
            show(found)
            records += found
            if json_path is not None:  # after each system: hours may follow
                json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
