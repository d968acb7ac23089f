"""`indexer layer add`, `list` and `remove`: what is known of places, beside the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from atlas.errors import PlanError
from indexer.commands.program import BUNDLE, QUIET, indexer, reporting


@indexer.group()
def layer() -> None:
    """Place layers of a bundle: distances to rivers, countries, elevation."""


@layer.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, path_type=Path), required=False)
@click.option(
    "--to",
    "bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    metavar="BUNDLE",
    help="The bundle that gets the layer.",
)
@click.option("--package", help="Instead of FILE: river, lake, coast, country or elevation.")
@click.option("--kind", help="distance, category or value.", default="distance", show_default=True)
@click.option("--feature", default="", help="What it tells of, such as river; NAME if left out.")
@click.option("--layer", help="Which layer of FILE, where it has several.")
@click.option("--order-column", help="Column of each feature's order or size.")
@click.option("--orders", help="Order classes to tell apart, with commas; all if left out.")
@click.option("--name-column", help="Column of each feature's name.")
@click.option("--code-column", help="Column of each feature's code, such as an ISO code.")
@click.option(
    "--values-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV that names a raster's categories: value,name[,code].",
)
@click.option("--band", type=int, default=1, show_default=True, help="Band of a raster.")
@click.option(
    "--accuracy-m", type=float, default=0.0, help="How far the data may be off, in metres."
)
@click.option("--crs", help="Coordinate system, where FILE states none, such as EPSG:4326.")
@click.option("--unit", default="m", show_default=True, help="Unit of a quantity.")
@click.option("--title", default="", help="What people call the data.")
@click.option("--licence", default="", help="Licence of the data, such as CC-BY-4.0.")
@click.option("--citation", default="", help="How to cite the data.")
@click.option("--url", default="", help="Where the data come from.")
@QUIET
@reporting
def add(bundle: Path, *, quiet: bool, orders: str | None, **given: Any) -> None:  # noqa: ANN401
    """Make the layer NAME from FILE for every record of a bundle.

    FILE holds points, lines or areas (GeoPackage, Shapefile, GeoJSON, FlatGeobuf, GeoParquet) or is
    a GeoTIFF. A layer of the same name is replaced. Servers pick the new state up.
    """
    from indexer.layers.add import add_layer
    from indexer.layers.section import LayerSection
    from indexer.progress import Silent, Terminal

    settings = {name: value for name, value in given.items() if value is not None}
    if orders is not None:
        settings["orders"] = [word.strip() for word in orders.split(",")]
    try:
        section = msgspec.convert(settings, LayerSection, strict=False, dec_hook=_as_is)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error
    if section.file is not None and not section.file.is_file():
        raise PlanError(section.file, "is not a file")
    entry = add_layer(bundle, section, Silent() if quiet else Terminal())
    click.echo(f"{bundle}: layer {entry.name} ({entry.kind}) of {entry.origin} is live")


def _as_is(kind: type, value: object) -> object:
    if isinstance(value, kind):
        return value
    raise TypeError(f"expected {kind.__name__}")


@layer.command(name="list")
@BUNDLE
@reporting
def list_layers(bundle: Path) -> None:
    """List the layers of BUNDLE."""
    from indexer.revision import require_live

    manifest = require_live(bundle)
    table = Table(box=None)
    for column in ("name", "kind", "tells of", "rows", "origin", "licence"):
        table.add_column(column)
    for entry in manifest.layers:
        rows = sum(one.rows for one in manifest.segments if one.name in entry.segments)
        covered = f"{rows:,} of {manifest.rows:,}"
        table.add_row(
            entry.name,
            entry.kind,
            entry.feature,
            covered,
            entry.origin,
            entry.licence or "not stated",
        )
    Console().print(table)


@layer.command()
@BUNDLE
@click.argument("name")
@reporting
def remove(bundle: Path, *, name: str) -> None:
    """Make BUNDLE live without the layer NAME; its files stay until `prune`."""
    from indexer.layers.add import remove_layer

    remove_layer(bundle, name)
    click.echo(f"{bundle}: layer {name} is gone")
