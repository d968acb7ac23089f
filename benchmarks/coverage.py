"""Does coverage predict? A well-sampled cell is thinned, and what was left out is looked up in it.

`python -m benchmarks.coverage [--rows N] [--seed S] [--json FILE] [--plot FILE]`. Of a cell's
visits some are kept; their estimated coverage should be the share of the other visits' species
that had been seen already. Asked of the real ATLANTIC BIRDS table, where it is present, and of a
simulated world of about N records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import matplotlib as mpl
import msgspec
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from atlas.species.completeness import completeness_of
from atlas.species.gaps import GapSettings
from benchmarks import communities, virtual_species
from benchmarks.communities import Flags, Floats, Ints, Met

RESOLUTION = 4
# Only where the whole sample is large is what it leaves out a fair sample of the community.
LEAST_VISITS = 40
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
REPEATS = 20
# Visits from which the server says anything of a cell by default.
LEAST_GATED = GapSettings().least_visits
COVERAGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Numbers of visits kept, from and below.
VISITS = ((1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 49), (50, 100_000))


class Thinned(NamedTuple):
    """Samples (n,): visits kept, their species, estimated coverage, and the share it stands for."""

    visits: Ints
    species: Ints
    coverage: Floats
    seen: Floats


def thin(met: Met, seed: int) -> Thinned:
    """Keep each share of each well-visited cell's visits, several times over.

    `seen` is the share of the other visits' incidences whose species was met on a kept visit. No
    visit is in both, so nothing is predicted from itself.
    """
    random = np.random.default_rng(seed)
    parts = [_thin_cell(matrix, random) for matrix in _cells(met)]
    return Thinned(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _cells(met: Met) -> Iterator[Floats]:
    """Visits by species, 0 or 1, of each cell with visits enough."""
    order = np.argsort(met.cell, kind="stable")
    starts = np.flatnonzero(np.diff(met.cell[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        visits, visit = np.unique(met.visit[rows], return_inverse=True)
        if len(visits) >= LEAST_VISITS:
            found, species = np.unique(met.species[rows], return_inverse=True)
            matrix = np.zeros((len(visits), len(found)))
            matrix[visit, species] = 1.0
            yield matrix


def _thin_cell(matrix: Floats, random: np.random.Generator) -> Thinned:
    sizes = np.repeat([max(round(share * len(matrix)), 1) for share in SHARES], REPEATS)
    place = random.random((len(sizes), len(matrix))).argsort(axis=1).argsort(axis=1)
    counts = (place < sizes[:, None]).astype(np.float64) @ matrix
    met = counts > 0.0
    left = matrix.sum(axis=0) - counts
    estimate = completeness_of(
        met.sum(axis=1),
        (counts == 1.0).sum(axis=1),
        (counts == 2.0).sum(axis=1),
        sizes,
        counts.sum(axis=1),
    )
    seen = np.where(met, left, 0.0).sum(axis=1) / left.sum(axis=1)
    return Thinned(sizes, met.sum(axis=1), estimate.coverage, seen)


def calibration(world: str, thinned: Thinned, seed: int) -> list[dict[str, Any]]:
    """One record a range of coverage and one a range of visits, and one over all that are gated.

    `error` is the mean of coverage less the share seen, `absolute_error` its mean size.
    """
    kept = thinned.visits >= LEAST_GATED
    ranges: list[tuple[str, float, float, Flags]] = [("gated", LEAST_GATED, np.inf, kept)]
    for low, high in itertools.pairwise(COVERAGES):
        top = thinned.coverage <= high if high == 1.0 else thinned.coverage < high
        ranges.append(("coverage", low, high, kept & (thinned.coverage >= low) & top))
    for fewest, most in VISITS:
        within = (thinned.visits >= fewest) & (thinned.visits <= most)
        ranges.append(("visits", fewest, most, within))
    records: list[dict[str, Any]] = []
    for case, start, end, chosen in ranges:
        if not chosen.any():
            continue
        coverage, seen = thinned.coverage[chosen], thinned.seen[chosen]
        records.append(
            {
                "benchmark": "coverage",
                "system": "atlas",
                "world": world,
                "case": case,
                "from": start,
                "to": None if end == np.inf else end,
                "seed": seed,
                "samples": int(chosen.sum()),
                "coverage": round(float(coverage.mean()), 4),
                "seen": round(float(seen.mean()), 4),
                "error": round(float((coverage - seen).mean()), 4),
                "absolute_error": round(float(np.abs(coverage - seen).mean()), 4),
                "correlation": _correlation(coverage, seen),
            }
        )
    return records


def _correlation(coverage: Floats, seen: Floats) -> float | None:
    """None where one of them does not vary."""
    if len(seen) < 3 or np.ptp(coverage) == 0.0 or np.ptp(seen) == 0.0:
        return None
    return round(float(np.corrcoef(coverage, seen)[0, 1]), 3)


def draw(worlds: Mapping[str, Thinned], path: Path) -> None:
    """Estimated coverage against the share seen, one field a world; the same bytes each time."""
    with mpl.rc_context({"svg.hashsalt": "atlas", "font.size": 8, "axes.spines.top": False}):
        figure = Figure(figsize=(3.4 * len(worlds), 3.4), layout="constrained")
        fields = figure.subplots(1, len(worlds), sharey=True, squeeze=False)[0]
        for axes, (world, thinned) in zip(fields, worlds.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
            for least, most, colour in (
                (1, LEAST_GATED - 1, "#c4632b"),
                (LEAST_GATED, 100_000, "#1b6e53"),
            ):
                within = (thinned.visits >= least) & (thinned.visits <= most)
                middle, low, high, at = _bands(thinned, within)
                label = f"{least} visits or more" if most > 1_000 else f"{least} to {most} visits"
                axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(at, middle, color=colour, marker="o", markersize=3, label=label)
            axes.set(title=world, xlabel="estimated coverage", xlim=(0, 1), ylim=(0, 1))
        fields[0].set_ylabel("share of held-out incidences\nwhose species was seen")
        fields[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _bands(thinned: Thinned, within: Flags) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean share seen and its middle 80 % by tenths of coverage, at the mean coverage of each."""
    tenth = np.minimum((thinned.coverage * 10).astype(int), 9)
    rows = []
    for number in range(10):
        chosen = within & (tenth == number)
        if chosen.sum() >= REPEATS:
            low, high = np.percentile(thinned.seen[chosen], [10, 90])
            rows.append((thinned.seen[chosen].mean(), low, high, thinned.coverage[chosen].mean()))
    middle, low, high, at = np.array(rows).reshape(-1, 4).T
    return middle, low, high, at


