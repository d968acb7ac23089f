"""`indexer verify`, `measure` and `evaluate`: what a bundle is worth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.table import Table

from indexer.commands.program import BUNDLE, indexer, reporting

if TYPE_CHECKING:
    from indexer.drift import Drift

# Neither a mistake (1) nor a wrong call (2): a bundle that works and would be better trained again.
_OUTGROWN = 3


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
            "codes",
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
                f"{point.codes:,.0f}",
                f"{point.recall:.4f}",
                str(point.asked),
                "default" if point.default else "",
            )
        Console().print(table)


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


@indexer.command()
@BUNDLE
@click.option("--seed", default=0, show_default=True, help="Seed of the sample of rows.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@reporting
def drift(bundle: Path, *, seed: int, as_json: bool) -> None:
    """Say whether the indexes of BUNDLE still fit its rows, or training them again pays.

    Compares rows as they lie in their lists now with how they lay when the index was trained. Exit
    code 0 where it fits, 3 where training again pays (`indexer compact --retrain`), with the
    reason in words.
    """
    from atlas.bundle.manifest import encode_json
    from indexer.drift import drift_of

    found = drift_of(bundle, seed=seed)
    if as_json:
        click.echo(encode_json(list(found)).decode())
    else:
        _show_drift(found)
    if any(one.reasons for one in found):
        sys.exit(_OUTGROWN)


def _show_drift(found: Sequence[Drift]) -> None:
    for one in found:
        table = Table("rows of", "rows", "1 - cosine to the middle", "imbalance", title=one.space)
        named = [("segment " + name, fit) for name, fit in one.segments]
        at_training = [] if one.trained is None else [("training", one.trained)]
        for name, fit in (*at_training, *named, ("all segments", one.now)):
            table.add_row(name, f"{fit.rows:,}", f"{fit.residual:.4f}", f"{fit.imbalance:.3f}")
        Console(width=100).print(table)
        click.echo(
            f"space {one.space}: {one.now.lists:,} lists, a build of {one.now.rows:,} rows makes "
            f"{one.lists_wanted:,}"
        )
        if one.trained is None:
            click.echo("nothing tells how rows lay when it was trained: built by an older indexer")
        for reason in one.reasons:
            click.echo(f"training again pays: {reason}")
        if not one.reasons:
            click.echo("the index fits")
