"""Selections: every form holds the same set of positions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.search.judging import judged, number_judged
from atlas.search.selection import Selection

ROWS = 300


def _array(positions: set[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(sorted(positions), np.int64)


def _runs(
    positions: set[int],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Starts and stops of the runs that a set of positions is made of."""
    starts = {position for position in positions if position - 1 not in positions}
    stops = {position + 1 for position in positions if position + 1 not in positions}
    return _array(starts), _array(stops)


@st.composite
def _position_sets(draw: st.DrawFn) -> set[int]:
    """Scattered few, dense many, and contiguous sets, so that every form comes up."""
    kind = draw(st.sampled_from(["few", "many", "run"]))
    if kind == "few":
        return draw(st.sets(st.integers(0, ROWS - 1), max_size=4))
    if kind == "many":
        return set(range(ROWS)) - draw(st.sets(st.integers(0, ROWS - 1), max_size=200))
    first = draw(st.integers(0, ROWS - 1))
    return set(range(first, draw(st.integers(first, ROWS))))


@settings(max_examples=200, deadline=None)
@given(_position_sets(), _position_sets(), st.sampled_from([8, 64, 4096]))
def test_every_form_is_the_same_set(chosen: set[int], less: set[int], block: int) -> None:
    """A form that lost or gained a position would answer with rows that do not pass."""
    for selection, wanted in (
        (Selection.of_positions(_array(chosen), ROWS), chosen),
        (Selection.of_positions(_array(chosen), ROWS).without(_array(less)), chosen - less),
        (Selection.everything(ROWS).without(_array(less)), set(range(ROWS)) - less),
        (Selection.of_positions(_array(chosen), ROWS).without_runs(*_runs(less)), chosen - less),
        (Selection.everything(ROWS).without_runs(*_runs(less)), set(range(ROWS)) - less),
    ):
        assert selection.count == len(wanted)
        assert selection.positions().tolist() == sorted(wanted)
        bits = np.unpackbits(selection.bits(), count=ROWS, bitorder="little")
        assert np.flatnonzero(bits).tolist() == sorted(wanted)
        inside = selection.contains(np.arange(ROWS, dtype=np.int64))
        assert np.flatnonzero(inside).tolist() == sorted(wanted)
        pieces = [
            np.arange(piece.start, piece.stop) if isinstance(piece, slice) else piece
            for piece in selection.blocks(block)
        ]
        assert all(len(piece) <= block for piece in pieces)
        reads = [
            np.arange(rows.start, rows.stop)[... if mask is None else mask]
            if isinstance(rows, slice)
            else rows
            for rows, mask in selection.reads()
        ]
        assert np.concatenate([np.empty(0, np.int64), *reads]).tolist() == sorted(wanted)
        in_place, gathered = selection.reading()
        assert in_place + gathered >= len(wanted)
        assert np.concatenate([np.empty(0, np.int64), *pieces]).tolist() == sorted(wanted)
        assert selection.all_rows == (len(wanted) == ROWS)


def test_memory_stays_below_a_bit_a_row() -> None:
    """Eight bytes for each of hundreds of millions of passing rows would not fit a server.

    A count for each block of 8,192 rows comes on top, a thousandth of a byte a row.
    """
    rows = 80_000
    most = Selection.everything(rows).without(np.arange(0, rows, 97, dtype=np.int64))
    assert most.size_bytes <= rows // 8 + rows // 500 + 64
    assert Selection.everything(rows).size_bytes <= 64


