"""When may coverage speak? The error of estimated coverage by visits and by visits a species.

`python -m benchmarks.gap_thresholds [--rows CELLS] [--seed S] [--json FILE]`: cells of simulated
communities (lognormal detection) are visited a known number of times, so the true coverage, the
share of what a further visit meets that is of species already met, is known. The thresholds of the
states of cells are read from this table.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from atlas.species.completeness import completeness_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

VISITS = (1, 2, 5, 10, 20, 50, 301)
VISITS_PER_SPECIES = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 15.0, 1000.0)
LEAST_VISITS = 10
# "Well sampled" is wrong where the truth is below this while the estimate is above the other.
TRULY_LESS_THAN, SAID_MORE_THAN = 0.8, 0.9
_SPECIES = (5, 150)
_SPECIES_A_VISIT = (1.0, 8.0)
_MOST_VISITS = 300


def simulated(cells: int, random: np.random.Generator) -> dict[str, Floats]:
    """Cells with `visits`, `species`, `each` (U / S), estimated and true coverage, (n,) each."""
    summaries = [summary for _ in range(cells) if (summary := _cell(random)) is not None]
    species, q1, q2, visits, incidences, truth = np.array(summaries, np.float64).T
    estimate = completeness_of(species, q1, q2, visits, incidences).coverage
    return {
        "visits": visits,
        "species": species,
        "each": incidences / species,
        "estimate": estimate,
        "truth": truth,
    }


def measured(cells: dict[str, Floats]) -> list[dict[str, Any]]:
    """Bias and error of coverage in bins of visits, then of visits a species."""
    enough = cells["visits"] >= LEAST_VISITS
    return [
        *_bins("visits", VISITS, cells, np.ones(len(enough), np.bool_)),
        *_bins("each", VISITS_PER_SPECIES, cells, enough),
    ]


def _cell(random: np.random.Generator) -> tuple[float, ...] | None:
    """S, Q1, Q2, T, U and the true coverage of one cell; None where its visits met nothing."""
    share = np.exp(random.normal(0.0, 1.5, random.integers(*_SPECIES)))
    a_visit = np.exp(random.uniform(*np.log(_SPECIES_A_VISIT)))
    detection = 1.0 - np.exp(-a_visit * share / share.sum())
    visits = int(np.exp(random.uniform(0.0, np.log(_MOST_VISITS))))
    met = random.binomial(visits, detection)
    if not met.any():
        return None
    truth = detection[met > 0].sum() / detection.sum()
    counts = (met > 0).sum(), (met == 1).sum(), (met == 2).sum(), visits, met.sum(), truth
    return tuple(map(float, counts))


def _bins(
    name: str, edges: tuple[float, ...], cells: dict[str, Floats], among: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    records = []
    for low, high in pairwise(edges):
        here = among & (cells[name] >= low) & (cells[name] < high)
        error = (cells["estimate"] - cells["truth"])[here]
        said = here & (cells["estimate"] >= SAID_MORE_THAN)
        records.append(
            {
                "benchmark": "gap_thresholds",
                "system": "atlas",
                "case": f"{name} {low:g} to {high:g}",
                "cells": int(here.sum()),
                "bias": round(float(error.mean()), 3) if here.any() else None,
                "rmse": round(float(np.sqrt((error**2).mean())), 3) if here.any() else None,
                "said_well": int(said.sum()),
                "of_these_wrong": int((cells["truth"][said] < TRULY_LESS_THAN).sum()),
            }
        )
    return records


@click.command()
@click.option("--rows", type=click.IntRange(1), default=20_000, show_default=True, help="Cells.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the records here.")
def main(rows: int, seed: int, path: Path | None) -> None:
    """Print the table; with --json also write its records."""
    records = measured(simulated(rows, np.random.default_rng(seed)))
    print("case                     cells   bias   rmse   said well   of these wrong")
    for record in records:
        bias, rmse = (
            "-" if record[name] is None else f"{record[name]:.3f}" for name in ("bias", "rmse")
        )
        print(
            f"{record['case']:22} {record['cells']:7} {bias:>6} {rmse:>6} "
            f"{record['said_well']:11} {record['of_these_wrong']:16}"
        )
    if path is not None:
        path.write_text(
            json.dumps([{**record, "rows": rows, "seed": seed} for record in records], indent=2)
        )


if __name__ == "__main__":
    main()
