"""Distances of place layers: how true they are, how long they take, and in how much memory.

`python -m benchmarks.layers [--cells 1000000] [--sample 10000] [--reaches N] [--seed S]
[--json FILE]`. Cells all over the earth against the rivers of the package; a sample of them against
an oracle that tries geodesics; and with `--reaches` a file of that many made-up rivers, streamed.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.geo.distance import cut_into_pieces
from benchmarks.reaches import (
    are_inside,
    places_by,
    random_places,
    true_distances_m,
    write_reaches,
)
from indexer.layers.distances import RunningNearest, Spots
from indexer.layers.features import FeatureSource, is_area, lines_of
from indexer.layers.packaged import packaged
from indexer.layers.vector_file import VectorFile
from indexer.progress import Terminal

Record = dict[str, Any]
_FAR_M = 5_000.0  # from here on the bar is a share


def measure_rate(source: FeatureSource, case: str, cells: int, seed: int) -> Record:
    """Time to measure cells against all features of a source, which are read once."""
    latitude, longitude = random_places(cells, np.random.default_rng(seed))
    started_s = time.perf_counter()
    nearest = RunningNearest(Spots(latitude, longitude))
    features = 0
    for batch in source.features():
        nearest.offer(batch, np.zeros(len(batch.geometry), np.int32))
        features += len(batch.geometry)
    metres = nearest.distance_m()
    took_s = time.perf_counter() - started_s
    return {
        "benchmark": "layers",
        "system": "atlas",
        "case": case,
        "rows": cells,
        "seed": seed,
        "features": features,
        "seconds": round(took_s, 2),
        "rows_per_s": round(cells / took_s),
        "median_distance_m": round(float(np.median(metres))),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def measure_truth(feature: str, sample: int, seed: int) -> Record:
    """Errors against the oracle; the bar is 1 % or 50 m, whichever is more.

    A tenth of the places are in and around the areas that the source has; inside, 0 is true.
    """
    random = np.random.default_rng(seed)
    batches = list(packaged(feature).features())
    geometry = np.concatenate([batch.geometry for batch in batches])
    areas = geometry[is_area(geometry)]
    latitude, longitude = random_places(sample, random)
    if len(areas):
        # The last tenth: the first has the poles and the antimeridian.
        by_areas = slice(sample - sample // 10, sample)
        latitude[by_areas], longitude[by_areas] = places_by(areas, sample // 10, random)
    nearest = RunningNearest(Spots(latitude, longitude))
    lines = []
    for batch in batches:
        nearest.offer(batch, np.zeros(len(batch.geometry), np.int32))
        lines.append(lines_of(batch.geometry))
    inside = are_inside(areas, latitude, longitude)
    starts = np.cumsum([0, *(int(some.line.max()) + 1 for some in lines)])
    pieces = cut_into_pieces(
        np.concatenate([some.longitude for some in lines]),
        np.concatenate([some.latitude for some in lines]),
        np.concatenate([some.line + first for some, first in zip(lines, starts, strict=False)]),
        np.zeros(starts[-1], np.int64),
    )
    found = nearest.distance_m()
    true_m = np.where(inside, 0.0, true_distances_m(latitude, longitude, pieces))
    error = np.abs(found - true_m)
    allowed = np.maximum(0.01 * true_m, 50.0)
    # Nearer than that the oracle's own points, 20 m apart, are what a share tells of.
    far = true_m > _FAR_M
    return {
        "benchmark": "layers",
        "system": "atlas",
        "case": f"{feature}: against the oracle",
        "rows": sample,
        "seed": seed,
        "inside_areas": int(np.count_nonzero(inside)),
        "worst_of_allowed": round(float(np.max(error / allowed)), 4),
        "worst_m": round(float(error.max()), 2),
        "worst_share": float(f"{np.max(error[far] / true_m[far]):.2g}"),
        "beyond_the_bar": int(np.count_nonzero(error > allowed)),
    }


@click.command()
@click.option("--cells", default=1_000_000, show_default=True, help="Cells to measure.")
@click.option("--sample", default=10_000, show_default=True, help="Cells for the oracle.")
@click.option("--reaches", default=0, show_default=True, help="Made-up rivers to stream.")
@click.option("--feature", "chosen", multiple=True, default=("river",), show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the records here.")
def main(
    cells: int, sample: int, reaches: int, chosen: tuple[str, ...], seed: int, target: Path | None
) -> None:
    """Measure distances and print a table."""
    records: list[Record] = []
    for feature in chosen:
        if cells:
            records.append(measure_rate(packaged(feature), f"{feature}: all cells", cells, seed))
        if sample:
            records.append(measure_truth(feature, sample, seed))
    if reaches:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "reaches.parquet"
            with Terminal().stage("reaches", reaches, "written") as advance:
                write_reaches(path, reaches, np.random.default_rng(seed), advance)
            case = f"{path.stat().st_size / 1e9:.1f} GB of reaches, streamed"
            records.append(measure_rate(VectorFile(path=path), case, cells, seed))
    table = Table(box=None)
    for column in ("case", "rows", "what"):
        table.add_column(column)
    for record in records:
        named = {"benchmark", "system", "case", "rows", "seed"}
        what = ", ".join(f"{name} {value}" for name, value in record.items() if name not in named)
        table.add_row(record["case"], f"{record['rows']:,}", what)
    Console(soft_wrap=True).print(table)
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")


if __name__ == "__main__":
    main()
