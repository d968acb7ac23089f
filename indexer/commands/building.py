"""`indexer build` and `add`: from a plan to a bundle, or to more of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from indexer.commands.program import PLAN, QUIET, indexer, reporting

if TYPE_CHECKING:
    from indexer.build import Built


@indexer.command()
@PLAN
@QUIET
@reporting
def build(plan: Path, *, quiet: bool) -> None:
    """Build the bundle that PLAN.toml describes and make it live.

    A build that was stopped, in whatever way, goes on where it was. When nothing has changed since
    the last build there is nothing to do. Refused rows are listed, with reasons, in the bundle's
    rejects file; the plan says how many are tolerated. A report of it all, as a page and as JSON,
    lies in the work folder.
    """
    from indexer.build import build as run_build
    from indexer.plan import read_plan
    from indexer.progress import Silent, Terminal
    from indexer.report.record import Recorded
    from indexer.report.write import write_report

    described = read_plan(plan)
    work = described.output.work_folder()
    watcher = Recorded(Silent() if quiet else Terminal(), work)
    built = run_build(described, watcher)
    if built.was_live:
        watcher.forget()
    else:
        watcher.is_live(built.manifest.number)
    _, page = write_report(described.output.bundle, work)
    _print_account(described.output.bundle, built)
    click.echo(f"report: {page}")


def _print_account(bundle: Path, built: Built) -> None:
    from indexer.tables.duplicates import groups_in

    console = Console()
    table = Table("source", "rows in", "rows out", "rejected", "why", box=None, pad_edge=False)
    for source in built.manifest.sources:
        why = ", ".join(f"{count} {reason}" for reason, count in source.rejects.items())
        refused = sum(source.rejects.values())
        table.add_row(source.key, str(source.rows_in), str(source.rows_out), str(refused), why)
    console.print(table)
    groups, repeating = groups_in(bundle / built.manifest.catalog)
    console.print(
        f"{repeating:,} images in {groups:,} groups of identical files or near-identical photos",
        highlight=False,
    )
    rows = sum(source.rows_out - source.removed for source in built.manifest.sources)
    done = "nothing to do: live already" if built.was_live else "live"
    console.print(
        f"{bundle}: bundle {built.manifest.number}, {rows:,} rows, {done}",
        highlight=False,
        soft_wrap=True,
    )


@indexer.command()
@PLAN
@click.option(
    "--to",
    "bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Bundle to add to; by default the one that the plan's output names.",
)
@QUIET
@reporting
def add(plan: Path, bundle: Path | None, *, quiet: bool) -> None:
    """Add the sources of PLAN.toml to a bundle that is there already, as new segments.

    Segments that are there stay as they are, and so do the trained indexes. The plan's spaces,
    ranks and cells must be those of the bundle. An image that the bundle holds is refused as a
    duplicate; one that was removed may come back.
    """
    from indexer.add import add as run_add
    from indexer.plan import read_plan
    from indexer.progress import Silent, Terminal

    described = read_plan(plan)
    root = described.output.bundle if bundle is None else bundle.absolute()
    built = run_add(described, root, Silent() if quiet else Terminal())
    _print_account(root, built)
