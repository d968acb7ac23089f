"""`indexer remove`, `compact` and `prune`: a bundle that is there, changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from indexer.commands.program import BUNDLE, QUIET, indexer, reporting


@indexer.command()
@BUNDLE
@click.option(
    "--segment-rows",
    type=click.IntRange(min=1),
    default=10_000_000,
    show_default=True,
    help="Most rows of one segment.",
)
@click.option(
    "--recall-target",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    help="Mean share of the exact hits that the index must find.",
)
@click.option(
    "--retrain",
    "retrains",
    is_flag=True,
    help="Train the indexes anew on all rows, too; `indexer drift` says when that pays.",
)
@click.option("--prune", "then_prune", is_flag=True, help="Delete what is not named any more, too.")
@QUIET
@reporting
def compact(
    bundle: Path,
    *,
    segment_rows: int,
    recall_target: float,
    retrains: bool,
    then_prune: bool,
    quiet: bool,
) -> None:
    """Rewrite the segments of BUNDLE in one order, without the rows that were removed.

    Many small segments become few large ones. Vectors and pictures are moved, not made again; rows
    get new ids. The files before stay for servers that read them, until `prune`.
    """
    from indexer.compact import compact as run_compact
    from indexer.plan_sections import IndexSection, MeasureSection
    from indexer.progress import Silent, Terminal

    built = run_compact(
        bundle,
        index=IndexSection(segment_rows=segment_rows),
        settings=MeasureSection(recall_target=recall_target),
        retrains=retrains,
        watcher=Silent() if quiet else Terminal(),
    )
    done = "nothing to do: compact already" if built.was_live else "live"
    click.echo(
        f"{bundle}: bundle {built.manifest.number}, {built.manifest.rows:,} rows in "
        f"{len(built.manifest.segments)} segments, {done}"
    )
    if then_prune:
        _prune(bundle, dry_run=False)


@indexer.command()
@BUNDLE
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
@reporting
def prune(bundle: Path, *, dry_run: bool) -> None:
    """Delete the files of BUNDLE that neither its live state nor a later one names.

    Let servers go over to the live state first.
    """
    _prune(bundle, dry_run=dry_run)


def _prune(bundle: Path, *, dry_run: bool) -> None:
    from indexer.prune import prune as run_prune

    sizes = run_prune(bundle, dry_run=dry_run)
    done = "would be deleted" if dry_run else "deleted"
    for name in sizes:
        click.echo(f"{done}: {name}")
    click.echo(f"{bundle}: {len(sizes)} files, {sum(sizes.values()):,} bytes {done}")


@indexer.command()
@BUNDLE
@click.option(
    "--occurrence-ids",
    "listed",
    type=click.File(encoding="utf-8"),
    help="File with one occurrence id a line; - reads standard input.",
)
@click.option("--occurrence-id", "given", multiple=True, help="One occurrence id; may be repeated.")
@click.option("--licence", "licences", multiple=True, help="Photo licence, such as CC-BY-NC-4.0.")
@click.option("--ignore-missing", is_flag=True, help="Go on where the bundle lacks what is named.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and change nothing.")
@reporting
def remove(
    bundle: Path,
    *,
    listed: TextIO | None,
    given: tuple[str, ...],
    licences: tuple[str, ...],
    ignore_missing: bool,
    dry_run: bool,
) -> None:
    """Remove photos from BUNDLE: those of these occurrences, and those under these licences.

    They are gone from every answer as soon as a server has picked up the new state. Their bytes
    stay in the bundle's files until `compact` and `prune`. Exit code 1, and nothing is removed,
    where the bundle holds no photo of something that is named.
    """
    from indexer.progress import Terminal
    from indexer.remove import remove as remove_rows

    lines = (line.strip() for line in listed or ())
    wanted = [*given, *(line for line in lines if line)]
    if not wanted and not licences:
        raise click.UsageError("give --occurrence-ids, --occurrence-id or --licence")
    removed = remove_rows(
        bundle,
        occurrence_ids=wanted,
        licences=licences,
        ignore_missing=ignore_missing,
        dry_run=dry_run,
        watcher=Terminal(),
    )
    for name in removed.chosen.unknown:
        click.echo(f"indexer: not in {bundle}: {name}", err=True)
    refused = bool(removed.chosen.unknown) and not ignore_missing
    done = "would be removed" if dry_run or refused else "removed"
    for reason, count in removed.chosen.reasons.items():
        click.echo(f"{count:,} {done}: {reason}")
    click.echo(
        f"{bundle}: bundle {removed.manifest.number}, {len(removed.chosen.row_ids):,} {done}, "
        f"{removed.rows_left:,} left"
    )
    if refused:
        sys.exit(1)
