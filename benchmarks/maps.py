"""Maps at scale: building them, their size, and how long tiles, distributions and gaps take.

`python -m benchmarks.maps --rows N [--rows M] [--seed S] [--density FILE] [--keep FOLDER] [--json
FILE]`. Makes occurrences up (metadata only, 100,000 taxa), builds the catalog with the project's
own stage, and asks it what the API asks. With two numbers of rows the growth of tile times from one
to the other is a record, too. Runs on Linux.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.density import Density, made_up_density, read_density
from benchmarks.map_questions import (
    Maps,
    distribution_records,
    filtered_tile_records,
    gap_records,
    tile_records,
)
from benchmarks.map_world import CATALOG, build_catalog, make_rows, size_records
from benchmarks.plain_tables import Plain, compare, write_raw

Record = dict[str, Any]
_DENSITY = Path("../shared/data/gbif-density-0.35deg/gbif_density.parquet")


def measure(
    folder: Path, rows: int, seed: int, taxa: int, density: Density, asked: int, plain: int
) -> list[Record]:
    """All records of one number of rows; what is in `folder` already is not made again."""
    made = make_rows(folder, rows, seed, taxa, density)
    records: list[Record] = [{"case": "rows made up", "seconds": made.seconds}]
    built = folder / "built.json"
    if not (built.exists() and (folder / CATALOG).exists()):
        built.write_bytes(msgspec.json.encode(build_catalog(folder, made)))
    records += msgspec.json.decode(built.read_bytes(), type=list[Record])
    records += size_records(folder / CATALOG, rows)
    threads = os.cpu_count() or 1
    maps = Maps(folder / CATALOG, threads)
    try:
        tile_records(maps, 20, seed + 99)  # the first questions read the file in
        records += tile_records(maps, asked, seed)
        records += distribution_records(maps, min(asked, 20))
        records += gap_records(maps, seed)
        records += filtered_tile_records(maps, min(asked, 20), seed)
    finally:
        maps.close()
    if plain:
        write_raw(folder, made.segments)
        # Opened anew: what was asked before is not remembered.
        maps, raw = Maps(folder / CATALOG, threads), Plain(folder, threads)
        records += compare(maps, raw, plain, seed)
        maps.close()
        raw.close()
    return records


def growth(before: list[Record], after: list[Record]) -> list[Record]:
    """How many times the median tile time of each case grew."""
    earlier = {record["case"]: record for record in before}
    return [
        {
            "case": f"growth: {record['case']}",
            "times": round(record["p50_ms"] / earlier[record["case"]]["p50_ms"], 2),
        }
        for record in after
        if record["case"].startswith("tile")
    ]


def show(records: list[Record]) -> None:
    """Print the records as a table."""
    table = Table("rows", "case", "numbers")
    for record in records:
        told = {name: value for name, value in record.items() if name not in _NOT_TOLD}
        table.add_row(
            f"{record['rows']:,}",
            record["case"],
            ", ".join(f"{name} {value}" for name, value in told.items()),
        )
    Console(width=160).print(table)


_NOT_TOLD = {"benchmark", "system", "case", "rows", "seed", "taxa", "cpus", "busy", "columns"}


@click.command()
@click.option("--rows", "sizes", multiple=True, default=(1_000_000,), type=click.IntRange(10_000))
@click.option("--taxa", default=100_000, show_default=True, type=click.IntRange(1_000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1))
@click.option("--asked", default=200, show_default=True, help="Questions of each case.")
@click.option("--plain", default=3, show_default=True, help="Of these, to plain DuckDB as well.")
@click.option(
    "--density",
    default=_DENSITY,
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet with lon, lat, n; where it is missing, a density is made up.",
)
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
@click.option(
    "--keep",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for rows and catalogs, which are kept; else they are temporary.",
)
def main(
    sizes: tuple[int, ...],
    taxa: int,
    seed: int,
    asked: int,
    plain: int,
    density: Path,
    json_path: Path | None,
    keep: Path | None,
) -> None:
    """Measure maps at one size or at several."""
    named = density if density.exists() else "made up"
    print(
        f"{', '.join(f'{rows:,}' for rows in sizes)} rows, seed {seed}, density {named}; "
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    )
    where = read_density(density) if density.exists() else made_up_density(seed)
    busy = round(os.getloadavg()[1], 1)
    records: list[Record] = []
    measured: list[list[Record]] = []
    with tempfile.TemporaryDirectory(prefix="atlas-maps-") as temporary:
        for rows in sizes:
            folder = (keep or Path(temporary)).absolute() / f"{rows}-{taxa}-{seed}"
            measured.append(measure(folder, rows, seed, taxa, where, asked, plain))
            found = measured[-1] + (growth(measured[0], measured[-1]) if len(measured) > 1 else [])
            records += [
                {
                    "benchmark": "maps",
                    "system": "atlas",
                    "rows": rows,
                    "seed": seed,
                    "taxa": taxa,
                    "cpus": os.cpu_count(),
                    "busy": busy,
                    **record,
                }
                for record in found
            ]
    show(records)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
