"""How fast the nearest lists are found, and how many of them: compared, by groups, by a graph.

    python -m benchmarks.coarse --lists 16384 [--rows-a-list 8]

Draws centroids as the rows of a made-up world are drawn, or finds them by the builder's k-means on
so many rows a list, and asks for the nearest of them with image-like and text-like queries, one at
a time on one thread, as a server's search does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import faiss
import msgspec
import numpy as np

from atlas.search.centroids import find_centroids
from atlas.search.lists import Centroids, nearest_holding
from benchmarks.worlds import World

_ASKED = (128, 256)


class _Way(NamedTuple):
    """A way to the nearest lists: `find(query, count)` gives their numbers."""

    name: str
    made_s: float
    find: Callable[[np.ndarray, int], np.ndarray]


def measure(
    lists: int, dim: int, *, queries: int, seed: int, rows_a_list: int = 0
) -> dict[str, Any]:
    """Milliseconds a query and the share of the true nearest lists, by way, kind and count.

    Times are the processor's, which other work on the machine hardly changes. Centroids are drawn
    rows, or found on `rows_a_list` rows for each.
    """
    world = World.made_up(lists * max(1, rows_a_list), dim, seed)
    drawn = world.run(0, world.rows).vectors
    centroids = find_centroids(drawn, lists, seed) if rows_a_list else drawn.astype(np.float32)
    queries_of = {kind: asked.vectors for kind, asked in world.queries(queries).items()}
    truths = {
        kind: np.argsort(-(asked @ centroids.T), axis=1) for kind, asked in queries_of.items()
    }
    found = []
    for way in _ways(centroids):
        for kind, asked in queries_of.items():
            for count in _ASKED:
                shares, took_ms = [], []
                for query, truth in zip(asked, truths[kind], strict=True):
                    row = np.ascontiguousarray(query[np.newaxis])
                    started_ns = time.thread_time_ns()
                    numbers = way.find(row, count)
                    took_ms.append((time.thread_time_ns() - started_ns) / 1e6)
                    shares.append(np.isin(truth[:count], numbers).mean())
                found.append(
                    {
                        "way": way.name,
                        "made_s": round(way.made_s, 2),
                        "queries": kind,
                        "lists_asked": count,
                        "share": round(float(np.mean(shares)), 4),
                        "median_ms": round(float(np.median(took_ms)), 3),
                    }
                )
    return {
        "benchmark": "coarse",
        "lists": lists,
        "dim": dim,
        "seed": seed,
        "rows_a_list": rows_a_list,
        "load": round(os.getloadavg()[0], 1),
        "found": found,
    }


def _ways(centroids: np.ndarray) -> list[_Way]:
    """All that the search can do, and a look at every centroid."""
    table, grouping_s = _made(centroids, "")
    graph, growing_s = _made(centroids, "_HNSW32")

    def compared(row: np.ndarray, count: int) -> np.ndarray:
        return nearest_holding(graph.scores(row), None, count).numbers

    return [
        _Way("flat", 0.0, compared),
        _Way("groups", grouping_s, lambda row, count: table.nearest(row, count).numbers),
        _Way("hnsw", growing_s, lambda row, count: graph.nearest(row, count).numbers),
    ]


def _made(centroids: np.ndarray, kind: str) -> tuple[Centroids, float]:
    """An index's centroids as a server holds them, and the seconds that it took."""
    lists, dim = centroids.shape
    started_s = time.process_time()
    index = faiss.index_factory(dim, f"IVF{lists}{kind},SQ8", faiss.METRIC_INNER_PRODUCT)
    faiss.omp_set_num_threads(1)
    index.quantizer.add(centroids)
    return Centroids(index), time.process_time() - started_s


@click.command()
@click.option("--lists", default=16_384, show_default=True)
@click.option("--dim", default=768, show_default=True)
@click.option("--queries", default=300, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--rows-a-list", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(
    lists: int, dim: int, queries: int, seed: int, rows_a_list: int, json_file: Path | None
) -> None:
    """Compare the ways to the nearest lists."""
    result = measure(lists, dim, queries=queries, seed=seed, rows_a_list=rows_a_list)
    for line in result["found"]:
        click.echo("  ".join(f"{name} {value}" for name, value in line.items()))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")


if __name__ == "__main__":
    main()
