"""`indexer report`: what a build brought in, as a page and as JSON."""

from __future__ import annotations

from pathlib import Path

import click

from indexer.commands.program import BUNDLE, indexer, reporting


@indexer.command()
@BUNDLE
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work folder of the build, which has its times; default: BUNDLE with `.work`.",
)
@click.option(
    "--output",
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of report.html and report.json; default: the work folder.",
)
@reporting
def report(bundle: Path, *, work: Path | None, folder: Path | None) -> None:
    """Write the report of BUNDLE: rows by source and state, rejects, times, recall, a map.

    The page needs no server and no network. Exit code 1 where the bundle's account does not add up.
    """
    from indexer.report.write import write_report

    root = bundle.absolute()
    work = root.with_name(f"{root.name}.work") if work is None else work
    _, page = write_report(root, work, folder)
    click.echo(f"{bundle}: report in {page}")
