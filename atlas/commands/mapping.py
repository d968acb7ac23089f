"""Maps from the command line: a picture, a table of cells, a range.

Opens the catalog alone, no encoder and no index: a map needs neither, and they take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from atlas.api.geojson import feature_collection
from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.geo.shapes import BoundingBox
from atlas.settings import Settings
from atlas.species.distribution import MappedTaxon
from atlas.species.distribution_table import csv_of, parquet_of
from atlas.species.maps import Maps
from atlas.species.names import TaxonNames, taxon_named
from atlas.species.occupancy import RecordFilter
from atlas.species.range import Range

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
FORMS: Mapping[str, Callable[[MappedTaxon], bytes]] = {
    "csv": csv_of,
    "parquet": parquet_of,
    "geojson": lambda mapped: msgspec.json.encode(feature_collection(mapped.listed())),
    "json": lambda mapped: msgspec.json.encode(mapped.listed()),
}


class _Question(NamedTuple):
    maps: Maps
    taxon_id: int
    only: RecordFilter
    box: BoundingBox | None


class OpenMaps(NamedTuple):
    """A bundle's catalog and its maps, without encoders and indexes."""

    bundle: Bundle
    catalog: Catalog
    maps: Maps


@contextmanager
def open_maps(settings: Settings) -> Iterator[OpenMaps]:
    """The maps of a bundle while the block runs."""
    # The catalog is read, and nothing else of the bundle: its size is all that is checked.
    bundle = Bundle.open(Path(settings.bundle.path), "sizes")
    catalog = Catalog.open(
        bundle.catalog_path,
        threads=os.cpu_count() or 1,
        memory_mb=settings.bundle.catalog_memory_mb,
    )
    try:
        maps = Maps.of(
            catalog,
            finest=bundle.manifest.cell_resolution,
            demonstration=bundle.manifest.demonstration,
            settings=settings.maps,
            gaps=settings.gaps,
        )
        yield OpenMaps(bundle, catalog, maps)
    finally:
        catalog.close()


@contextmanager
def _asked(settings: Settings, asked: Mapping[str, Any]) -> Iterator[_Question]:
    """The maps of a bundle and what the options of a command ask of them."""
    with open_maps(settings) as (_, catalog, maps):
        only = maps.filters.read(
            first=asked["first"],
            last=asked["last"],
            months=[asked["months"]] if asked["months"] else None,
            sources=asked["source"],
            max_uncertainty_m=asked["max_uncertainty_m"],
        )
        bbox = asked.get("bbox")
        yield _Question(
            maps,
            taxon_named(TaxonNames(catalog), asked["taxon"]),
            only,
            BoundingBox.parse(bbox) if bbox else None,
        )


def write_map(settings: Settings, asked: Mapping[str, Any]) -> None:
    """Draw a taxon's map into the file `output`."""
    with _asked(settings, asked) as question:
        drawn = question.maps.pictures.draw(
            question.taxon_id, width=asked["width"], box=question.box, only=question.only
        )
    asked["output"].write_bytes(drawn)


def write_distribution(settings: Settings, asked: Mapping[str, Any]) -> bytes:
    """A taxon's cells in the form asked for; InvalidQuery for a form that there is not."""
    with _asked(settings, asked) as question:
        mapped = question.maps.distributions.read(
            question.taxon_id,
            asked["resolution"],
            box=question.box,
            searched=asked["searched"],
            only=question.only,
        )
        return FORMS[asked["form"]](mapped)


def form_of(form: str | None, output: Path | None) -> str:
    """The form that was named, else that of the file's extension, else CSV."""
    if form is None and output is not None:
        form = output.suffix.lower().removeprefix(".")
        if form not in FORMS:
            raise InvalidQuery("output", f"ends in none of {', '.join(FORMS)}: give --format")
    return form or "csv"


def range_of(settings: Settings, asked: Mapping[str, Any]) -> Range:
    """The range of a taxon."""
    with _asked(settings, asked) as question:
        return question.maps.ranges.read(question.taxon_id, asked["resolution"], only=question.only)


def print_range(found: Range) -> None:
    """Print a range as two tables: its size, and its seasons beside those of the group."""
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE, pad_edge=False, show_header=False)
    for name, value in _sizes(found):
        table.add_row(name, value)
    console.print(table)
    seasons = Table(box=box.SIMPLE, pad_edge=False)
    seasons.add_column("month")
    seasons.add_column("records", justify="right")
    seasons.add_column(f"share of {found.target_group.scientific_name}", justify="right")
    for month, records, effort in zip(
        _MONTHS, found.seasons.months, found.seasons.effort_share, strict=True
    ):
        seasons.add_row(month, f"{records:,}", f"{effort:.1%}")
    console.print(seasons)
    for held in found.held_back:
        console.print(f"{held.records:,} records held back: {held.meaning}", markup=False)
    console.print(f"{found.wording[0].upper()}{found.wording[1:]}.")


def _sizes(found: Range) -> list[tuple[str, str]]:
    extent, least = found.extent_of_occurrence_km2, found.area_of_occupancy_at_least
    band, basis = found.latitudes, found.basis
    read = f"{basis.points:,} of {basis.records:,} records"
    if basis.cell_resolution is not None:
        read += f" and all cells of resolution {basis.cell_resolution}"
    return [
        (
            "extent of occurrence",
            "fewer than three places" if extent is None else f"{extent:,.0f} km²",
        ),
        (
            "area of occupancy",
            f"{'at least ' if least else ''}{found.area_of_occupancy_km2:,.0f} km²",
        ),
        (
            f"occupied cells of resolution {found.resolution}",
            f"{found.occupied_cells:,}, {found.occupied_km2:,.0f} km²",
        ),
        ("latitudes", "" if band is None else f"{band.south:.2f} to {band.north:.2f}"),
        ("read from", read),
    ]
