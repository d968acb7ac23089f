"""The counting of maps against counting one record after the other."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from atlas.geo.cells import place
from atlas.species.cell_digits import cells_from, digits_of
from atlas.species.counting import (
    NO_SPECIES,
    UNKNOWN_DAY,
    Records,
    by_cell,
    count_cells,
    count_resolutions,
    count_species,
    count_totals,
    species_of_taxa,
    visit_numbers,
)
from atlas.species.counting_parts import count_parts
from tests.unit.species.counting_oracle import Record, tally

EPOCH = date(1970, 1, 1)


def some_records(rows: int, seed: int, finest: int) -> list[Record]:
    """Records of few observers, days, species and places, so that every count has repeats."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, 4, rows)
    latitude = np.array([52.0, 52.3, -17.8, 89.9])[centre] + rng.normal(0, 0.05, rows)
    longitude = np.array([4.0, 4.9, 179.9, 10.0])[centre] + rng.normal(0, 0.005, rows)
    uncertainty = rng.choice([np.nan, np.nan, 10.0, 3e4, 4e5], rows)
    cells = place(np.minimum(latitude, 90), longitude, uncertainty, finest)
    first = [
        EPOCH + timedelta(days=int(day)) for day in rng.integers(-900, 17_100, rows) // 600 * 600
    ]
    span = rng.choice([0, 0, 0, 40, -1], rows)
    return [
        Record(
            cell=int(cells[i]),
            taxon_id=0,
            species=[None, 3, 4, 7, 7, 12][int(rng.integers(6))],
            observer=f"observer {int(rng.integers(4))}",
            first=None if span[i] < 0 else first[i],
            last=None if span[i] < 0 else first[i] + timedelta(days=int(span[i])),
            uncertainty_m=None if np.isnan(uncertainty[i]) else float(np.float32(uncertainty[i])),
        )
        for i in range(rows)
    ]


def as_arrays(records: list[Record], *, spread: int = 1) -> Records:
    """The same as arrays; observers' numbers are `spread` apart."""
    names = sorted({record.observer for record in records})
    observer = np.array([names.index(r.observer) * spread for r in records], np.int64)
    first = np.array([_days(record.first) for record in records], np.int32)
    last = np.array([_days(record.last) for record in records], np.int32)
    return Records(
        cell=np.array([record.cell for record in records], np.uint64),
        species=np.array(
            [NO_SPECIES if r.species is None else r.species for r in records], np.int32
        ),
        observer=observer,
        visit=visit_numbers(first, last, observer),
        first_day=first,
        last_day=last,
        uncertainty_m=np.array(
            [np.nan if r.uncertainty_m is None else r.uncertainty_m for r in records], np.float32
        ),
    )


def _days(day: date | None) -> int:
    return UNKNOWN_DAY if day is None else (day - EPOCH).days


def plain(name: str, value: Any) -> Any:
    """A number of an array as the oracle has it."""
    if name.endswith("_day"):
        return None if value == UNKNOWN_DAY else EPOCH + timedelta(days=int(value))
    if name == "min_uncertainty_m":
        return None if np.isnan(value) else float(value)
    return int(value)


# Wide numbers do not fit into one sort key beside the digits, which takes the slower way.
@pytest.mark.parametrize(("finest", "spread"), [(4, 1), (7, 1), (7, 2**29), (12, 2**29), (15, 9)])
@pytest.mark.parametrize(("rows", "seed"), [(0, 0), (1, 1), (300, 2), (300, 3)])
def test_counts_are_those_of_one_record_after_the_other(
    rows: int, seed: int, finest: int, spread: int
) -> None:
    """Would break: maps count a record, visit or species twice, or not, where rows share one."""
    records = some_records(rows, seed, finest)
    arrays = as_arrays(records, spread=spread)
    resolutions = range(finest + 1)
    counted = count_resolutions(arrays, resolutions, finest)
    totals = count_totals(arrays, resolutions, finest)
    for resolution in resolutions:
        wanted = {cell: one.row() for cell, one in tally(records, resolution, finest).items()}
        found = {
            int(counted[resolution].cell[i]): {
                **{
                    name: plain(name, column[i])
                    for name, column in counted[resolution]._asdict().items()
                    if name != "cell"
                },
                "n_coarse": int(totals[resolution].n_coarse[i]),
            }
            for i in range(len(counted[resolution].cell))
        }
        assert list(found) == sorted(found)
        assert found == wanted


@pytest.mark.parametrize("finest", [5, 15])
def test_one_resolution_counts_as_all_do(finest: int) -> None:
    """Would break: a map counted when asked differs from the one that the build stored."""
    arrays = as_arrays(some_records(200, 5, finest))
    every = count_resolutions(arrays, range(finest + 1), finest)
    for resolution in (0, 3, finest):
        alone = count_cells(arrays, resolution, finest)
        for one, other in zip(alone, every[resolution], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("parts", [1, 2, 4, 9])
def test_parts_add_up(parts: int) -> None:
    """Would break: a map of many records differs from what they give when counted together."""
    arrays = as_arrays(some_records(300, 6, 7))
    for resolution in (0, 4, 7):
        split = (
            Records._make(column[arrays.observer % parts == part] for column in arrays)
            for part in range(parts)
        )
        whole = count_cells(arrays, resolution, 7)
        summed = count_parts(split, resolution, 7)
        for name in whole._fields:
            one, other = getattr(summed, name), getattr(whole, name)
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_species_of_each_cell() -> None:
    """Would break: a cell lists a species it lacks, or with visits of another."""
    records = some_records(300, 8, 5)
    for resolution in (0, 2, 5):
        (counted,) = count_species(as_arrays(records), (resolution,), 5)
        found = list(zip(*(column.tolist() for column in by_cell(counted)), strict=True))
        wanted = [
            (
                cell,
                species,
                one.species_n[species],
                len(one.species[species]),
                _days(one.species_last.get(species)),
            )
            for cell, one in tally(records, resolution, 5).items()
            for species in sorted(one.species)
        ]
        assert found == wanted
        assert any(visits > 1 for *_, visits, _ in found)
        order = list(zip(counted.taxon_id.tolist(), counted.cell.tolist(), strict=True))
        assert order == sorted(order)


def test_counts_do_not_follow_the_order_of_rows() -> None:
    """Would break: several segments would give other maps than one."""
    arrays = as_arrays(some_records(200, 9, 7))
    order = np.random.default_rng(1).permutation(200)
    mixed = Records._make(column[order] for column in arrays)
    for one, other in zip(count_cells(arrays, 5, 7), count_cells(mixed, 5, 7), strict=True):
        np.testing.assert_array_equal(one, other)


def test_cells_come_back_from_their_digits() -> None:
    """Would break: every cell of a map would be another, or none."""
    for resolution in range(16):
        cells = np.array([record.cell for record in some_records(20, 4, resolution)], np.uint64)
        exact = place([1.0, -60.0, 89.0], [2.0, 170.0, -30.0], [np.nan] * 3, resolution)
        np.testing.assert_array_equal(cells_from(digits_of(exact, resolution), resolution), exact)
        assert (digits_of(cells, resolution) < 1 << (7 + 3 * resolution)).all()


def test_species_of_a_tree() -> None:
    """Would break: a subspecies counts as a species of its own, a genus as one."""
    last = np.array([6, 4, 3, 3, 4, 6, 6])
    is_species = np.array([False, False, True, False, True, False, True])
    assert species_of_taxa(is_species, last).tolist() == [-1, -1, 2, 2, 4, -1, 6]
