"""What a place filter costs a search: the same questions with it and without it.

`python -m benchmarks.place_filters --bundle FOLDER [--queries 100] [--seed S] [--json FILE]`. The
bundle has a layer of distances (`indexer layer add`). Filters that were asked before are kept by a
server; so each distance is asked once new and once again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.geo.layers import Layers
from atlas.search.filters import Filter
from atlas.search.place_filters import Near
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Page, Question, Retrieval, Vector

Record = dict[str, Any]


class Asker:
    """Asks a bundle one question at a time."""

    def __init__(self, bundle: Bundle) -> None:
        """Open what a server opens."""
        self._retrieval = Retrieval(bundle, Catalog.open(bundle.catalog_path), SearchSettings())
        self._space = next(iter(bundle.spaces))

    def ask(self, vector: Vector, asked: Filter) -> tuple[float, Page]:
        """Milliseconds of a page of ten, and the page."""
        question = Question(space=self._space, vector=vector, filter=asked, limit=10)
        started = time.perf_counter()
        page = self._retrieval.begin(question).page()
        return (time.perf_counter() - started) * 1000, page


def measure(bundle: Bundle, layer: str, queries: int, seed: int) -> list[Record]:
    """Latencies without a filter, and with distances that pass a share of the rows."""
    random = np.random.default_rng(seed)
    asker = Asker(bundle)
    segment = bundle.segments[0]
    space = next(iter(bundle.spaces))
    rows = random.choice(segment.rows, queries, replace=False)
    vectors = segment.vectors(space)[np.sort(rows)].astype(np.float32)
    high = Layers.of(bundle).called(layer)[0].interval(0).high
    sample = np.sort(high[:: max(1, len(high) // 100_000)])
    sample = sample[np.isfinite(sample) & (sample > 0)]
    records: list[Record] = []
    for case, share in (("no filter", None), ("near, 1 in 100", 0.01), ("near, 1 in 10", 0.1),
                        ("near, half", 0.5)):  # fmt: skip
        first, again, matching = [], [], []
        for number, vector in enumerate(vectors):
            asked = Filter()
            if share is not None:
                # Every question has a distance of its own, so none was compiled before.
                within_m = float(np.quantile(sample, share)) * (1 + number * 1e-5)
                asked = Filter(near=(Near(feature=layer, within_m=within_m),))
            took_ms, page = asker.ask(vector, asked)
            first.append(took_ms)
            again.append(asker.ask(vector, asked)[0])
            matching.append(page.matching)
        for name, times in ((f"{case}, new", first), (f"{case}, again", again)):
            records.append(
                {
                    "benchmark": "place_filters",
                    "system": "atlas",
                    "case": name,
                    "rows": bundle.manifest.rows,
                    "dim": bundle.spaces[space].dim,
                    "seed": seed,
                    "matching": int(np.median(matching)),
                    "p50_ms": round(float(np.median(times)), 2),
                    "p99_ms": round(float(np.quantile(times, 0.99)), 2),
                }
            )
    without = {
        name: record["p50_ms"] for record, name in zip(records, ("new", "again"), strict=False)
    }
    for record in records:
        record["times"] = round(record["p50_ms"] / without[record["case"].split(", ")[-1]], 2)
    return records


@click.command()
@click.option("--bundle", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--layer", default="river", show_default=True)
@click.option("--queries", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the records here.")
def main(bundle: Path, layer: str, queries: int, seed: int, target: Path | None) -> None:
    """Measure a bundle that has a layer of distances."""
    records = measure(Bundle.open(bundle, "sizes"), layer, queries, seed)
    table = Table(box=None)
    for column in ("case", "matching", "p50 ms", "p99 ms", "times that without"):
        table.add_column(column)
    for record in records:
        numbers = (record["matching"], record["p50_ms"], record["p99_ms"], record["times"])
        table.add_row(record["case"], *(f"{number:,}" for number in numbers))
    Console().print(table)
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")


if __name__ == "__main__":
    main()
