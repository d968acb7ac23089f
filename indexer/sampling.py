"""Which rows an index is trained on: some of every taxon and region, none of them too many.

Rows lie sorted by (taxon, cell, day), so a taxon is one run of them, and equal steps along the run
take as much of each region as lies there: H3 numbers of near cells are mostly near. Pure functions
of counts and a seed; memory follows the taxa, not the rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Counts = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]


def taxon_sample(taxon_rows: Counts, wanted: int, cap: int, seed: int) -> Positions:
    """`wanted` rows, all where there are fewer: of each taxon by its size, but at most `cap`.

    `taxon_rows` are the rows of each taxon in the order of rows, (taxa,). The cap gives way where
    all taxa under it hold too few. Within a taxon rows stand at equal steps from a random start.
    Returns sorted positions, (wanted,) int64, give or take one.
    """
    random = np.random.default_rng(seed)
    shares = allocation(taxon_rows, wanted, cap, random)
    starts = np.cumsum(taxon_rows) - taxon_rows
    taken = np.flatnonzero(shares)
    count = shares[taken]
    step = np.repeat(taxon_rows[taken] / count, count)
    number = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    begin = np.repeat(random.random(len(taken)), count)
    inside = np.floor((number + begin) * step).astype(np.int64)
    last = np.repeat(taxon_rows[taken] - 1, count)  # a product may round up to the length itself
    return np.repeat(starts[taken], count) + np.minimum(inside, last)


def allocation(taxon_rows: Counts, wanted: int, cap: int, random: np.random.Generator) -> Counts:
    """How many rows each taxon gives: min(f x rows, rows, cap), f such that they make `wanted`.

    Fractions are settled by whole steps of their running sum, so that of many small taxa some are
    taken, and the sum is right to one row.
    """
    if taxon_rows.sum() <= wanted:
        return taxon_rows
    most = np.minimum(taxon_rows, _reaching(taxon_rows, wanted, cap))
    low, high = 0.0, 1.0
    while np.minimum(most, high * taxon_rows).sum() < wanted:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if np.minimum(most, middle * taxon_rows).sum() < wanted:
            low = middle
        else:
            high = middle
    whole = np.floor(np.cumsum(np.minimum(most, high * taxon_rows)) + random.random())
    counts = np.diff(np.concatenate([np.zeros(1), whole])).astype(np.int64)
    return np.minimum(counts, taxon_rows)


def _reaching(taxon_rows: Counts, wanted: int, cap: int) -> int:
    """The least bound from `cap` on under which the taxa hold `wanted` rows together."""
    low, high = cap, int(taxon_rows.max())
    while low < high:
        middle = (low + high) // 2
        if np.minimum(taxon_rows, middle).sum() >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def taxon_runs(order: Path) -> Counts:
    """Rows of each taxon in the order of rows, from a table sorted by it with `taxon_id`.

    Read a row group at a time. ValueError where a taxon's rows do not lie together.
    """
    taxa: list[npt.NDArray[np.int32]] = []
    lengths: list[Counts] = []
    file = pq.ParquetFile(order)
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, columns=["taxon_id"])["taxon_id"].to_numpy()
        if not len(column):
            continue
        starts = np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1]]))
        taxa.append(column[starts])
        lengths.append(np.diff(np.concatenate([starts, [len(column)]])).astype(np.int64))
    if not taxa:
        return np.zeros(0, np.int64)
    found, length = np.concatenate(taxa), np.concatenate(lengths)
    first = np.flatnonzero(np.concatenate([[True], found[1:] != found[:-1]]))
    if len(np.unique(found[first])) != len(first):
        raise ValueError(f"{order}: the rows of a taxon do not lie together")
    return np.add.reduceat(length, first)
