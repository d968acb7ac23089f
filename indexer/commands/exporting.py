"""`indexer export`: rows of a bundle for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.table import Table

from indexer.commands.program import BUNDLE, QUIET, indexer, reporting

if TYPE_CHECKING:
    from indexer.export.export import Export


@indexer.command()
@BUNDLE
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv", "dwca"]),
    required=True,
    help="Parquet with vectors, CSV, or a Darwin Core Archive (zip).",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE"
)
@click.option("--taxon", help="A taxon, by name or id, with everything below it.")
@click.option("--bbox", metavar="W,S,E,N", help="Degrees; west > east crosses the antimeridian.")
@click.option(
    "--from", "first", metavar="DAY", help="First day of observation, such as 2020-01-31."
)
@click.option("--to", "last", metavar="DAY", help="Last day of observation.")
@click.option("--months", help="Months, 1 to 12, with commas.")
@click.option("--licence", "licences", multiple=True, help="Photo licence, such as CC-BY-4.0.")
@click.option("--source", "sources", multiple=True, help="Key of a source.")
@click.option("--max-uncertainty-m", type=float, help="Greatest uncertainty of coordinates.")
@click.option(
    "--flags",
    type=click.Choice(["default", "all"]),
    default="default",
    show_default=True,
    help="`default` leaves out what a search holds back for its quality.",
)
@click.option("--filter", "further", metavar="JSON", help="Further fields of the API's filter.")
@click.option("--space", help="Whose vectors a Parquet file holds, where there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
@QUIET
@reporting
def export(
    bundle: Path,
    form: Literal["parquet", "csv", "dwca"],
    output: Path,
    *,
    taxon: str | None,
    space: str | None,
    as_json: bool,
    quiet: bool,
    **limits: Any,  # noqa: ANN401 - what click makes of the options that limit
) -> None:
    """Write photos and records of BUNDLE that pass a filter to FILE, whole or not at all.

    Places of sensitive taxa are in it as the bundle has them: made coarse, or withheld.
    """
    from atlas.bundle.manifest import encode_json
    from indexer.export.export import export_bundle
    from indexer.progress import Silent, Terminal

    written = export_bundle(
        bundle,
        output,
        form,
        Silent() if quiet else Terminal(),
        limits=_limits(**limits),
        taxon=taxon,
        space=space,
    )
    if as_json:
        click.echo(encode_json(written).decode(), nl=False)
    else:
        _print(written)


def _limits(
    *,
    bbox: str | None,
    first: str | None,
    last: str | None,
    months: str | None,
    licences: tuple[str, ...],
    sources: tuple[str, ...],
    max_uncertainty_m: float | None,
    flags: str,
    further: str | None,
) -> dict[str, Any]:
    """The fields of the API's filter that the options give."""
    import msgspec

    from atlas.errors import InvalidQuery
    from atlas.geo.shapes import BoundingBox

    box = None if bbox is None else BoundingBox.parse(bbox, "bbox")
    observed = {name: day for name, day in (("from", first), ("to", last)) if day is not None}
    given = {
        "bbox": None if box is None else [box.west, box.south, box.east, box.north],
        "observed": observed or None,
        "months": None if months is None else months.split(","),
        "licences": licences or None,
        "sources": sources or None,
        "max_uncertainty_m": max_uncertainty_m,
        "flags": flags,
    }
    try:
        fields = {} if further is None else msgspec.json.decode(further, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidQuery("filter", f"is not a JSON object: {error}") from error
    return fields | {name: value for name, value in given.items() if value is not None}


def _print(written: Export) -> None:
    console = Console(highlight=False)
    for title, counts in (("source", written.by_source), ("licence", written.by_licence)):
        table = Table(title, "photos", box=None, pad_edge=False)
        for name, count in counts.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    lines = [
        f"{written.photos:,} of {written.living:,} photos pass the filter and were written; "
        f"{written.held_back:,} more are held back for quality"
        + (f", and of {written.unjudged:,} it cannot be judged" if written.unjudged else "")
    ]
    if written.occurrences is not None:
        lines.append(
            f"{written.occurrences:,} occurrences, {written.media:,} media; "
            f"{written.without_address:,} photos have no address and are told of by their "
            "occurrence only"
        )
    if written.format == "parquet":
        lines.append(f"vectors of space {written.space}" if written.space else "without vectors")
    lines.append(
        f"{written.file}: {written.size_bytes:,} bytes, out of {written.bundle!r}, "
        f"bundle {written.number}"
    )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
