"""The training sample: of every taxon by its size up to a cap, and of all its regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.sampling import allocation, taxon_runs, taxon_sample

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=40).map(np.array)


@given(SIZES, st.integers(1, 3_000), st.integers(1, 400), st.integers(0, 5))
def test_the_sample_is_of_distinct_rows_and_of_the_size_wanted(
    sizes: np.ndarray, wanted: int, cap: int, seed: int
) -> None:
    """Would break: a row is trained on twice, one outside is read, or a build trains on too few."""
    chosen = taxon_sample(sizes, wanted, cap, seed)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) == 0 or (chosen[0] >= 0 and chosen[-1] < sizes.sum())
    assert abs(len(chosen) - min(wanted, int(sizes.sum()))) <= 1


@given(SIZES, st.integers(1, 3_000), st.integers(1, 400), st.integers(0, 5))
def test_taxa_give_by_their_size_up_to_the_cap(
    sizes: np.ndarray, wanted: int, cap: int, seed: int
) -> None:
    """Would break: a common taxon takes all lists although a cap is set, or a rare one does."""
    counts = allocation(sizes, wanted, cap, np.random.default_rng(seed))
    if np.minimum(sizes, cap).sum() >= wanted:
        assert counts.max() <= cap + 1
    for one in range(len(sizes)):
        larger = sizes >= sizes[one]
        assert (counts[larger] >= counts[one] - 1).all()


def test_a_common_taxon_is_capped_and_the_rest_fill_up() -> None:
    """Would break: 90 % of the sample shows one species where a cap of 10 % was asked for."""
    capped = allocation(np.array([9_000, *[100] * 50]), 1_000, 200, np.random.default_rng(0))
    assert abs(int(capped[0]) - 200) <= 1
    assert capped[1:].sum() == pytest.approx(800, abs=2)


def test_the_cap_gives_way_where_taxa_are_too_few() -> None:
    """Would break: an atlas without a taxonomy trains on a hundredth of the rows, or not at all."""
    sizes = np.array([9_000, 500, 300, 200])
    counts = allocation(sizes, 1_000, 100, np.random.default_rng(0))
    # Under 267 each the three larger ones make 800, and the smallest gives its 200 - or as near.
    assert counts.sum() == pytest.approx(1_000, abs=1)
    assert np.abs(counts - [267, 267, 267, 200]).max() <= 1
    assert len(taxon_sample(np.array([10_000]), 1_000, 10, 0)) == pytest.approx(1_000, abs=1)


def test_a_taxon_gives_of_all_its_regions() -> None:
    """Would break: rows of one region stand for the taxon, since rows of a region lie together."""
    chosen = taxon_sample(np.array([1_000]), 100, 1_000, 3)
    assert np.diff(chosen).tolist() == [10] * 99


def test_runs_are_counted_across_row_groups(tmp_path: Path) -> None:
    """Would break: a taxon that a row group's end cuts counts as two, and is sampled twice."""
    table = pa.table({"taxon_id": pa.array([2] * 5 + [4] * 7 + [9], pa.int32())})
    pq.write_table(table, tmp_path / "order.parquet", row_group_size=3)
    assert taxon_runs(tmp_path / "order.parquet").tolist() == [5, 7, 1]


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    """Would break: steps along a run that is no taxon's, and nobody hears of it."""
    table = pa.table({"taxon_id": pa.array([2, 4, 2], pa.int32())})
    pq.write_table(table, tmp_path / "order.parquet")
    with pytest.raises(ValueError, match="do not lie together"):
        taxon_runs(tmp_path / "order.parquet")
