"""Counts by month and year, against counting the catalog's rows one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.search import seasons as module
from atlas.search.compiler import CompiledFilter
from atlas.search.seasons import SeasonCounts, Seasons
from atlas.search.selection import Selection


@pytest.fixture(scope="module")
def bundle(unserved_bundle: Path) -> Bundle:
    """The tiny bundle, open."""
    return Bundle.open(unserved_bundle, "sizes")


@pytest.fixture(scope="module")
def catalog(bundle: Bundle) -> Iterator[Catalog]:
    """Its catalog."""
    opened = Catalog.open(bundle.catalog_path)
    yield opened
    opened.close()


def counted(bundle: Bundle, catalog: Catalog, selection: Selection, key: bytes) -> Seasons:
    """The seasons of a selection of the bundle's one segment."""
    compiled = CompiledFilter(
        key=key, selections=(selection,), matching=selection.count, held_back=0, held_back_for=()
    )
    return SeasonCounts(catalog, bundle.segments).count(compiled)


def expected(bundle: Bundle, catalog: Catalog, selection: Selection) -> tuple[Counter[int], ...]:
    """Months and years of the selected rows, each looked at on its own; 0 for none."""
    rows = catalog.images((selection.positions() + bundle.segments[0].first_row).tolist())
    months, years = Counter[int](), Counter[int]()
    for row in rows:
        first, last = row.observed_from, row.observed_to
        if first is None or last is None:
            months[0] += 1
            years[0] += 1
            continue
        years[first.year if first.year == last.year else 0] += 1
        within = (first.year, first.month) == (last.year, last.month)
        months[first.month if within else 0] += 1
    return months, years


@pytest.mark.parametrize("form", ["everything", "run", "positions", "blocks", "nothing"])
def test_seasons_are_those_of_the_rows(
    bundle: Bundle, catalog: Catalog, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way rows are read, each must count in its month and year once."""
    rows = bundle.segments[0].rows
    some = np.flatnonzero(np.random.default_rng(3).random(rows) < 0.4).astype(np.int64)
    selection = {
        "everything": Selection.everything(rows),
        "run": Selection.of_run(7, rows - 5, rows),
        "positions": Selection.of_positions(some, rows),
        "blocks": Selection.of_positions(some, rows),
        "nothing": Selection.of_positions(np.empty(0, np.int64), rows),
    }[form]
    if form == "blocks":
        monkeypatch.setattr(module, "_GATHERED_ROWS", 1)
        monkeypatch.setattr(module, "_BLOCK_ROWS", 16)
    found = counted(bundle, catalog, selection, form.encode())
    months, years = expected(bundle, catalog, selection)
    assert found.matching == selection.count
    assert (found.without_month, *found.months) == tuple(months[month] for month in range(13))
    assert found.without_year == years.pop(0, 0)
    assert {each.year: each.photos for each in found.years} == dict(years)
