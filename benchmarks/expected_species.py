"""Does the atlas know which species are missing? Records hidden in spatial blocks, then ranked.

`python -m benchmarks.expected_species [--rows N] [--seed S] [--blocks 2,3] [--json FILE]`. Two
worlds: the real ATLANTIC BIRDS table, where it is present, and a simulated one of about N records
whose truth is known. All records of a species in a block are hidden at once, a fifth of all pairs
of species and block at a time, and every method ranks what is unrecorded in the well-sampled cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.geo.cells import parent
from benchmarks.communities import (
    Community,
    Flags,
    Floats,
    Ints,
    gather,
    read_atlantic_birds,
    real_data,
)
from benchmarks.expected_methods import BASELINES, KERNEL, OURS, every_method
from benchmarks.ranking import (
    Quality,
    Sorted,
    by_score,
    draws_of_blocks,
    interval,
    quality,
    resampled,
)
from benchmarks.virtual_species import simulate

RESOLUTION = 4
FOLDS = 5
RESAMPLES = 200
# A cell is well sampled from this many visits and this coverage on: where it is not, a species
# that is not recorded tells nothing.
LEAST_VISITS = 5
LEAST_COVERAGE = 0.7


class Ranked(NamedTuple):
    """Rankings by question and method; how many blocks and well-sampled cells there are."""

    rankings: dict[str, dict[str, Sorted]]
    blocks: int
    cells: int


def well_sampled(community: Community) -> Flags:
    """Cells (m,) whose unrecorded species count as wrong answers."""
    coverage = community.completeness().coverage
    return (community.visits >= LEAST_VISITS) & (coverage >= LEAST_COVERAGE)


def masked(community: Community, hidden: Flags) -> Community:
    """The community without the hidden pairs' records; visits were made all the same."""
    return community._replace(
        records=np.where(hidden, 0, community.records),
        incidences=np.where(hidden, 0, community.incidences),
    )


def folds(community: Community, block: Ints, seed: int) -> Iterator[Flags]:
    """Which pairs (m, s) are hidden in each fold: all of a species in a block, each pair once."""
    random = np.random.default_rng(seed)
    fold = random.integers(0, FOLDS, (int(block.max()) + 1, community.records.shape[1]))
    for number in range(FOLDS):
        yield (fold[block] == number) & (community.records > 0)


def rank(community: Community, block_resolution: int, seed: int) -> Ranked:
    """Every method's ranking of all folds' pairs, for each way to say what is right.

    Pairs are those without a record left, in well-sampled cells. `hidden`: right are the hidden
    ones, wrong those never recorded, and in a simulated world only those where the species does not
    live. `lives`, in a simulated world: right wherever the species lives, hidden or overlooked.
    """
    block = np.unique(parent(community.cells, block_resolution), return_inverse=True)[1]
    asked = well_sampled(community)
    scores: dict[str, list[Floats]] = {}
    hidden_pairs, living, blocks = [], [], []
    for hidden in folds(community, block, seed):
        seen = masked(community, hidden)
        pairs = asked[:, None] & (seen.records == 0)
        hidden_pairs.append(hidden[pairs])
        living.append((hidden if community.lives is None else community.lives)[pairs])
        blocks.append(np.broadcast_to(block[:, None], pairs.shape)[pairs])
        for method in every_method():
            for name, score in method(seen, asked).items():
                scores.setdefault(name, []).append(score[pairs])
    right, lives = np.concatenate(hidden_pairs), np.concatenate(living)
    questions = {"hidden": (right, right | ~lives)}
    if community.lives is not None:
        questions["lives"] = (lives, np.ones(len(lives), np.bool_))
    of_block = np.concatenate(blocks)
    joined = {name: np.concatenate(parts) for name, parts in scores.items()}
    rankings = {
        question: {
            name: by_score(score[counts], truth[counts], of_block[counts])
            for name, score in joined.items()
        }
        for question, (truth, counts) in questions.items()
    }
    return Ranked(rankings, int(block.max()) + 1, int(asked.sum()))


def measure(community: Community, block_resolution: int, seed: int) -> list[dict[str, Any]]:
    """One record a method and question, with intervals over blocks and our least lead."""
    ranked = rank(community, block_resolution, seed)
    records: list[dict[str, Any]] = []
    for question, by_method in ranked.rankings.items():
        drawn = draws_of_blocks(ranked.blocks, RESAMPLES, seed)
        draws = {name: resampled(pairs, drawn) for name, pairs in by_method.items()}
        best = _best_kernel(by_method)
        about = {
            "benchmark": "expected_species",
            "world": community.world,
            "right": question,
            "block_resolution": block_resolution,
            "rows": int(community.records.sum()),
            "seed": seed,
            "cells": ranked.cells,
            "species": community.records.shape[1],
        }
        of_method = {
            name: about | _measured(name, pairs, draws[name]) for name, pairs in by_method.items()
        }
        of_method[best] |= {"method": KERNEL, "rings": int(best.split()[2])}
        others = [best if name == KERNEL else name for name in BASELINES]
        of_method[OURS] |= _ahead(draws, others)
        records += of_method.values()
    return records


