"""What it takes to find the rows near a town that nobody asked for before.

`python -m benchmarks.town_filters --bundle FOLDER [--asks 9] [--json FILE]`. Every filter is
compiled anew, for towns as far as words take them to reach ("in Nairobi"), alone and for the
largest taxon with less than a tenth of the rows ("frogs in Nairobi"). A server keeps answers.
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
from atlas.reading.place_sources import read_gazetteer
from atlas.search.compiler import FilterCompiler
from atlas.search.filters import Filter
from atlas.search.place_filters import Around
from atlas.search.planner import SearchSettings

Record = dict[str, Any]
# From the equator to the north and south, one beside the antimeridian; all are in GeoNames.
TOWNS = ("Nairobi", "Lima", "Geneva", "London", "Tokyo", "Auckland")
_LARGEST = "SELECT taxon_id FROM taxon WHERE images * 10 < ? ORDER BY images DESC LIMIT 1"


def measure(bundle: Bundle, asks: int) -> list[Record]:
    """The time of each town's filter, in milliseconds: the median, and the least of a processor."""
    catalog = Catalog.open(bundle.catalog_path)
    finest = bundle.manifest.cell_resolution
    cache_bytes = SearchSettings().filter_cache_bytes
    compiler = FilterCompiler(catalog, bundle.segments, finest=finest, cache_bytes=cache_bytes)
    found = catalog.table(_LARGEST, [bundle.manifest.rows])["taxon_id"]
    taxon = int(found[0]) if len(found) else 0
    gazetteer = read_gazetteer(["en"])
    records: list[Record] = []
    for name in TOWNS:
        towns = [place for place in gazetteer.named(name) if place.kind == "city"]
        town = max(towns, key=lambda place: place.population)
        point = Around(
            latitude=town.latitude or 0.0,
            longitude=town.longitude or 0.0,
            within_m=float(town.reach_m or 0),
        )
        for within, what in ((None, "all"), (taxon, "of a taxon")):
            records.append(
                {
                    "benchmark": "town_filters",
                    "system": "atlas",
                    "case": f"{name}, {point.within_m / 1000:.0f} km, {what}",
                    "rows": bundle.manifest.rows,
                    **_timed(compiler, point, within, asks),
                }
            )
    return records


def _timed(compiler: FilterCompiler, point: Around, taxon: int | None, asks: int) -> Record:
    """New filters, each a metre wider than the last; what is read once is read before."""
    compiled = compiler.compile(Filter(around=(point,), taxon=taxon))
    wall, busy = [], []
    for number in range(1, asks + 1):
        wider = msgspec.structs.replace(point, within_m=point.within_m + number)
        started, processed = time.perf_counter(), time.process_time()
        compiler.compile(Filter(around=(wider,), taxon=taxon))
        wall.append(1000 * (time.perf_counter() - started))
        busy.append(1000 * (time.process_time() - processed))
    return {
        "matching": compiled.matching,
        "unjudged": compiled.unjudged,
        "p50_ms": round(float(np.median(wall)), 1),
        "processor_ms": round(min(busy), 1),
    }


@click.command()
@click.option("--bundle", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--asks", type=click.IntRange(min=1), default=9, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the records here.")
def main(bundle: Path, asks: int, target: Path | None) -> None:
    """Measure a bundle."""
    records = measure(Bundle.open(bundle, "sizes"), asks)
    counted = ("matching", "unjudged", "p50_ms", "processor_ms")
    table = Table("case", *counted, box=None)
    for record in records:
        table.add_row(record["case"], *(f"{record[column]:,}" for column in counted))
    Console(soft_wrap=True).print(table)
    if target is not None:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=1) + b"\n")


if __name__ == "__main__":
    main()
