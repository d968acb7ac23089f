"""What a place filter costs a search: the same questions with it and without it.

`python -m benchmarks.place_filters --bundle FOLDER [--queries 100] [--seed S] [--json FILE]`. The
bundle has a layer of distances (`indexer layer add`). A server keeps what filters let pass, and
words ask for the same few distances ("near rivers" is one kilometre); so what counts is a filter
that was asked before. A new one is measured beside it: its rows are found and counted first.
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
_CASES = (("near, 1 in 100", 0.01), ("near, 1 in 10", 0.1), ("near, half", 0.5))
_SHOWN = ("ms", "ms_without", "times")


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
    """Latencies without a filter, and with distances that pass a share of the rows.

    Each question is asked without a filter, with a new one and with that one again, right after
    each other, so that whatever else the machine does slows all three alike.
    """
    random = np.random.default_rng(seed)
    asker = Asker(bundle)
    segment = bundle.segments[0]
    space = next(iter(bundle.spaces))
    rows = random.choice(segment.rows, queries, replace=False)
    vectors = segment.vectors(space)[np.sort(rows)].astype(np.float32)
    high = Layers.of(bundle).called(layer)[0].interval(0).high
    sample = np.sort(high[:: max(1, len(high) // 100_000)])
    sample = sample[np.isfinite(sample) & (sample > 0)]
    for vector in vectors:
        asker.ask(vector, Filter())  # what is read from disk once is not the filter's cost
    records: list[Record] = []
    for case, share in _CASES:
        plain, first, again, matching = [], [], [], []
        for number, vector in enumerate(vectors):
            # Every question has a distance of its own, so none was compiled before.
            within_m = float(np.quantile(sample, share)) * (1 + number * 1e-5)
            asked = Filter(near=(Near(feature=layer, within_m=within_m),))
            plain.append(asker.ask(vector, Filter())[0])
            took_ms, page = asker.ask(vector, asked)
            first.append(took_ms)
            again.append(asker.ask(vector, asked)[0])
            # Once before and once after: the second of two asks finds its lists in the cache.
            plain.append(asker.ask(vector, Filter())[0])
            matching.append(page.matching)
        for name, times in (("new filter", first), ("asked before", again)):
            records.append(
                {
                    "benchmark": "place_filters",
                    "system": "atlas",
                    "case": f"{case}, {name}",
                    "rows": bundle.manifest.rows,
                    "dim": bundle.spaces[space].dim,
                    "seed": seed,
                    "matching": int(np.median(matching)),
                    **_compared("p50", 0.5, times, plain),
                    **_compared("p99", 0.99, times, plain),
                }
            )
    return records


def _compared(name: str, share: float, times: list[float], plain: list[float]) -> Record:
    """One quantile of the times, of those without a filter, and how many times these."""
    took_ms, without_ms = float(np.quantile(times, share)), float(np.quantile(plain, share))
    return {
        f"{name}_ms": round(took_ms, 2),
        f"{name}_ms_without": round(without_ms, 2),
        f"{name}_times": round(took_ms / without_ms, 2),
    }


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
    for column in (
        "case",
        "matching",
        *("p50 ms", "without", "times", "p99 ms", "without", "times"),
    ):
        table.add_column(column)
    for record in records:
        numbers = [f"{record[f'{name}_{what}']:,}" for name in ("p50", "p99") for what in _SHOWN]
        table.add_row(record["case"], f"{record['matching']:,}", *numbers)
    Console(soft_wrap=True).print(table)
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")


if __name__ == "__main__":
    main()
