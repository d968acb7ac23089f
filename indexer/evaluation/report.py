"""An evaluation as people and programs read it: sentences, tables, CSV. One thread."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from atlas.bundle.files import atomic_path
from indexer.evaluation.averages import Estimate, GroupScores
from indexer.evaluation.evaluate import MEASURES, Evaluation, QueryScores, SpaceScores

_TITLES = {"ap": "AP", "ndcg": "nDCG", "reciprocal_rank": "MRR", "recall": "recall"}


def sentences(result: Evaluation) -> list[str]:
    """What the numbers are of, and everything that is not in them."""
    said = [
        f"{result.bundle}, bundle {result.number}: {result.searched_rows:,} of {result.rows:,} "
        f"rows searched; {result.query_set}: {result.queries - len(result.left_out)} of "
        f"{result.queries} queries asked"
    ]
    if result.unknown:
        said.append(
            f"{result.unknown} of {result.images} relevant images are not in the bundle "
            f"(compared by {result.match}) and count as if nobody had named them"
        )
    if result.hidden:
        said.append(
            f"{result.hidden} of {result.images} relevant images are removed or held back by the "
            "default quality filter and count as if nobody had named them"
        )
    if result.repeated:
        said.append(f"{result.repeated} images are named twice for one query and count once")
    if result.others:
        said.append(f"{result.others} rows of relevant images are of queries not in the file")
    if result.left_out:
        said.append(
            f"{len(result.left_out)} queries have no relevant image here and are in no average:"
        )
        said += [f"  {query.name}: {query.why}" for query in result.left_out]
    return said


def tables(result: Evaluation) -> list[Table]:
    """One table for each space and depth: all queries, then every category."""
    return [
        _table(result, space, k)
        for space in result.spaces
        for k in dict.fromkeys(group.k for group in space.groups)
    ]


def _table(result: Evaluation, space: SpaceScores, k: int) -> Table:
    way = f"index, {space.probes} lists, {space.fetch} candidates"
    table = Table(
        box=None,
        pad_edge=False,
        title=f"space {space.space} ({'every row scored' if space.path == 'exact' else way})",
        title_justify="left",
        caption=f"mean over queries, [95 % bootstrap interval of {result.resamples:,} resamples]",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("queries", justify="right")
    for name in MEASURES:
        table.add_column(f"{_TITLES[name]}@{k}", no_wrap=True)
    for group in space.groups:
        if group.k == k:
            table.add_row(
                _label(group, result.columns),
                str(group.queries),
                *(_cell(group.measures[name]) for name in MEASURES),
            )
    return table


def _label(group: GroupScores, columns: Sequence[str]) -> str:
    if not group.column:
        return "all queries"
    return group.value if len(columns) == 1 else f"{group.column}: {group.value}"


def _cell(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean:.3f}"
    # The interval stands below, so that a table fits 80 columns; an escaped bracket is no markup.
    return f"{estimate.mean:.3f}\n\\[{estimate.low:.3f} {estimate.high:.3f}]"


def write_queries(path: Path, scored: Sequence[QueryScores], columns: Sequence[str]) -> None:
    """Write one line for each space, depth and query; an empty `first_rank` is none."""
    header = ["space", "query_id", "query", *columns, "relevant", "missing", "k", "first_rank"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *MEASURES])
        for one in scored:
            known = [one.space, one.query_id, one.text, *one.categories]
            counts = [one.relevant, one.missing, one.k, one.first_rank]
            writer.writerow([*known, *counts, *(f"{one.measures[name]:.6f}" for name in MEASURES)])
