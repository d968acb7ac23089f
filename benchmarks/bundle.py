"""Recall and latency of search in a bundle that is there, at several recalls aimed at.

`python -m benchmarks.bundle --bundle FOLDER [--queries N] [--exact-queries N] [--json FILE]`. The
queries are stored vectors, a little disturbed, without a filter; recall is against exact search of
the same bundle, for which fewer are asked, since it reads every vector. One thread a query.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from atlas.bundle.bundle import Bundle
from atlas.catalog import Catalog
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Question, Retrieval
from atlas.search.vectors import unit_vectors

RECALLS = (0.9, 0.95, 0.985, 0.995)
_RECALL_AT = 10
_NOISE = 0.15
_WARM_UP = 5

Vectors = npt.NDArray[np.float32]


def disturbed_rows(bundle: Bundle, space: str, count: int, seed: int) -> Vectors:
    """`count` stored vectors with noise of length .15, (count, dim) float32, unit."""
    random = np.random.default_rng(seed)
    largest = max(bundle.segments, key=lambda segment: segment.rows)
    rows = np.sort(random.choice(largest.rows, count, replace=False))
    stored = np.asarray(largest.vectors(space)[rows], np.float32)
    noise = random.standard_normal(stored.shape).astype(np.float32)
    return unit_vectors(stored + noise * np.float32(_NOISE / np.sqrt(stored.shape[1])))


def measure(
    retrieval: Retrieval, space: str, queries: Vectors, exact_queries: int
) -> list[dict[str, Any]]:
    """Flat records: exact search, and the index at every recall aimed at."""
    truth, exact_ms = _ask(retrieval, space, queries[:exact_queries], exact=True)
    records = [_record("exact", truth, truth, exact_ms)]
    for recall in RECALLS:
        hits, times_ms = _ask(retrieval, space, queries, recall=recall)
        records.append(_record(f"recall {recall}", hits, truth, times_ms))
    return records


def _ask(
    retrieval: Retrieval,
    space: str,
    queries: Vectors,
    *,
    exact: bool = False,
    recall: float | None = None,
) -> tuple[list[set[int]], npt.NDArray[np.float64]]:
    hits, times_ms = [], []
    for number in [*range(min(_WARM_UP, len(queries))), *range(len(queries))]:
        question = Question(
            space=space, vector=queries[number], limit=_RECALL_AT, exact=exact, recall=recall
        )
        started = time.perf_counter()
        page = retrieval.search(question)
        times_ms.append((time.perf_counter() - started) * 1e3)
        hits.append({hit.row_id for hit in page.hits})
    return hits[-len(queries) :], np.array(times_ms[-len(queries) :])


def _record(
    case: str, hits: list[set[int]], truth: list[set[int]], times_ms: npt.NDArray[np.float64]
) -> dict[str, Any]:
    shares = [len(found & wanted) / len(wanted) for found, wanted in zip(hits, truth, strict=False)]
    return {
        "case": case,
        "asked": len(times_ms),
        "compared": len(shares),
        "recall_at_10": round(float(np.mean(shares)), 4),
        "p50_ms": round(float(np.percentile(times_ms, 50)), 3),
        "p99_ms": round(float(np.percentile(times_ms, 99)), 3),
    }


@click.command()
@click.option("--bundle", "root", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--queries", default=200, show_default=True, type=click.IntRange(1))
@click.option("--exact-queries", default=50, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(root: Path, queries: int, exact_queries: int, seed: int, json_path: Path | None) -> None:
    """Measure a bundle's own search, space by space."""
    bundle = Bundle.open(root, "sizes")
    started = time.perf_counter()
    catalog = Catalog.open(bundle.catalog_path)
    retrieval = Retrieval(bundle, catalog, SearchSettings())
    opened_s = time.perf_counter() - started
    records: list[dict[str, Any]] = []
    for space, described in bundle.spaces.items():
        vectors = disturbed_rows(bundle, space, queries, seed)
        shared = {
            "benchmark": "bundle",
            "system": "atlas",
            "queries": "image",
            "filter": "none",
            "space": space,
            "rows": bundle.manifest.rows,
            "dim": described.dim,
            "seed": seed,
            "opened_s": round(opened_s, 1),
        }
        records += [shared | found for found in measure(retrieval, space, vectors, exact_queries)]
    catalog.close()
    columns = ("space", "case", "asked", "compared", "recall_at_10", "p50_ms", "p99_ms")
    table = Table(*columns, title=f"{bundle.manifest.rows:,} rows, opened in {opened_s:.1f} s")
    for record in records:
        table.add_row(*(str(record[name]) for name in columns))
    Console(width=120).print(table)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
