"""Rows in the order of a quantity: every bound cuts them where looking at each value would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.geo.ranked import RankedRows, order_name, slices_name, words_of

# Around a whole class and a whole word of rows each, and one of more than one block of words.
SIZES = (1, 7, 8, 63, 64, 65, 255, 256, 257, 300, 512, 1_000, 16_384, 40_001)


def _values(rows: int, kind: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if kind == "distinct":
        return random.permutation(rows).astype(np.float32)
    if kind == "few":
        return random.integers(0, 3, rows).astype(np.float32)
    values = random.normal(size=rows).astype(np.float32)
    values[random.random(rows) < 0.3] = np.inf
    values[random.random(rows) < 0.2] = -np.inf
    return values


def _unpacked(bits: np.ndarray, rows: int) -> np.ndarray:
    return np.unpackbits(bits, bitorder="little")[:rows].astype(bool)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.sampled_from(SIZES),
    kind=st.sampled_from(["distinct", "few", "unknown"]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_rows_up_to_a_bound_are_those_whose_values_are(
    rows: int, kind: str, seed: int, data: st.DataObject
) -> None:
    """A row too many would be shown where it is not; one too few would never be found."""
    values = _values(rows, kind, seed)
    ranked = RankedRows.of(values)
    bound = np.float32(
        data.draw(st.sampled_from([*map(float, values[:20]), -np.inf, np.inf, 0.5, 1e9]))
    )
    rank = ranked.rank(lambda row: bool(values[row] <= bound))
    below = ranked.rank(lambda row: bool(values[row] < bound))
    assert rank == np.count_nonzero(values <= bound)
    assert below == np.count_nonzero(values < bound)
    bits = ranked.bits(slice(0, rank))
    assert _unpacked(bits, rows).tolist() == (values <= bound).tolist()
    assert ranked.positions(slice(0, rank)).tolist() == np.flatnonzero(values <= bound).tolist()
    rest = ranked.bits(slice(below, rows))
    assert _unpacked(rest, rows).tolist() == (values >= bound).tolist()
    for made in (bits, rest):
        assert not np.unpackbits(made, bitorder="little")[rows:].any()


@settings(max_examples=200, deadline=None)
@given(
    rows=st.sampled_from(SIZES),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_runs_of_ranks_are_joined(rows: int, seed: int, cuts: list[float]) -> None:
    """Several values of a category are as many runs."""
    values = _values(rows, "distinct", seed)
    ranked = RankedRows.of(values)
    one, two, three, four = sorted(int(cut * rows) for cut in cuts)
    wanted = ((values >= one) & (values < two)) | ((values >= three) & (values < four))
    runs = (slice(one, two), slice(three, four))
    assert _unpacked(ranked.bits(*runs), rows).tolist() == wanted.tolist()
    assert ranked.positions(*runs).tolist() == np.flatnonzero(wanted).tolist()


def test_no_run_is_no_row() -> None:
    """A filter by values that no row has is answered, too."""
    ranked = RankedRows.of(np.arange(100, dtype=np.int32))
    assert not ranked.bits().any()
    assert not ranked.positions().any()


def test_more_than_a_block_of_words_is_joined_alike() -> None:
    """Bits are joined block by block; a bound inside and one at the end of the classes."""
    rows = 64 * 32_768 + 129
    values = np.random.default_rng(5).random(rows).astype(np.float32)
    ranked = RankedRows.of(values)
    for share in (0.003, 0.5, 0.7321, 0.999, 1.0):
        stop = int(share * rows)
        found = _unpacked(ranked.bits(slice(0, stop)), rows)
        assert np.array_equal(np.flatnonzero(found), np.sort(ranked.order[:stop]))


def test_equal_values_are_in_the_order_of_rows() -> None:
    """Two builds of the same rows write the same bytes."""
    ranked = RankedRows.of(np.zeros(1_000, np.float32))
    assert ranked.order.tolist() == list(range(1_000))


@pytest.mark.parametrize(
    ("column", "stem"), [("high.f32", "high"), ("low-2.5.f32", "low-2.5"), ("certain", "certain")]
)
def test_names_follow_the_column(column: str, stem: str) -> None:
    """Orders of a class have points in their names."""
    assert order_name(column) == f"{stem}.order.u32"
    assert slices_name(column) == f"{stem}.slices.u64"
    assert words_of(64) == 1
    assert words_of(65) == 2
