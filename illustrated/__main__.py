"""Command line of the illustrated atlas: sheet, train, evaluate, make, queries."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

_CONSOLE = Console(stderr=True)


def _bar() -> Progress:
    """A progress bar that also reads well in a log file."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_CONSOLE,
    )


@click.group()
def main() -> None:
    """Draw the demonstration atlas, and train and evaluate its small OpenCLIP model."""


@main.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", default=7, show_default=True)
def sheet(out: Path, seed: int) -> None:
    """Draw a contact sheet of all groups in all habitats into OUT (a PNG file)."""
    from illustrated.sheet import contact_sheet

    contact_sheet(seed).save(out)


@main.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--steps", default=1600, show_default=True, help="Optimiser steps of 128 drawings.")
@click.option("--drawings", default=40_000, show_default=True)
@click.option("--peak-rate", default=2e-3, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("illustrated-training"),
    show_default=True,
    help="Where rendered drawings and the checkpoint are kept.",
)
def train(
    out: Path, steps: int, drawings: int, peak_rate: float, seed: int, device: str, work: Path
) -> None:
    """Train the model and write it to OUT; the same call resumes an interrupted run."""
    from illustrated.training import Progress as TrainingProgress
    from illustrated.training import TrainingPlan
    from illustrated.training import train as run_training

    plan = TrainingPlan(
        steps=steps, drawings=drawings, peak_rate=peak_rate, seed=seed, device=device
    )
    with _bar() as bar:
        drawing = bar.add_task("drawing", total=drawings)
        training = bar.add_task("training", total=steps)

        def report(state: TrainingProgress) -> None:
            bar.update(training, completed=state.step)
            if state.step % 50 == 0 or state.step == state.steps:
                bar.console.print(
                    f"step {state.step}/{state.steps} loss {state.loss:.3f} "
                    f"retrieval {state.retrieval:.3f} accent {state.accent:.3f} "
                    f"{state.pairs_per_s:.0f} pairs/s"
                )

        size_bytes = run_training(
            plan, out, work, report, lambda count: bar.advance(drawing, count)
        )
    click.echo(f"{out}: {size_bytes:,} bytes")


@main.command()
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--queries", default=240, show_default=True, help="Held-out queries.")
@click.option("--seed", default=1, show_default=True)
@click.option("--side-px", default=192, show_default=True, help="Size of the drawn pictures.")
def evaluate(model: Path, queries: int, seed: int, side_px: int) -> None:
    """Print precision at 10 on combinations and drawings that training never saw."""
    from illustrated.evaluation import evaluate as run_evaluation

    report = run_evaluation(model, queries, seed, side_px)
    table = Table("family", "held out", "queries", "precision@10", "worst query")
    for score in report.families:
        table.add_row(
            score.family,
            "yes" if score.held_out else "no",
            str(score.queries),
            f"{score.precision_at_10:.3f}",
            f"{score.worst:.1f}",
        )
    Console().print(table)
    click.echo(
        f"mean precision@10 over {report.held_out_queries} held-out queries and "
        f"{report.pictures} new drawings: {report.precision_at_10:.4f}"
    )
    click.echo(f'"red-eyed frogs near rivers": {report.headline_hits} of 10')


@main.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--records", default=5000, show_default=True, help="Rows, bad ones included.")
@click.option("--seed", default=7, show_default=True)
@click.option("--side-px", default=320, show_default=True, help="Width of the pictures.")
def make(out: Path, records: int, seed: int, side_px: int) -> None:
    """Write OUT/images, OUT/records.csv and OUT/expected.json."""
    from illustrated.make import make_atlas

    with _bar() as bar:
        task = bar.add_task("drawing the demonstration atlas", total=records)
        try:
            counts = make_atlas(out, records, seed, side_px, lambda count: bar.advance(task, count))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    listed = ", ".join(f"{count} {fate}" for fate, count in counts.items())
    click.echo(f"{out}: {records} rows to be {listed}")


@main.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--each", default=20, show_default=True, help="Queries of each of four categories.")
@click.option("--records", default=5000, show_default=True, help="As the atlas was made with.")
@click.option("--atlas-seed", default=7, show_default=True, help="As the atlas was made with.")
@click.option("--source-key", default="illustrated", show_default=True, help="As in its plan.")
@click.option("--seed", default=1, show_default=True)
def queries(
    output: Path, each: int, records: int, atlas_seed: int, source_key: str, seed: int
) -> None:
    """Write questions with all right answers of the demo atlas, for `indexer evaluate`."""
    from illustrated.queries import atlas_queries, write_queries

    try:
        made = atlas_queries(records, atlas_seed, source_key, each, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    write_queries(output, made)
    relevant = sum(len(query.image_ids) for query in made)
    click.echo(f"{output}: {len(made)} queries, {relevant} right answers")


if __name__ == "__main__":
    main()