def _measured(name: str, pairs: Sorted, draws: Sequence[Quality]) -> dict[str, Any]:
    """A method's measures with their intervals."""
    found = quality(pairs)
    record: dict[str, Any] = {
        "method": name,
        "system": name,
        "pairs": len(pairs.right),
        "pairs_right": int(pairs.right.sum()),
    }
    for number, measure_name in enumerate(Quality._fields):
        low, high = interval([draw[number] for draw in draws])
        record[measure_name] = round(found[number], 4)
        record[f"{measure_name}_low"] = round(low, 4)
        record[f"{measure_name}_high"] = round(high, 4)
    return record


def _best_kernel(ranked: Mapping[str, Sorted]) -> str:
    """The ratio kernel that ranks best of those tried: the baseline is given that choice."""
    kernels = [name for name in ranked if name.startswith(KERNEL)]
    return max(kernels, key=lambda name: quality(ranked[name]).auc)


def _ahead(draws: Mapping[str, Sequence[Quality]], baselines: Sequence[str]) -> dict[str, float]:
    """The least of our leads over the baselines, at the low end of its interval over blocks."""
    found = {}
    for number, name in enumerate(Quality._fields):
        leads = [
            [
                ours[number] - theirs[number]
                for ours, theirs in zip(draws[OURS], draws[other], strict=True)
            ]
            for other in baselines
        ]
        found[f"{name}_ahead_low"] = round(min(interval(lead)[0] for lead in leads), 4)
    return found


def verdict(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each world and block size, whether ours beats all three baselines in both measures."""
    said = []
    for record in records:
        if record["method"] != OURS:
            continue
        same = [
            other
            for other in records
            if other["method"] in BASELINES
            and all(other[key] == record[key] for key in ("world", "right", "block_resolution"))
        ]
        wins = len(same) == len(BASELINES) and all(
            record[name] > other[name] for other in same for name in Quality._fields
        )
        said.append(
            f"{'pass' if wins else 'FAIL'}: {record['world']}, {record['right']}, blocks of "
            f"resolution {record['block_resolution']}: ahead of all three baselines by at least "
            f"{record['auc_ahead_low']:+.3f} AUC and "
            f"{record['average_precision_ahead_low']:+.3f} AP (95 % over blocks)"
        )
    return said


def show(console: Console, records: Sequence[Mapping[str, Any]]) -> None:
    """The table of one world and block size."""
    first = records[0]
    title = (
        f"{first['world']}: right is {first['right']}, {first['pairs_right']} of {first['pairs']} "
        f"pairs in {first['cells']} well-sampled cells; blocks of resolution "
        f"{first['block_resolution']}"
    )
    table = Table("method", "AUC", "", "AP", "", title=title, title_justify="left")
    for record in records:
        table.add_row(
            record["method"] + (f" ({record['rings']} rings)" if "rings" in record else ""),
            f"{record['auc']:.3f}",
            f"{record['auc_low']:.3f}-{record['auc_high']:.3f}",
            f"{record['average_precision']:.3f}",
            f"{record['average_precision_low']:.3f}-{record['average_precision_high']:.3f}",
        )
    console.print(table)


@click.command(help=__doc__)
@click.option("--rows", default=150_000, show_default=True, help="Records of the simulated world.")
@click.option("--seed", default=0, show_default=True)
@click.option("--blocks", default="2,3", show_default=True, help="H3 resolutions of the blocks.")
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder of real data.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), default=None)
def main(rows: int, seed: int, blocks: str, data: Path | None, json_file: Path | None) -> None:
    """Measure both worlds, print tables and a verdict each, and write the records."""
    console = Console()
    worlds = [simulate(rows, seed)]
    try:
        visited, left_out = read_atlantic_birds(data or real_data())
    except FileNotFoundError as missing:
        console.print(f"atlantic birds: not measured, {missing.filename} is not there")
    else:
        console.print(f"atlantic birds: {len(visited.visit)} rows used, left out: {left_out}")
        worlds.insert(0, gather("atlantic birds", visited, RESOLUTION))
    records: list[dict[str, Any]] = []
    for community in worlds:
        for block_resolution in map(int, blocks.split(",")):
            measured = measure(community, block_resolution, seed)
            for question in dict.fromkeys(record["right"] for record in measured):
                show(console, [record for record in measured if record["right"] == question])
            records += measured
    for line in verdict(records):
        console.print(line)
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(records)))


if __name__ == "__main__":
    main()
