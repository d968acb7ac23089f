"""Reading occupancy, stored or counted when asked, against counting one record after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import h3.api.basic_int as h3
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo.cells import place
from atlas.species import records_read
from atlas.species.cell_slices import merged, places_in
from atlas.species.counting import count_resolutions, count_species, count_totals
from atlas.species.occupancy import EVERY_RECORD, Occupancy, RecordFilter
from tests.catalog_factory import TAXA, ImageCase, TaxonCase, write_catalog
from tests.unit.species.counting_oracle import Record, tally
from tests.unit.species.test_counting import as_arrays, plain

FINEST = 5
# A subspecies, so that a part of a species is a taxon too.
_TREE = (
    *TAXA[:8],
    TaxonCase(
        taxon_id=8,
        last_descendant=9,
        parent_id=7,
        rank="species",
        scientific_name="Quercus robur",
        lineage=(0, 7),
    ),
    TaxonCase(
        taxon_id=9,
        last_descendant=9,
        parent_id=8,
        rank="subspecies",
        scientific_name="Quercus robur broteroana",
        lineage=(0, 7, 8),
    ),
)
TREE: tuple[TaxonCase, ...] = tuple(
    msgspec.structs.replace(taxon, last_descendant=9) if taxon.last_descendant == 8 else taxon
    for taxon in _TREE
)
FILTERS = (
    EVERY_RECORD,
    RecordFilter(observed_from=date(2019, 6, 1)),
    RecordFilter(observed_to=date(2020, 3, 1)),
    RecordFilter(observed_from=date(2019, 3, 1), observed_to=date(2020, 12, 31)),
    RecordFilter(months=(1, 7)),
    RecordFilter(source_ids=(0, 2)),
    RecordFilter(max_uncertainty_m=30.1),
    RecordFilter(months=(1, 2, 3), source_ids=(1,), max_uncertainty_m=5e4),
)


def _images(rows: int, seed: int) -> list[ImageCase]:
    rng = np.random.default_rng(seed)
    found = []
    for taxon_id in sorted(rng.integers(0, len(TREE), rows).tolist()):
        latitude, longitude = 46 + rng.uniform(0, 0.5), 179.8 + rng.uniform(0, 0.5)
        uncertainty = [None, 30.1, 9_000.0, 250_000.0][int(rng.integers(4))]
        metres = [np.nan if uncertainty is None else uncertainty]
        longitude = longitude - 360 if longitude > 180 else longitude
        (cell,) = place([latitude], [longitude], metres, FINEST).tolist()
        first = date(2019, 1, 1) + timedelta(days=90 * int(rng.integers(8)))
        span = [None, 0, 0, 0, 20, 400][int(rng.integers(6))]
        found.append(
            ImageCase(
                taxon_id=taxon_id,
                cell=cell if rng.random() < 0.9 else None,
                latitude=latitude,
                longitude=longitude,
                uncertainty_m=uncertainty,
                observed_from=None if span is None else first,
                observed_to=None if span is None else first + timedelta(days=span),
                source_id=int(rng.integers(3)),
                flags=int([0, 0, 0, 0, Flag.RECORDED_ABSENT][int(rng.integers(5))]),
                observer=[None, "Ada", "Ben"][int(rng.integers(3))],
            )
        )
    return found


IMAGES = _images(400, 4)


def _passes(image: ImageCase, only: RecordFilter) -> bool:
    first, last = image.observed_from, image.observed_to
    dated = first is not None and last is not None
    span = (first or date.max, last or date.min)
    return bool(
        image.cell is not None
        and not image.flags
        and (only.observed_from is None or (dated and span[0] >= only.observed_from))
        and (only.observed_to is None or (dated and span[1] <= only.observed_to))
        and (not only.months or image.month in only.months)
        and (not only.source_ids or image.source_id in only.source_ids)
        and (
            only.max_uncertainty_m is None
            or (
                image.uncertainty_m is not None
                and np.float32(image.uncertainty_m) <= np.float32(only.max_uncertainty_m)
            )
        )
    )


def _records(taxon_id: int, only: RecordFilter = EVERY_RECORD) -> list[Record]:
    species = {taxon.taxon_id: taxon.taxon_id for taxon in TREE if taxon.rank == "species"} | {9: 8}
    return [
        Record(
            cell=image.cell or 0,
            taxon_id=image.taxon_id,
            species=species.get(image.taxon_id),
            observer=image.observer or "",
            first=image.observed_from,
            last=image.observed_to,
            uncertainty_m=None
            if image.uncertainty_m is None
            else float(np.float32(image.uncertainty_m)),
        )
        for image in IMAGES
        if taxon_id <= image.taxon_id <= TREE[taxon_id].last_descendant and _passes(image, only)
    ]


def _store(path: Path, *, everything: bool) -> None:
    """Fill the tables of stored counts, of all taxa or of the root."""
    with duckdb.connect(str(path)) as connection:
        for taxon in TREE if everything else TREE[:1]:
            arrays = as_arrays(_records(taxon.taxon_id))
            counts = count_resolutions(arrays, range(FINEST + 1), FINEST)
            totals = count_totals(arrays, range(FINEST + 1), FINEST)
            for resolution, (counted, total) in enumerate(zip(counts, totals, strict=True)):
                names = ("n", "observers", "visits", "incidences", "species", "q1", "q2")
                for i, cell in enumerate(counted.cell.tolist()):
                    row = {name: int(getattr(counted, name)[i]) for name in names}
                    row |= {
                        "taxon_id": taxon.taxon_id,
                        "resolution": resolution,
                        "cell": cell,
                        "n_coarse": int(total.n_coarse[i]),
                        "first_day": plain("first_day", counted.first_day[i]),
                        "last_day": plain("last_day", counted.last_day[i]),
                        "min_uncertainty_m": plain(
                            "min_uncertainty_m", counted.min_uncertainty_m[i]
                        ),
                    }
                    marks = ", ".join("?" * len(row))
                    connection.execute(
                        f"INSERT INTO occupancy ({', '.join(row)}) VALUES ({marks})",
                        list(row.values()),
                    )
                connection.execute(
                    "INSERT INTO occupancy_run VALUES (?, ?, ?)",
                    [taxon.taxon_id, resolution, len(counted.cell)],
                )
        arrays = as_arrays(_records(0))
        for resolution in (2, 4) if everything else ():
            (found,) = count_species(arrays, (resolution,), FINEST)
            for cell, taxon_id, n, visits, day in zip(*found, strict=True):
                connection.execute(
                    "INSERT INTO species_cell VALUES (?, ?, ?, ?, ?, ?)",
                    [resolution, int(cell), int(taxon_id), int(n), int(visits), plain("_day", day)],
                )
        connection.execute(
            "INSERT INTO held_back SELECT taxon_id, flags, count(*) FROM image WHERE flags > 0 "
            "GROUP BY ALL"
        )


@pytest.fixture(scope="module", params=["counted", "counted in parts", "format 2", "stored"])
def occupancy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Occupancy]:
    """The same records with nothing stored, and with everything."""
    path = write_catalog(tmp_path_factory.mktemp("occupancy") / "c.duckdb", IMAGES, TREE)
    if request.param != "counted":
        _store(path, everything=request.param == "stored")
    if request.param == "format 2":
        with duckdb.connect(str(path)) as connection:
            connection.execute("ALTER TABLE image_by_cell DROP COLUMN source_id")
    catalog = Catalog.open(path)
    parts = request.param in {"counted in parts", "format 2"}
    small = {"run_rows": 5, "part_rows": 40} if parts else {}
    with pytest.MonkeyPatch.context() as patch:
        if parts:
            patch.setattr(records_read, "_LONG_RUN", 60)
        yield Occupancy(catalog, finest=FINEST, cached_cells=200, **small)
    catalog.close()


@pytest.mark.parametrize("only", FILTERS)
def test_cells_are_what_counting_by_hand_gives(occupancy: Occupancy, only: RecordFilter) -> None:
    """Would break: a map's numbers depend on whether they were stored, or on who asked before."""
    for taxon in TREE:
        for resolution in range(FINEST + 1):
            found = occupancy.cells(taxon.taxon_id, resolution, filter=only)
            wanted = tally(_records(taxon.taxon_id, only), resolution, FINEST)
            assert found.cell.tolist() == list(wanted)
            for i, one in enumerate(wanted.values()):
                row = one.row()
                row.pop("n_coarse")
                assert row == {name: plain(name, getattr(found, name)[i]) for name in row}


