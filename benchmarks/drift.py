"""What an index should be trained on, and when training it again pays.

`python -m benchmarks.drift [--rows 100000] [--dim 128] [--seed S] [--json FILE]`: rows of a seeded
world lie in lists that were trained on a sample of all of them, of some taxa, or of an even part.
Beside the residual and the imbalance of each stands how many codes the nearest lists hold when they
hold a share of the true first ten. The default of `index.taxon_share` and the thresholds of
`indexer drift` are read from this table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from atlas.search.centroids import Nearest, find_centroids
from atlas.search.index import lists_for
from benchmarks.worlds import World
from indexer.sampling import taxon_sample

Matrix = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

CAPS = (1.0, 0.1, 0.01, 0.001)
SHARES = (0.8, 0.6, 0.4, 0.2, 0.1)
RECALLS = (0.95, 0.98)
_QUERIES = 300
_HITS = 10
_ROWS_PER_LIST = 39
_BLOCK = 8_192


class Asked(NamedTuple):
    """Queries of one kind, (n, dim), and their exact first ten rows, (n, 10)."""

    vectors: Matrix
    hits: Ints


def exact_hits(vectors: npt.NDArray[np.float16], queries: Matrix) -> Ints:
    """The rows of the ten greatest products with each query."""
    scores = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        product = queries @ vectors[start : start + _BLOCK].astype(np.float32).T
        numbers = np.broadcast_to(np.arange(start, start + product.shape[1]), product.shape)
        scores, rows = np.hstack([scores, product]), np.hstack([rows, numbers])
        first = np.argsort(-scores, axis=1, kind="stable")[:, :_HITS]
        scores = np.take_along_axis(scores, first, axis=1)
        rows = np.take_along_axis(rows, first, axis=1)
    return rows


def codes_needed(centroids: Matrix, numbers: Ints, asked: Asked, recall: float) -> float:
    """Mean codes in as many nearest lists as hold a share `recall` of all true hits."""
    order = np.argsort(-(asked.vectors @ centroids.T), axis=1)
    rank = np.argsort(order, axis=1)
    held = np.cumsum(np.bincount(numbers, minlength=len(centroids))[order], axis=1)
    ranks = np.sort(np.take_along_axis(rank, numbers[asked.hits], axis=1), axis=None)
    probes = int(ranks[min(int(np.ceil(recall * len(ranks))), len(ranks)) - 1])
    return float(held[:, probes].mean())


def measured(
    vectors: npt.NDArray[np.float16], sample: Ints, lists: int, asks: dict[str, Asked]
) -> dict[str, Any]:
    """Residual, imbalance and codes of lists that were trained on these rows, and hold all rows."""
    centroids = find_centroids(vectors[sample], lists, seed=0)
    nearest = Nearest(centroids, 0)
    numbers = np.empty(len(vectors), np.int64)
    cosine = 0.0
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float32)
        found = nearest.find(block)
        numbers[start : start + len(block)] = found
        cosine += float(np.einsum("ij,ij->", block, centroids[found]))
    sizes = np.bincount(numbers, minlength=lists)
    record: dict[str, Any] = {
        "lists": lists,
        "residual": round(1.0 - cosine / len(vectors), 4),
        "imbalance": round(float(lists * np.square(sizes / len(vectors)).sum()), 3),
    }
    for kind, asked in asks.items():
        for recall in RECALLS:
            needed = codes_needed(centroids, numbers, asked, recall)
            record[f"codes_{kind}_{recall}"] = round(needed)
    return record


def cases(species: npt.NDArray[np.int32]) -> list[tuple[str, float, Ints, int]]:
    """(what the index was trained on, share, the sample, number of lists).

    `capped`: of all rows, no species giving more than this share of the sample. `taxa`: of the
    first so many species of the tree, as when a bundle of one group takes in others. `rows`: of an
    even part, with the lists that a build of that part would make.
    """
    random = np.random.default_rng(1)
    rows, lists = len(species), lists_for(len(species))
    order = np.argsort(species, kind="stable")
    of_species = np.unique(species, return_counts=True)[1]
    wanted = _ROWS_PER_LIST * lists
    found = [("rows", 1.0, _drawn(np.arange(rows), wanted, random), lists)]
    for share in CAPS:
        capped = order[taxon_sample(of_species, wanted, max(1, round(share * wanted)), 0)]
        found.append(("capped", share, np.sort(capped), lists))
    for share in SHARES:
        count = int(share * rows)
        found.append(("taxa", share, _drawn(order[:count], wanted, random), lists))
        fewer = lists_for(count)
        part = _drawn(np.arange(rows), count, random)
        found.append(("rows", share, _drawn(part, _ROWS_PER_LIST * fewer, random), fewer))
    return found


def _drawn(rows: Ints, wanted: int, random: np.random.Generator) -> Ints:
    return np.sort(random.choice(rows, min(wanted, len(rows)), replace=False))


@click.command()
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(10_000))
@click.option("--dim", default=128, show_default=True, type=click.IntRange(8))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(rows: int, dim: int, seed: int, json_path: Path | None) -> None:
    """Print codes to score by what an index was trained on, and keep them with --json."""
    world = World.made_up(rows, dim, seed)
    made = list(world.chunks(_BLOCK))
    vectors = np.concatenate([run.vectors for run in made])
    species = np.concatenate([run.species for run in made])
    asks = {
        kind: Asked(queries.vectors, exact_hits(vectors, queries.vectors))
        for kind, queries in world.queries(_QUERIES).items()
    }
    records = []
    for trained_on, share, sample, lists in track(cases(species), "training"):
        about = {"benchmark": "drift", "rows": rows, "dim": dim, "seed": seed}
        about |= {"trained_on": trained_on, "share": share}
        records.append(about | measured(vectors, sample, lists, asks))
    table = Table(*list(records[0])[4:])
    for record in records:
        table.add_row(*(str(value) for value in list(record.values())[4:]))
    Console(width=160).print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
