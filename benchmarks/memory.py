"""Memory of a server per row, after many mixed searches.

`python -m benchmarks.memory --bundle FOLDER [--queries 10000] [--seed S] [--json FILE]`. A process
of its own opens the bundle with the server's own `open_atlas` and answers searches by stored photo
under mixed filters. Counts what the system cannot take back (RssAnon) apart from pages of mapped
files (RssFile), which it can.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from atlas.api.search_requests import Search
from atlas.app import Atlas, open_atlas
from atlas.bundle import Bundle
from atlas.errors import BundleError
from atlas.search.filters import Filter
from atlas.settings import BundleSettings, Settings, SpacesSettings

_MEGABYTE = 1e6
_HALF_WIDTHS = (0.2, 1.0, 5.0, 20.0)


def resident_bytes() -> dict[str, int]:
    """This process's resident memory: `anon` its own, `file` pages of mapped files. Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        "anon": int(fields["RssAnon"].split()[0]) * 1024,
        "file": int(fields["RssFile"].split()[0]) * 1024,
    }


def mixed_searches(opened: Atlas, count: int, seed: int) -> Iterator[Search]:
    """Searches by a stored photo: without a filter, by taxon, month, box, source, and by two."""
    random = np.random.default_rng(seed)
    rows = opened.bundle.manifest.rows
    listed = ", ".join(map(str, random.choice(rows, min(rows, 2_000), replace=False).tolist()))
    photos = opened.catalog.table(
        "SELECT image_id::VARCHAR AS image_id, lineage, latitude, longitude, month "
        "FROM image JOIN image_identity USING (row_id) JOIN taxon USING (taxon_id) "
        f"WHERE row_id IN ({listed}) ORDER BY row_id"
    )
    sources = [source.key for source in opened.catalog.sources()]
    for _ in range(count):
        asked, place = random.integers(len(photos["image_id"]), size=2).tolist()
        yield Search(
            image_id=UUID(photos["image_id"][asked]),
            filter=_filter(photos, place, sources, random),
            limit=30,
        )


def _filter(
    photos: dict[str, npt.NDArray[Any]],
    at: int,
    sources: list[str],
    random: np.random.Generator,
) -> Filter:
    """A filter around one photo; what the photo does not state is not asked for."""
    kind = int(random.integers(6))
    half = float(random.choice(_HALF_WIDTHS))
    latitude, longitude = photos["latitude"][at], photos["longitude"][at]
    box = None
    if kind in {3, 5} and latitude is not np.ma.masked:
        box = (
            max(-180.0, float(longitude) - half),
            max(-90.0, float(latitude) - half),
            min(180.0, float(longitude) + half),
            min(90.0, float(latitude) + half),
        )
    lineage = photos["lineage"][at]
    month = photos["month"][at]
    return Filter(
        taxon=int(random.choice(lineage)) if kind in {1, 5} and len(lineage) else None,
        months=(int(month),) if kind == 2 and month is not np.ma.masked else None,
        bbox=box,
        sources=(str(random.choice(sources)),) if kind == 4 else None,
    )


async def _ask(opened: Atlas, count: int, seed: int) -> None:
    async with opened.running():
        for search in mixed_searches(opened, count, seed):
            await opened.questions.ask(search)


def measure_here(bundle: Path, count: int, seed: int) -> dict[str, Any]:
    """Open a bundle, ask, and weigh this process before, between and after."""
    before = resident_bytes()
    opened = open_atlas(
        Settings(
            bundle=BundleSettings(path=str(bundle), verify="sizes"),
            # An encoder weighs the same whatever the number of rows.
            spaces=SpacesSettings(missing_encoder="serve"),
        )
    )
    after_opening = resident_bytes()
    asyncio.run(_ask(opened, count, seed))
    after = resident_bytes()
    rows = opened.bundle.manifest.rows
    return {
        "rows": rows,
        "dim": next(iter(opened.bundle.spaces.values())).dim,
        "asked": count,
        "seed": seed,
        "started_mb": round(before["anon"] / _MEGABYTE, 1),
        "opened_mb": round(after_opening["anon"] / _MEGABYTE, 1),
        "asked_mb": round(after["anon"] / _MEGABYTE, 1),
        "file_mb": round(after["file"] / _MEGABYTE, 1),
        "resident_bytes_per_row": round((after["anon"] - before["anon"]) / rows, 2),
    }


@click.command()
@click.option("--bundle", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--queries", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(bundle: Path, queries: int, seed: int, json_path: Path | None) -> None:
    """Measure the memory that a server holds for each row of a bundle."""
    try:
        Bundle.open(bundle, "sizes")
    except BundleError as error:
        click.echo(f"memory: {error}", err=True)
        sys.exit(1)
    # A fresh interpreter: nothing that this one holds is counted.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(measure_here, (bundle, queries, seed))
    records = [{"benchmark": "memory", "system": "atlas", "case": "mixed searches", **found}]
    table = Table(*found)
    table.add_row(*map(str, found.values()))
    Console(width=140).print(table)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))


if __name__ == "__main__":
    main()
