"""What `indexer` does on the command line. Exit codes: 0 done, 1 stopped or damaged, 2 bad usage.

The heavy libraries are imported by the command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click
from rich.console import Console
from rich.table import Table

from atlas.errors import AtlasError, PlanError

if TYPE_CHECKING:
    from indexer.build import Built

BUNDLE = click.argument(
    "bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="BUNDLE"
)


def reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Print an atlas error as one line and exit: 2 for a plan at fault, 1 for anything else."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever click passes
        try:
            command(*arguments, **options)
        except AtlasError as error:
            click.echo(f"indexer: {error}", err=True)
            sys.exit(2 if isinstance(error, PlanError) else 1)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="biodiversity-atlas")
def indexer() -> None:
    """Build and check bundles: photos and Darwin Core records in, a searchable atlas out."""


@indexer.command()
@click.argument(
    "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PLAN.toml"
)
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@reporting
def build(plan: Path, *, quiet: bool) -> None:
    """Build the bundle that PLAN.toml describes and make it live.

    A build that was stopped, in whatever way, goes on where it was. When nothing has changed since
    the last build there is nothing to do. Refused rows are listed, with reasons, in the bundle's
    rejects file; the plan says how many are tolerated.
    """
    from indexer.build import build as run_build
    from indexer.plan import read_plan
    from indexer.progress import Silent, Terminal

    described = read_plan(plan)
    built = run_build(described, Silent() if quiet else Terminal())
    _print_account(described.output.bundle, built)


def _print_account(bundle: Path, built: Built) -> None:
    console = Console()
    table = Table("source", "rows in", "rows out", "rejected", "why", box=None, pad_edge=False)
    for source in built.manifest.sources:
        why = ", ".join(f"{count} {reason}" for reason, count in source.rejects.items())
        refused = sum(source.rejects.values())
        table.add_row(source.key, str(source.rows_in), str(source.rows_out), str(refused), why)
    console.print(table)
    rows = sum(source.rows_out - source.removed for source in built.manifest.sources)
    done = "nothing to do: live already" if built.was_live else "live"
    console.print(
        f"{bundle}: bundle {built.manifest.number}, {rows:,} rows, {done}",
        highlight=False,
        soft_wrap=True,
    )


@indexer.command()
@click.argument(
    "plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PLAN.toml"
)
@click.option(
    "--to",
    "bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Bundle to add to; by default the one that the plan's output names.",
)
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
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


@indexer.command()
@BUNDLE
@click.option("--sizes", is_flag=True, help="Compare sizes only, without reading every byte.")
@reporting
def verify(bundle: Path, *, sizes: bool) -> None:
    """Check every file of BUNDLE against its manifest, and that it opens.

    Names each file that is missing or damaged. Exit code 1 when there is one.
    """
    from atlas.bundle.bundle import Bundle, check_files
    from atlas.bundle.manifest import read_current, read_manifest
    from indexer.progress import Terminal

    manifest = read_manifest(read_current(bundle))
    verification: Literal["full", "sizes"] = "sizes" if sizes else "full"
    with Terminal().stage("verify", len(manifest.files), "files") as advance:
        problems = check_files(bundle, manifest.files, verification, lambda _entry: advance(1))
    for problem in problems:
        click.echo(f"indexer: {problem}", err=True)
    if problems:
        sys.exit(1)
    opened = Bundle.open(bundle, "sizes")
    size_bytes = sum(entry.size_bytes for entry in manifest.files)
    click.echo(
        f"{bundle}: bundle {manifest.number} is whole: {len(manifest.files)} files, "
        f"{size_bytes:,} bytes, {opened.living_rows:,} rows"
    )


@indexer.command()
@BUNDLE
@click.option("--queries", default=500, show_default=True, help="Queries of each kind.")
@click.option("--k", default=10, show_default=True, help="Hits compared for each query.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample of queries.")
@click.option("--json", "as_json", is_flag=True, help="Print the curves as JSON.")
@reporting
def measure(bundle: Path, *, queries: int, k: int, seed: int, as_json: bool) -> None:
    """Measure the recall of BUNDLE against exact search, at every cost.

    Image-like queries are stored rows; text-like queries are captions of its taxa, asked only
    where the space's encoder can be loaded. Prints a table; the bundle stays as it is.
    """
    from atlas.bundle.manifest import encode_json
    from indexer.progress import Terminal
    from indexer.remeasure import measure_bundle

    curves = measure_bundle(bundle, queries=queries, k=k, seed=seed, watcher=Terminal())
    if as_json:
        click.echo(encode_json(curves).decode(), nl=False)
        return
    for curve in curves:
        table = Table(
            "queries",
            "path",
            "probes",
            "fetch",
            f"recall@{k}",
            "asked",
            "",
            box=None,
            title=f"space {curve.space}, {curve.rows:,} rows",
            title_justify="left",
        )
        for point in curve.points:
            table.add_row(
                point.queries,
                point.path,
                str(point.probes),
                str(point.fetch),
                f"{point.recall:.4f}",
                str(point.asked),
                "default" if point.default else "",
            )
        Console().print(table)


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
@click.option("--prune", "then_prune", is_flag=True, help="Delete what is not named any more, too.")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@reporting
def compact(
    bundle: Path, *, segment_rows: int, recall_target: float, then_prune: bool, quiet: bool
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
        segment_rows=segment_rows,
        settings=MeasureSection(recall_target=recall_target),
        seed=IndexSection().seed,
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


@indexer.command()
@BUNDLE
@click.argument(
    "queries", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="QUERIES.csv"
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="How QUERIES.csv is written (docs/evaluation.md); configs/inquire.toml for INQUIRE.",
)
@click.option("--space", "spaces", multiple=True, help="Only this space; may be given again.")
@click.option("--exact/--index", help="Score every row; default: as the server searches.")
@click.option("--with-held-back", is_flag=True, help="Search held back records (duplicates) too.")
@click.option(
    "--k",
    "depths",
    type=click.IntRange(1, 200),
    multiple=True,
    default=(50,),
    show_default=True,
    help="Hits that count; may be given again.",
)
@click.option("--resamples", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Seed of the resamples.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE"
)
@click.option(
    "--per-query",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write the scores of every query.",
)
@reporting
def evaluate(
    bundle: Path,
    queries: Path,
    config: Path | None,
    *,
    depths: tuple[int, ...],
    json_file: Path | None,
    per_query: Path | None,
    **options: Any,  # noqa: ANN401 - what click makes of the options of `Options`
) -> None:
    """Ask BUNDLE the queries of QUERIES.csv and score its answers as the INQUIRE benchmark does.

    Prints AP, nDCG, MRR and recall of every space, over all queries and by category, and everything
    that is left out of them. docs/evaluation.md has the definitions and the formats.
    """
    from atlas.bundle.files import atomic_write
    from atlas.bundle.manifest import encode_json
    from indexer.evaluation.evaluate import Options, evaluate_bundle
    from indexer.evaluation.report import sentences, tables, write_queries
    from indexer.evaluation.settings import QuerySetSettings, read_settings
    from indexer.progress import Terminal

    settings = QuerySetSettings() if config is None else read_settings(config)
    chosen = Options(depths=tuple(sorted(set(depths))), **options)
    result, scored = evaluate_bundle(bundle, queries, settings, chosen, Terminal())
    if json_file is not None:
        atomic_write(json_file, encode_json(result))
    if per_query is not None:
        write_queries(per_query, scored, result.columns)
    console = Console()
    for line in sentences(result):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    for table in tables(result):
        console.print(table)
