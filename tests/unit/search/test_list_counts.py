"""Passing rows by list: counted where few pass, estimated by a sample where many do."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.search.list_counts import ListsOfRows, held_by_lists, held_rows
from atlas.search.selection import Selection

LISTS, ROWS = 400, 400_000


def _lists(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The list of each row, in runs as rows of one species make them, and how many each holds."""
    runs = random.integers(0, LISTS, ROWS // 8).astype(np.int32)
    numbers = np.where(random.random(ROWS) < 0.5, np.repeat(runs, 8), random.integers(0, LISTS))
    numbers = numbers.astype(np.int32)
    return numbers, np.bincount(numbers, minlength=LISTS)


@pytest.mark.parametrize("share", [0.015, 0.05, 0.2, 0.7, 0.999])
def test_rows_anywhere_are_estimated_list_by_list(share: float) -> None:
    """A list that a sample missed is not empty: left out, its rows would never be found."""
    random = np.random.default_rng(6)
    numbers, sizes = _lists(random)
    chosen = random.random(ROWS) < share
    held = held_by_lists(Selection.of_mask(chosen), ListsOfRows(numbers), sizes)
    true = np.bincount(numbers[chosen], minlength=LISTS)
    assert held.even
    assert held.holding == np.count_nonzero(sizes) == np.count_nonzero(held.counts)
    assert abs(held.counts.sum() - true.sum()) <= 0.05 * true.sum()
    # What a search asks for: how many rows some hundred lists hold together.
    some = random.permutation(LISTS)[:100]
    assert held.counts[some].sum() == pytest.approx(true[some].sum(), rel=0.1)


@pytest.mark.parametrize("as_run", [True, False])
def test_rows_of_few_lists_are_estimated_there_alone(as_run: bool) -> None:
    """Lists far from where the rows lie would be searched in vain, hundreds of them."""
    random = np.random.default_rng(7)
    sizes = np.full(LISTS, ROWS // LISTS)
    numbers = np.repeat(np.arange(LISTS, dtype=np.int32), ROWS // LISTS)
    chosen = numbers < 60
    if not as_run:
        chosen &= random.random(ROWS) < 0.5
    held = held_by_lists(Selection.of_mask(chosen), ListsOfRows(numbers), sizes)
    true = np.bincount(numbers[chosen], minlength=LISTS)
    assert not held.even
    assert held.holding == 60
    assert (held.counts[60:] == 0).all()
    assert held.counts.sum() == pytest.approx(true.sum(), rel=0.05)


def test_few_rows_are_counted() -> None:
    """An estimate of what is quickly counted would only be worse."""
    random = np.random.default_rng(8)
    numbers, sizes = _lists(random)
    chosen = np.sort(random.permutation(ROWS)[:5_000])
    held = held_by_lists(Selection.of_positions(chosen, ROWS), ListsOfRows(numbers), sizes)
    assert held.counts.tolist() == np.bincount(numbers[chosen], minlength=LISTS).tolist()
    every = held_by_lists(Selection.everything(ROWS), ListsOfRows(numbers), sizes)
    assert every.counts.tolist() == sizes.tolist()


def test_random_rows_lie_even_and_a_run_does_not() -> None:
    """How far to look differs tenfold between the two."""
    random = np.random.default_rng(1)
    sizes = random.integers(50, 400, 500)
    everywhere = random.binomial(sizes, 0.1)
    assert held_rows(everywhere, sizes).even
    assert held_rows(sizes, sizes).even
    somewhere = np.where(np.arange(500) < 60, sizes, 0)
    described = held_rows(somewhere, sizes)
    assert not described.even
    assert described.holding == 60