def test_dense_and_sparse_blocks_are_read_each_in_its_way() -> None:
    """A filter that passes most of one region and little elsewhere must lose no row of either."""
    random = np.random.default_rng(5)
    rows = 150_003
    share = np.where((np.arange(rows) // 8_192) % 5 == 2, 0.8, 0.03)
    share[100_000:130_000] = 0.0
    chosen = np.flatnonzero(random.random(rows) < share)
    selection = Selection.of_positions(chosen, rows)
    reads = list(selection.reads())
    found = [
        np.arange(where.start, where.stop)[mask] if isinstance(where, slice) else where
        for where, mask in reads
    ]
    assert np.concatenate(found).tolist() == chosen.tolist()
    in_place = sum(where.stop - where.start for where, _ in reads if isinstance(where, slice))
    gathered = sum(len(where) for where, _ in reads if not isinstance(where, slice))
    assert in_place > 0
    assert gathered > 0
    assert selection.reading() == (in_place, gathered)


@given(
    rows=st.integers(1, 60_000),
    share=st.sampled_from([0.0, 0.001, 0.05, 0.4, 0.97, 1.0]),
    kept=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_narrowing_any_form_is_narrowing_its_rows(
    rows: int, share: float, kept: float, seed: int
) -> None:
    """A row that comes back, or gets lost, between two forms would pass a filter wrongly."""
    random = np.random.default_rng(seed)
    inside, passes, may = ([share, kept, min(1.0, kept + 0.3)] > random.random((3, rows)).T).T
    may |= passes
    selection = Selection.of_mask(inside)
    assert selection.positions().tolist() == np.flatnonzero(inside).tolist()
    found = judged(selection, lambda part: passes[part])
    possible = number_judged(selection, lambda part: may[part])
    assert found.positions().tolist() == np.flatnonzero(inside & passes).tolist()
    assert found.count == np.count_nonzero(inside & passes)
    assert possible == np.count_nonzero(inside & may)


def test_many_rows_are_narrowed_stretch_by_stretch() -> None:
    """A stretch of rows that was put back shifted would let pass the neighbours of what passes."""
    random = np.random.default_rng(3)
    rows = 600_003
    inside, passes = random.random((2, rows)) < 0.5
    found = judged(Selection.of_mask(inside), lambda part: passes[part])
    possible = number_judged(Selection.of_mask(inside), lambda part: passes[part])
    assert np.array_equal(found.positions(), np.flatnonzero(inside & passes))
    assert possible == found.count
    run = np.zeros(rows, bool)
    run[262_140:262_150] = True
    few = judged(Selection.of_mask(~run), lambda part: ~run[part])
    assert np.array_equal(few.positions(), np.flatnonzero(~run))
    one = judged(Selection.of_mask(inside), lambda part: run[part])
    assert np.array_equal(one.positions(), np.flatnonzero(inside & run))


@given(st.integers(1, 70), st.data())
def test_bits_take_the_smallest_form(rows: int, data: st.DataObject) -> None:
    """A run that is not seen as one is searched slowly; one seen wrongly loses rows."""
    chosen = data.draw(_sets_of(rows))
    mask = np.zeros(rows, bool)
    mask[sorted(chosen)] = True
    found = Selection.of_bits(np.packbits(mask, bitorder="little"), rows)
    assert found.positions().tolist() == sorted(chosen)
    is_run = bool(chosen) and max(chosen) - min(chosen) + 1 == len(chosen)
    assert (found.run is not None) == (is_run or not chosen)


def _sets_of(rows: int) -> st.SearchStrategy[set[int]]:
    runs = st.tuples(st.integers(0, rows - 1), st.integers(0, rows))
    return st.sets(st.integers(0, rows - 1)) | runs.map(lambda ends: set(range(*ends)))


@given(
    rows=st.integers(1, 9_000),
    share=st.sampled_from([0.004, 0.05, 0.5, 1.0]),
    step=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_few_rows_are_passing_rows_a_step_apart(
    rows: int, share: float, step: int, seed: int
) -> None:
    """What a sample takes for a passing row is one, and no part of the segment is left out."""
    inside = np.random.default_rng(seed).random(rows) < share
    selection = Selection.of_mask(inside)
    sampled, taken = selection.every(step)
    assert inside[sampled].all()
    assert (np.diff(sampled) > 0).all()
    assert 1 <= taken <= step or selection.count == 0
    if inside.all():
        assert (np.diff(sampled) == taken).all()
        assert len(sampled) in {rows // taken, -(-rows // taken)}
