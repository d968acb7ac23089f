"""`indexer inspect`: what a source holds, before anything is built of it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexer.commands.program import indexer, reporting
from indexer.progress import duration

if TYPE_CHECKING:
    from indexer.inspection import Inspection, SourceInspection


@indexer.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="PLAN-or-FILE")
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="Most rows of each source that are read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@reporting
def inspect(source: Path, *, rows: int, as_json: bool) -> None:
    """Say what a plan's sources, or a file, archive or folder, hold, and whether it can be built.

    Prints rows, columns, licences, places, dates and problems, with an estimate of a build's time
    and size. Pictures are not opened. Exit code 2, with the reason in words, where a build would
    stop.
    """
    from atlas.bundle.manifest import encode_json
    from indexer.inspection import inspect_plan, plan_of_file
    from indexer.plan import read_plan

    with tempfile.TemporaryDirectory() as scratch:
        if source.suffix.lower() == ".toml":
            plan = read_plan(source)
        else:
            plan = plan_of_file(source.absolute(), Path(scratch))
        found = inspect_plan(plan, rows)
    if as_json:
        click.echo(encode_json(found).decode(), nl=False)
    else:
        _print(found)
    if found.problem:
        click.echo(f"indexer: cannot be built: {found.problem}", err=True)
        sys.exit(2)


def _print(found: Inspection) -> None:
    for source in found.sources:
        for line in _lines(source):
            click.echo(line)
    click.echo(
        f"a build takes about {duration(found.build_s)} and "
        f"{found.size_bytes / 1e6:,.0f} MB without copied photos"
    )


def _lines(source: SourceInspection) -> list[str]:
    read = "" if source.rows_read == source.rows else f", {source.rows_read:,} of them read"
    lines = [f"{source.key}: {source.kind}, {source.rows:,} rows{read}"]
    if source.citation:
        lines.append(f"  citation: {source.citation[:200]}")
    columns = [f"{name} {count:,}" for name, count in source.filled.items() if count]
    lines.append(f"  columns: {', '.join(columns) or 'none'}")
    for title, counts in (
        ("licences of records", source.licences),
        ("licences of photos", source.media_licences),
        ("flags", source.flags),
    ):
        if counts:
            listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            lines.append(f"  {title}: {listed}")
    if source.bbox is not None:
        west, south, east, north = source.bbox
        lines.append(f"  places: {west:.2f} to {east:.2f} east, {south:.2f} to {north:.2f} north")
    lines.append(f"  days: {source.first_day or 'none'} to {source.last_day or 'none'}")
    for reason, count in source.rejects.items():
        lines.append(f"  refused: {count:,} {reason}, such as {source.examples[reason]}")
    return lines
