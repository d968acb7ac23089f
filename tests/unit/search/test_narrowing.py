"""Statements about layers: rows kept in order tell the same as a look at each value."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.bundle.bundle import LAYERS
from atlas.bundle.manifest import LayerEntry, SegmentEntry
from atlas.errors import BundleError
from atlas.geo.layers import (
    CERTAIN,
    NAME,
    NAMES,
    OR_OUTSIDE,
    OUTSIDE,
    UNKNOWN,
    Category,
    Layer,
    high_name,
    low_name,
)
from atlas.geo.ranked import order_name, slices_name
from atlas.search.narrowing import narrowed, number_possible
from atlas.search.place_statements import (
    InRange,
    IsNamed,
    IsOneOf,
    Statement,
    all_may_pass,
    all_pass,
)
from atlas.search.selection import Selection
from indexer.layers.columns import Names, write_bounds, write_category, write_column

ROWS = 2_500
BOUNDS = (-math.inf, 0.0, 1.0, 250.0, 250.1, 400.0, 1e9, math.inf)


class Pair(NamedTuple):
    """The same layer with its rows in order, and as it was made before these were kept."""

    ordered: Layer
    plain: Layer


def _layer(root: Path, kind: str) -> Layer:
    described = SegmentEntry(name="0001", first_row=0, rows=ROWS, hosts_pictures=False)
    entry = LayerEntry(
        name="some",
        kind="category" if kind == "category" else "distance",
        feature="some",
        folder="some",
        cells="",
        segments=("0001",),
        orders=(2.0,),
        names=NAMES,
        rule="",
        title="",
        origin="",
        fingerprint="",
        made_at="",
    )
    return Layer(root, entry, (described,))


def _written(root: Path, kind: str, *, ordered: bool) -> Layer:
    """A layer with rows of which nothing is known, and rows that are uncertain."""
    random = np.random.default_rng(3)
    folder = root / LAYERS / "some" / "0001"
    if kind == "category":
        value = random.integers(OUTSIDE, 9, ROWS).astype(np.int32)
        value[random.random(ROWS) < 0.05] = UNKNOWN
        other = random.choice([CERTAIN, CERTAIN, OR_OUTSIDE, UNKNOWN, 1, 2, 7], ROWS)
        write_category(folder, Category(value, other.astype(np.int32)))
        names = Names()
        names.numbers([f"value {number}" for number in range(1, 10)], [""] * 9)
        names.write(folder.parent / NAMES)
    else:
        for order in (None, 2.0):
            low = np.round(random.random(ROWS) * 500).astype(np.float32)
            high = low + np.round(random.random(ROWS) * 100).astype(np.float32)
            unknown = random.random(ROWS) < 0.1
            write_bounds(folder / low_name(order), np.where(unknown, -np.inf, low))
            write_bounds(folder / high_name(order), np.where(unknown, np.inf, high))
        write_column(folder / NAME, random.integers(0, 5, ROWS).astype(np.int32))
    if not ordered:
        kept = [*folder.glob("*.u32"), *folder.glob("*.u64")]
        assert kept
        for path in kept:
            path.unlink()
    return _layer(root, kind)


@pytest.fixture(scope="module")
def distances(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Bounds of a distance."""
    root = tmp_path_factory.mktemp("distances")
    return Pair(*(_written(root / f"{one}", "distance", ordered=one) for one in (True, False)))


@pytest.fixture(scope="module")
def categories(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Values of a category."""
    root = tmp_path_factory.mktemp("categories")
    return Pair(*(_written(root / f"{one}", "category", ordered=one) for one in (True, False)))


def _selections() -> dict[str, Selection]:
    random = np.random.default_rng(11)
    every = Selection.everything(ROWS)
    return {
        "every": every,
        "nearly every": every.without(np.array([0, 5, 77, 2_499])),
        "half": Selection.of_mask(random.random(ROWS) < 0.5),
        "few": Selection.of_positions(np.array([3, 9, 1_200]), ROWS),
        "none": Selection.of_run(0, 0, ROWS),
        "a long run": Selection.of_run(3, 1_900, ROWS),
        "a short run": Selection.of_run(100, 120, ROWS),
    }


def _check(selection: Selection, ordered: list[Statement], plain: list[Statement]) -> None:
    rows = np.arange(ROWS)
    inside = selection.contains(rows)
    passing = np.flatnonzero(inside & all_pass(plain, 0, rows))
    may = int(np.count_nonzero(inside & all_may_pass(plain, 0, rows)))
    for statements in (ordered, plain):
        found = narrowed(selection, statements, 0)
        assert found.positions().tolist() == passing.tolist()
        assert found.count == len(passing)
        assert number_possible(selection, statements, 0) == may


@settings(max_examples=150, deadline=None)
@given(
    of=st.sampled_from(sorted(_selections())),
    ends=st.tuples(st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)),
    order=st.sampled_from([None, 2.0]),
    named=st.booleans(),
)
def test_ranges_hold_for_the_same_rows(
    of: str, ends: tuple[float, float], order: float | None, named: bool, distances: Pair
) -> None:
    """A server tells the same of an old layer and of a new one, only slower of the old."""
    low, high = sorted(ends)
    both: list[list[Statement]] = []
    for layer in distances:
        statements: list[Statement] = [InRange(layer=layer, low=low, high=high, order=order)]
        if named:
            statements.append(IsNamed(layer=layer, names=frozenset({1, 4})))
        both.append(statements)
    _check(_selections()[of], *both)


@settings(max_examples=150, deadline=None)
@given(
    of=st.sampled_from(sorted(_selections())),
    values=st.frozensets(st.integers(1, 9), min_size=1, max_size=9),
    also=st.booleans(),
)
def test_categories_hold_for_the_same_rows(
    of: str, values: frozenset[int], also: bool, categories: Pair, distances: Pair
) -> None:
    """One value is a run of ranks; many are looked up; a second statement narrows further."""
    both: list[list[Statement]] = []
    for layer, other in zip(categories, distances, strict=True):
        statements: list[Statement] = [IsOneOf(layer=layer, values=values)]
        if also:
            statements.append(InRange(layer=other, low=-math.inf, high=250.0))
        both.append(statements)
    _check(_selections()[of], *both)


def test_rows_in_order_are_read_where_they_are_kept(distances: Pair, categories: Pair) -> None:
    """The comparison above would compare a way with itself."""
    every = Selection.everything(ROWS)
    for ordered, plain in (distances, categories):
        statement: Statement
        for layer, known in ((ordered, True), (plain, False)):
            if layer.entry.kind == "category":
                statement = IsOneOf(layer=layer, values=frozenset({1}))
            else:
                statement = InRange(layer=layer, low=-math.inf, high=100.0)
                assert (statement.number_possible(0) is not None) == known
            assert (statement.passing(0, every) is not None) == known


@pytest.mark.parametrize("name", [order_name, slices_name])
def test_half_an_order_is_damage(name: Callable[[str], str], tmp_path: Path) -> None:
    """A file that is lost or cut is named; the rows are not silently looked at one by one."""
    layer = _written(tmp_path, "distance", ordered=True)
    path = tmp_path / LAYERS / "some" / "0001" / name(high_name())
    statement = InRange(layer=layer, low=-math.inf, high=100.0)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BundleError, match=path.name):
        statement.passing(0, Selection.everything(ROWS))
    path.unlink()
    with pytest.raises(BundleError, match=path.name):
        statement.passing(0, Selection.everything(ROWS))