@pytest.mark.parametrize("only", [*FILTERS[:2], FILTERS[5]])
def test_ranges_cut_the_same_cells_out(occupancy: Occupancy, only: RecordFilter) -> None:
    """Would break: a tile has a hole, or the numbers of a cell's inner part."""
    for taxon_id in (0, 1, 8, 9):
        for resolution in (0, 3, FINEST):
            whole = occupancy.cells(taxon_id, resolution, filter=only)
            listed = whole.cell.tolist()
            for ranges in ([], [(c, c) for c in listed[::2]], [(listed[0], listed[-1])]):
                inside = np.array([any(a <= c <= b for a, b in ranges) for c in listed], bool)
                found = occupancy.cells(taxon_id, resolution, ranges=ranges, filter=only)
                for name in whole._fields:
                    one, column = getattr(found, name), getattr(whole, name)
                    assert one.dtype == column.dtype
                    np.testing.assert_array_equal(one, column[inside])


@pytest.mark.parametrize("only", [EVERY_RECORD, FILTERS[4], FILTERS[5]])
def test_coarse_records_stand_in_their_own_cells(occupancy: Occupancy, only: RecordFilter) -> None:
    """Would break: a record is drawn finer than it is known, or is on no map."""
    for taxon_id in (0, 2, 9):
        records = _records(taxon_id, only)
        for resolution in range(FINEST + 1):
            wanted: dict[tuple[int, int], int] = {}
            for record in records:
                stored = h3.get_resolution(record.cell)
                if stored < resolution:
                    key = (stored, record.cell)
                    wanted[key] = wanted.get(key, 0) + 1
            found = occupancy.coarse(taxon_id, resolution, filter=only)
            rows = zip(
                found.resolution.tolist(), found.cell.tolist(), found.n.tolist(), strict=True
            )
            assert [((r, c), n) for r, c, n in rows] == sorted(wanted.items())
            cells = occupancy.cells(taxon_id, resolution, filter=only)
            assert cells.n.sum() + found.n.sum() == len(records)
            # Only those that hold the one cell asked for.
            for cell in cells.cell.tolist()[:2]:
                near = occupancy.coarse(taxon_id, resolution, ranges=[(cell, cell)], filter=only)
                holders = {h3.cell_to_parent(cell, r) for r in range(resolution)}
                assert near.cell.tolist() == [c for c in found.cell.tolist() if c in holders]


