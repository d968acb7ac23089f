"""Recall and latency of search without a filter, against exact search on the same vectors.

`python -m benchmarks.search --rows 100000 --dim 768 [--seed S] [--queries N] [--json FILE]`.
Writes one temporary segment through the builder's own functions and opens it as the server does,
so that what is measured is what is served. One thread a query.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
import faiss
import msgspec
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap
from rich.console import Console
from rich.table import Table

from atlas.bundle.manifest import SegmentEntry
from atlas.bundle.segment import (
    TOMBSTONES,
    Segment,
    index_name,
    list_numbers_name,
    vectors_name,
)
from atlas.search.index import encode_segment, factory_for, train, write_index
from atlas.search.planner import SearchSettings, SpaceIndex
from atlas.search.ranking import Ranking
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector
from benchmarks.vectors import Synthetic, synthetic

SPACE = "synthetic"
RECALL_AT = 10

Hits = npt.NDArray[np.int64]


class Built(NamedTuple):
    """A segment on disk, and what making it took."""

    segment: Segment
    factory: str | None
    training_s: float
    encoding_s: float
    bytes_per_row: float


def build_segment(folder: Path, data: Synthetic, factory: str | None, seed: int) -> Built:
    """Write and open one segment of all rows; `factory` None leaves it without an index."""
    rows, dim = data.vectors.shape
    data.vectors.tofile(folder / vectors_name(SPACE))
    (folder / TOMBSTONES).write_bytes(BitMap().serialize())
    training_s = encoding_s = 0.0
    if factory is not None:
        started = time.perf_counter()
        trained = train(data.vectors, factory, seed=seed)
        training_s = time.perf_counter() - started
        started = time.perf_counter()
        index, list_numbers = encode_segment(trained, data.vectors)
        encoding_s = time.perf_counter() - started
        write_index(index, folder / index_name(SPACE))
        list_numbers.tofile(folder / list_numbers_name(SPACE))
    entry = SegmentEntry(name=folder.name, first_row=0, rows=rows, hosts_pictures=False)
    size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    segment = Segment(folder, entry, {SPACE: dim})
    return Built(segment, factory, training_s, encoding_s, size_bytes / rows)


def ask(index: SpaceIndex, query: npt.NDArray[np.float32], *, exact: bool) -> Hits:
    """The first hits of a query, as the server finds them."""
    ranking = Ranking(
        index,
        tuple(Selection.everything(segment.rows) for segment in index.segments),
        QueryVector(query),
        recall=index.settings.recall,
        exact=exact,
    )
    return ranking.first(RECALL_AT)[1]


def timed(
    find: Callable[[npt.NDArray[np.float32]], Hits], queries: npt.NDArray[np.float32]
) -> tuple[list[Hits], npt.NDArray[np.float64]]:
    """Hits of every query and milliseconds of each, after a few to warm up."""
    for query in queries[:5]:
        find(query)
    hits, times_ms = [], []
    for query in queries:
        started = time.perf_counter()
        hits.append(find(query))
        times_ms.append((time.perf_counter() - started) * 1e3)
    return hits, np.array(times_ms)


def measure(
    built: Built, data: Synthetic, settings: SearchSettings, seed: int
) -> list[dict[str, Any]]:
    """Flat records, one for each kind of query and each way to answer it."""
    rows, dim = data.vectors.shape
    records: list[dict[str, Any]] = []
    index = SpaceIndex(SPACE, (built.segment,), curve=None, settings=settings)
    for kind, queries in data.queries.items():
        truth, exact_ms = timed(lambda query: ask(index, query, exact=True), queries)
        answers = [("exact", truth, exact_ms)]
        if built.factory is not None:
            found, index_ms = timed(lambda query: ask(index, query, exact=False), queries)
            answers.append(("index", found, index_ms))
        for case, hits, times_ms in answers:
            shares = [np.isin(t, h).mean() for t, h in zip(truth, hits, strict=True)]
            records.append(
                {
                    "benchmark": "search",
                    "system": "atlas",
                    "case": case,
                    "queries": kind,
                    "filter": "none",
                    "rows": rows,
                    "dim": dim,
                    "seed": seed,
                    "asked": len(queries),
                    "factory": built.factory if case == "index" else None,
                    "recall_at_10": round(float(np.mean(shares)), 4),
                    "p50_ms": round(float(np.percentile(times_ms, 50)), 3),
                    "p99_ms": round(float(np.percentile(times_ms, 99)), 3),
                    "training_s": round(built.training_s, 1),
                    "rows_per_s": round(rows / built.encoding_s) if built.encoding_s else None,
                    "bytes_per_row": round(built.bytes_per_row, 1),
                }
            )
    return records


def show(records: list[dict[str, Any]]) -> None:
    """Print the records as a table."""
    columns = ("queries", "case", "factory", "recall_at_10", "p50_ms", "p99_ms")
    table = Table(*columns)
    for record in records:
        table.add_row(*("" if record[name] is None else str(record[name]) for name in columns))
    Console().print(table)


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(1_000))
@click.option("--dim", default=768, show_default=True, type=click.IntRange(4))
@click.option("--seed", default=0, show_default=True)
@click.option("--queries", default=200, show_default=True, type=click.IntRange(1))
@click.option("--factory", default="auto", show_default=True, help="FAISS factory string.")
@click.option("--probes", default=None, type=click.IntRange(1), help="Lists to probe.")
@click.option("--threads", default=os.cpu_count(), show_default=True, help="For training only.")
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(
    rows: int,
    dim: int,
    seed: int,
    queries: int,
    factory: str,
    probes: int | None,
    threads: int,
    json_path: Path | None,
) -> None:
    """Measure recall@10 and latency for image-like and text-like queries."""
    print(
        f"{rows:,} x {dim}, seed {seed}; {platform.machine()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}, FAISS {faiss.__version__}, "
        f"numkong {version('numkong')}"
    )
    data = synthetic(rows, dim, seed=seed, queries=queries)
    chosen = factory_for(rows, dim, factory)
    faiss.omp_set_num_threads(threads)
    with tempfile.TemporaryDirectory(prefix="atlas-search-") as folder:
        built = build_segment(Path(folder), data, chosen, seed)
        print(
            f"{chosen or 'exact only'}: training {built.training_s:.1f} s, encoding "
            f"{built.encoding_s:.1f} s, {built.bytes_per_row:.0f} bytes a row on disk"
        )
        records = measure(built, data, SearchSettings(probes=probes), seed)
    show(records)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
