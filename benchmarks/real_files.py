"""Builds three bundles from real files, accounts for every row, and asks each three questions.

`python -m benchmarks.real_files --data DIR [--out DIR] [--model SPEC] [--json FILE]`. The
pictures go through the model given; the published BioCLIP 2 vectors are taken as they are.
Exits 1 where a credit, an answer or a count is not what the files say.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console

from atlas.bundle.manifest import SourceEntry
from atlas.errors import AtlasError
from atlas.search.encoder import Encoder, EncoderChoice, load_encoder
from benchmarks.real import camera_traps, cases, crops, embeddings
from benchmarks.real.plans import Prepared, absolute_encoder
from benchmarks.real.questions import Asking, opened, show
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO_MODEL = f"local-dir:{REPOSITORY / 'illustrated' / 'model'}"
DATA_VARIABLE = "ATLAS_SHARED_DATA"


class Case(NamedTuple):
    """One data set: how it is prepared and what it is asked; `model` "" where it brings vectors."""

    prepare: Callable[[], Prepared]
    ask: Callable[[Asking, Path, str], cases.Findings]
    model: str


class Outcome(NamedTuple):
    """What came of one data set; `records` are flat measurements."""

    source: SourceEntry
    findings: cases.Findings
    records: list[dict[str, Any]]
    problems: list[str]


def cases_of(data: Path, out: Path, model: str) -> list[Case]:
    """The three data sets, in the order they are reported."""
    return [
        Case(lambda: crops.prepare(data, out / "crops", model), cases.ask_crops, model),
        Case(
            lambda: camera_traps.prepare(data, out / "camera-traps", model),
            cases.ask_camera_traps,
            model,
        ),
        Case(lambda: embeddings.prepare(data, out / "embeddings"), cases.ask_embeddings, ""),
    ]


def run(case: Case, data: Path, encoder: Encoder | None, console: Console) -> Outcome:
    """Prepare, build, account, ask and print one data set."""
    started_s = time.perf_counter()
    prepared = case.prepare()
    prepared_s = time.perf_counter() - started_s
    plan = read_plan(prepared.plan)
    started_s = time.perf_counter()
    built = build(plan, Silent())
    build_s = time.perf_counter() - started_s
    (source,) = built.manifest.sources
    _report(prepared, source, build_s, console, was_live=built.was_live)
    with opened(plan.output.bundle, encoder if case.model else None) as asking:
        findings = case.ask(asking, data, _words_remark(case.model))
        dim = asking.bundle.spaces[asking.space].dim
    for answer in findings.answers:
        show(answer, console)
    for note in findings.notes:
        console.print(note, highlight=False, markup=False)
    problems = list(findings.problems)
    if (source.rows_in, source.rows_out) != (prepared.rows, built.manifest.rows):
        problems.append(f"{prepared.rows} rows in the files, {source.rows_in} read")
    account = {
        "benchmark": "real_files",
        "system": "atlas",
        "case": prepared.name,
        "rows": source.rows_out,
        "dim": dim,
        "rows_in": source.rows_in,
        "rejected": sum(source.rejects.values()),
        **{f"rejected_{reason}": count for reason, count in source.rejects.items()},
        "prepare_s": round(prepared_s, 2),
        # A bundle that was live already says nothing of how long building takes.
        "build_s": None if built.was_live else round(build_s, 2),
        **findings.numbers,
    }
    asked = [
        {"benchmark": "real_files", "system": "atlas", "case": prepared.name, **answer.record()}
        for answer in findings.answers
    ]
    return Outcome(source, findings, [account, *asked], problems)


def _report(
    prepared: Prepared, source: SourceEntry, build_s: float, console: Console, *, was_live: bool
) -> None:
    why = ", ".join(f"{count} {reason}" for reason, count in source.rejects.items())
    console.rule(prepared.title)
    console.print(
        f"{source.rows_in} rows in, {source.rows_out} out, "
        f"{sum(source.rejects.values())} rejected{f': {why}' if why else ''}; "
        + ("live already" if was_live else f"built in {build_s:.1f} s"),
        highlight=False,
    )
    for note in prepared.notes:
        console.print(f"- {note}", highlight=False, markup=False)
    console.print()


def _words_remark(model: str) -> str:
    if model.startswith("local-dir:"):
        return (
            "the model is a local one: where it was trained on drawings, or not at all, words say "
            "nothing of photos and this order means nothing"
        )
    return "answered by the model's own reading of the words"


def default_data() -> Path:
    """Where the real files lie unless the caller says otherwise."""
    stated = os.environ.get(DATA_VARIABLE)
    return Path(stated) if stated else REPOSITORY.parent / "shared" / "data"


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help=f"Folder of the real files.  [default: {DATA_VARIABLE}, or ../shared/data]",
)
@click.option(
    "--out",
    default=REPOSITORY / "data" / "real-files",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where tables, plans and bundles go.  [default: data/real-files]",
)
@click.option(
    "--model", default=DEMO_MODEL, help="Encoder of the photos.  [default: the demo's model]"
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Records as JSON.")
def main(data: Path | None, out: Path, model: str, json_path: Path | None) -> None:
    """Build and ask the crop photos, the camera traps and the BioCLIP 2 vectors."""
    data = data or default_data()
    if not data.is_dir():
        raise click.BadParameter(f"{data} is not a folder", param_hint="--data")
    console = Console(width=150, soft_wrap=False)
    try:
        encoder = load_encoder(EncoderChoice(spec=absolute_encoder(model)))
        outcomes = [run(case, data, encoder, console) for case in cases_of(data, out, model)]
    except AtlasError as error:
        click.echo(f"real_files: {error}", err=True)
        sys.exit(1)
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    for problem in problems:
        console.print(f"WRONG: {problem}", highlight=False, markup=False)
    if json_path is not None:
        records = [record for outcome in outcomes for record in outcome.records]
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
