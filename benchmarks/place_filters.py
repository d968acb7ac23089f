"""What a place filter costs a search: the same questions with it and without it.

`python -m benchmarks.place_filters --bundle FOLDER [--queries 100] [--seed S] [--json FILE]`. Asked
are all place layers of the bundle (`indexer layer add`), each by its kind, circles and boxes. A
server keeps what filters let pass, and words ask for the same few ("near rivers" is one kilometre);
so a filter that was asked before is measured beside a new one, whose rows are found first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import combinations, count, islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.geo.layers import OUTSIDE, Bounds, Layer, Layers
from atlas.search.filters import Filter
from atlas.search.place_filters import Around, LayerRange, Near
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Page, Question, Retrieval, Vector

Record = dict[str, Any]
Filters = Iterator[Filter]
_SHARES = (("1 in 100", 0.01), ("1 in 10", 0.1), ("half", 0.5))
_CIRCLES_M = (10_000.0, 50_000.0)
# So many values of a category, or of half as many all pairs.
_COMMON = 40
# As many as a server keeps of a million rows; of fewer rows it keeps more, too small to matter.
_MOST_KEPT = 2_200
_BOXES_DEGREES = (1.0, 10.0, 40.0)
_SHOWN = ("ms", "ms_without", "times")


class Case(NamedTuple):
    """Filters of one kind that pass about as many rows, none of them twice."""

    name: str
    filters: Filters


class Asker:
    """Asks a bundle one question at a time."""

    def __init__(self, bundle: Bundle) -> None:
        """Open what a server opens."""
        settings = SearchSettings()
        self._retrieval = Retrieval(bundle, Catalog.open(bundle.catalog_path), settings)
        kept = 1 + settings.filter_cache_bytes * 8 // bundle.manifest.rows
        self._kept_filters = min(_MOST_KEPT, kept)
        self._space = next(iter(bundle.spaces))

    def fill(self, filters: Filters) -> None:
        """Compile as many filters as a server keeps, which it has after its first hours.

        From then on a new one takes the memory of the oldest; before, the kernel has to give some.
        """
        for asked in islice(filters, self._kept_filters):
            self._retrieval.compile(asked)

    def ask(self, vector: Vector, asked: Filter) -> tuple[float, Page]:
        """Milliseconds of a page of ten, and the page."""
        question = Question(space=self._space, vector=vector, filter=asked, limit=10)
        started = time.perf_counter()
        page = self._retrieval.begin(question).page()
        return (time.perf_counter() - started) * 1000, page


def measure(bundle: Bundle, queries: int, seed: int) -> list[Record]:
    """Latencies without a filter, and with filters of every kind.

    Each question is asked without a filter, with a new one and with that one again, right after
    each other, so that whatever else the machine does slows all three alike.
    """
    random = np.random.default_rng(seed)
    asker = Asker(bundle)
    segment = bundle.segments[0]
    space = next(iter(bundle.spaces))
    rows = random.choice(segment.rows, queries, replace=False)
    vectors = segment.vectors(space)[np.sort(rows)].astype(np.float32)
    for vector in vectors:
        asker.ask(vector, Filter())  # what is read from disk once is not the filter's cost
    quantities = [layer for layer in Layers.of(bundle).all() if layer.entry.kind != "category"]
    for layer in quantities[:1]:
        name = layer.entry.name
        asker.fill(Filter(layers={name: LayerRange(max=float(most))}) for most in count(1000))
    records: list[Record] = []
    for case in _cases(bundle, random):
        # A server compiles the usual filters when it opens a bundle, which reads the columns.
        first_of_all = next(case.filters, None)
        if first_of_all is None:
            continue
        asker.ask(vectors[0], first_of_all)
        plain, first, again, matching = [], [], [], []
        for vector, asked in zip(vectors, case.filters, strict=False):
            plain.append(asker.ask(vector, Filter())[0])
            took_ms, page = asker.ask(vector, asked)
            first.append(took_ms)
            again.append(asker.ask(vector, asked)[0])
            # Once before and once after: the second of two asks finds its lists in the cache.
            plain.append(asker.ask(vector, Filter())[0])
            matching.append(page.matching)
        for name, times in (("new", first), ("asked before", again)) if first else ():
            records.append(
                {
                    "benchmark": "place_filters",
                    "system": "atlas",
                    "case": f"{case.name}, {name}",
                    "rows": bundle.manifest.rows,
                    "dim": bundle.spaces[space].dim,
                    "seed": seed,
                    "asked": len(times),
                    "matching": int(np.median(matching)),
                    **_compared("p50", 0.5, times, plain),
                    **_compared("p99", 0.99, times, plain),
                }
            )
    return records


def _cases(bundle: Bundle, random: np.random.Generator) -> Iterator[Case]:
    for layer in Layers.of(bundle).all():
        name = layer.entry.name
        if layer.entry.kind == "category":
            for values in (1, 2):
                yield Case(f"{name}, {values} value{'s'[: values - 1]}", _categories(layer, values))
            continue
        bounds = layer.interval(0)
        for share_name, share in _SHARES:
            if layer.entry.kind == "distance":
                asked = _near(name, _quantile(bounds.high, share))
                yield Case(f"near {name}, {share_name}", asked)
            else:
                asked = _above(name, _quantile(bounds.low, 1 - share))
                yield Case(f"{name} above, {share_name}", asked)
    order = bundle.segments[0].place_order
    if order is not None:
        for radius_m in _CIRCLES_M:
            at = random.permutation(len(order.row))
            places = zip(order.latitude[at], order.longitude[at], strict=True)
            yield Case(f"around a record, {radius_m / 1000:.0f} km", _around(places, radius_m))
        for degrees in _BOXES_DEGREES:
            at = random.permutation(len(order.row))
            places = zip(order.latitude[at], order.longitude[at], strict=True)
            yield Case(f"box at a record, {degrees:g} degrees", _boxes(places, degrees))


def _quantile(bounds: Bounds, share: float) -> float:
    sample = bounds[:: max(1, len(bounds) // 100_000)]
    return float(np.quantile(sample[np.isfinite(sample)], share))


def _near(layer: str, within_m: float) -> Filters:
    for number in count():
        near = Near(feature=layer, within_m=max(1.0, within_m) * (1 + number * 1e-5))
        yield Filter(near=(near,))


def _above(layer: str, least: float) -> Filters:
    for number in count():
        yield Filter(layers={layer: LayerRange(min=least + number * 1e-3)})


def _categories(layer: Layer, values: int) -> Filters:
    """The commonest values, so many at a time."""
    numbers = np.bincount(np.maximum(layer.category(0).certain, OUTSIDE))
    numbers[OUTSIDE] = 0
    names = {name.id: name.name for name in layer.names}
    common = [names[number] for number in np.argsort(-numbers).tolist() if numbers[number]]
    for chosen in combinations(common[: _COMMON // values], values):
        yield Filter(layers={layer.entry.name: LayerRange(values=chosen)})


def _boxes(places: Iterator[tuple[float, float]], degrees: float) -> Filters:
    for latitude, longitude in places:
        south = min(float(latitude), 90.0 - degrees)
        west = float(longitude)
        yield Filter(bbox=(west, south, west + degrees, south + degrees))


def _around(places: Iterator[tuple[float, float]], radius_m: float) -> Filters:
    for latitude, longitude in places:
        point = Around(latitude=float(latitude), longitude=float(longitude), within_m=radius_m)
        yield Filter(around=(point,))


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
@click.option("--queries", default=100, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the records here.")
def main(bundle: Path, queries: int, seed: int, target: Path | None) -> None:
    """Measure a bundle that has place layers."""
    records = measure(Bundle.open(bundle, "sizes"), queries, seed)
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