class Reads(Catalog):
    """A catalog that keeps what it was asked."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[str] = []

    def table(self, sql: str, *given: Any, **named: Any) -> dict[str, npt.NDArray[Any]]:
        """As `Catalog.table`."""
        self.asked.append(sql)
        return super().table(sql, *given, **named)


@pytest.mark.parametrize("only", FILTERS[1:])
def test_a_place_under_a_filter_reads_the_rows_of_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: RecordFilter
) -> None:
    """Would break: the first tile under a filter counts the whole world, half a minute."""
    monkeypatch.setattr(records_read, "_LONG_RUN", 60)
    catalog = Reads.open(write_catalog(tmp_path / "c.duckdb", IMAGES, TREE))
    assert isinstance(catalog, Reads)
    occupancy = Occupancy(catalog, finest=FINEST, run_rows=5)
    (cell,) = place([46.2], [179.9], [np.nan], 4).tolist()
    catalog.asked.clear()
    occupancy.cells(0, 4, ranges=[(cell, cell)], filter=only)
    occupancy.coarse(0, 4, ranges=[(cell, cell)], filter=only)
    assert len(catalog.asked) == 2
    assert all("image_by_cell" in sql and "cell BETWEEN" in sql for sql in catalog.asked)
    catalog.close()


@pytest.mark.parametrize("only", FILTERS)
def test_sightings_are_the_counted_photos(occupancy: Occupancy, only: RecordFilter) -> None:
    """Would break: a range is measured from records that no map counts."""
    for taxon in TREE:
        found = occupancy.sightings(taxon.taxon_id, only)
        rows = [
            i
            for i, image in enumerate(IMAGES)
            if taxon.taxon_id <= image.taxon_id <= taxon.last_descendant and _passes(image, only)
        ]
        assert found.row_id.tolist() == rows
        assert found.latitude.tolist() == [IMAGES[i].latitude for i in rows]
        assert found.source_id.tolist() == [IMAGES[i].source_id for i in rows]


def test_fewer_sightings_are_spread_over_all(occupancy: Occupancy) -> None:
    """Would break: the range of a common taxon is that of the first country in its rows."""
    every = occupancy.sightings(0).row_id
    for most in (1, 7, 100, len(every), len(every) + 1):
        found = occupancy.sightings(0, most=most).row_id
        assert len(found) <= most
        assert len(found) >= min(most, len(every)) * 0.8 - 3
        assert np.isin(found, every).all()
        assert (np.diff(found) > 0).all()
        if most >= 100:
            gaps = np.diff(np.searchsorted(every, found), prepend=-1, append=len(every))
            assert gaps.max() <= 4 * -(-len(every) // most)


@pytest.mark.parametrize("taxon_id", [0, 1, 4, 8, 9])
@pytest.mark.parametrize("resolution", [1, 2, 4, 5])
def test_species_in_cells(occupancy: Occupancy, taxon_id: int, resolution: int) -> None:
    """Would break: a gap lists species as missing that are there."""
    tallies = tally(_records(taxon_id), resolution, FINEST)
    cells = np.array(list(tallies)[::2][::-1] + [0x85283473FFFFFFF][: resolution == 5], np.uint64)
    found = occupancy.species_in(cells, taxon_id)
    wanted = [
        (cell, species, one.species_n[species], len(one.species[species]))
        for cell, one in tallies.items()
        if cell in cells.tolist()
        for species in sorted(one.species)
    ]
    assert list(zip(*(column.tolist() for column in found[:4]), strict=True)) == wanted
    days = [plain("_day", day) for day in found.last_day]
    assert days == [tallies[cell].species_last.get(species) for cell, species, *_ in wanted]


def test_species_in_no_cells(occupancy: Occupancy) -> None:
    """Would break: an empty neighbourhood is an error."""
    assert len(occupancy.species_in(np.empty(0, np.uint64), 0).cell) == 0


def test_held_back_records_are_counted_by_reason(tmp_path: Path) -> None:
    """Would break: an answer hides records and does not say so."""
    path = write_catalog(tmp_path / "c.duckdb", IMAGES, TREE)
    _store(path, everything=True)
    catalog = Catalog.open(path)
    occupancy = Occupancy(catalog, finest=FINEST)
    for taxon in TREE:
        rows = [
            image
            for image in IMAGES
            if image.flags and taxon.taxon_id <= image.taxon_id <= taxon.last_descendant
        ]
        (found,) = occupancy.held_back(taxon.taxon_id)
        assert (found.flag, found.records) == ("recorded_absent", len(rows))
    catalog.close()


@given(
    cells=st.sets(st.integers(0, 60), max_size=40),
    edges=st.lists(st.integers(0, 60), max_size=14, unique=True),
    most=st.integers(1, 5),
)
def test_ranges_are_found_and_merged(cells: set[int], edges: list[int], most: int) -> None:
    """Would break: a tile loses the cells at the end of a range, or reads half the table."""
    bounds = sorted(edges[: len(edges) // 2 * 2])
    ranges = list(zip(bounds[::2], bounds[1::2], strict=True))
    listed = np.array(sorted(cells), np.uint64)
    inside = [c for c in listed.tolist() if any(low <= c <= high for low, high in ranges)]
    assert listed[places_in(listed, ranges)].tolist() == inside
    fewer = merged(ranges, most)
    assert len(fewer) == min(most, len(ranges))
    for low, high in ranges:
        assert sum(first <= low and high <= last for first, last in fewer) == 1
    assert all(before[1] < after[0] for before, after in pairwise(fewer))


def test_what_does_not_exist_is_refused(occupancy: Occupancy) -> None:
    """Would break: a wrong id or resolution gives an empty map, which reads as nobody searched."""
    for taxon_id in (-1, len(TREE)):
        with pytest.raises(NotFound):
            occupancy.cells(taxon_id, 1)
    for resolution in (-1, FINEST + 1):
        with pytest.raises(InvalidQuery):
            occupancy.coarse(0, resolution)