def show(console: Console, records: Sequence[Mapping[str, Any]]) -> None:
    """The table of one world."""
    table = Table("", "samples", "coverage", "seen", "error", "size of error", "correlation")
    table.title = f"{records[0]['world']}: estimated coverage, and the share it stands for"
    for record in records:
        upper = "" if record["to"] is None else f"-{record['to']:g}"
        table.add_row(
            f"{record['case']} {record['from']:g}{upper}",
            str(record["samples"]),
            *(f"{record[name]:.3f}" for name in ("coverage", "seen")),
            f"{record['error']:+.3f}",
            f"{record['absolute_error']:.3f}",
            "" if record["correlation"] is None else f"{record['correlation']:.2f}",
        )
    console.print(table)


@click.command(help=__doc__)
@click.option("--rows", default=150_000, show_default=True, help="Records of the simulated world.")
@click.option("--seed", default=0, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder of real data.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), default=None)
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), default=None)
def main(
    rows: int, seed: int, data: Path | None, json_file: Path | None, plot_file: Path | None
) -> None:
    """Thin the cells of both worlds, print how well coverage predicts, write records and plot."""
    console = Console()
    worlds: dict[str, Thinned] = {}
    try:
        visited, left_out = communities.read_atlantic_birds(data or communities.real_data())
    except FileNotFoundError as missing:
        console.print(f"atlantic birds: not measured, {missing.filename} is not there")
    else:
        console.print(f"atlantic birds: {len(visited.visit)} rows used, left out: {left_out}")
        worlds["atlantic birds"] = thin(communities.meetings(visited, RESOLUTION), seed)
    worlds["simulated"] = thin(virtual_species.meetings(rows, seed), seed)
    records: list[dict[str, Any]] = []
    for world, thinned in worlds.items():
        measured = calibration(world, thinned, seed)
        show(console, measured)
        records += measured
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(records)))
    if plot_file:
        draw(worlds, plot_file)


if __name__ == "__main__":
    main()
