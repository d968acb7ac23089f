"""Ranges: thinned readings say so, seasons count what is known."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from atlas.errors import InvalidQuery, NotFound
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import RecordFilter
from tests.catalog_factory import ImageCase
from tests.unit.species.map_world import COMMON_FROG, LIFE, MOOR_FROG, mapped, sighting


def spread(count: int, seed: int = 1) -> list[ImageCase]:
    """Records of the moor frog all over a region, one observer a record."""
    rng = np.random.default_rng(seed)
    return [
        sighting(
            MOOR_FROG,
            45.0 + 10.0 * rng.random(),
            5.0 + 15.0 * rng.random(),
            day=date(2010 + i % 7, 1 + i % 12, 10),
            observer=str(i),
        )
        for i in range(count)
    ]


def test_a_large_taxon_is_read_by_choice_and_says_so(tmp_path: Path) -> None:
    """A thinned range that looked exact would be a smaller range without a word."""
    records = spread(3_000)
    few = MapSettings(target_group_rank="kingdom", max_range_points=1_000)
    with mapped(tmp_path / "a.duckdb", records) as maps:
        whole = maps.ranges.read(MOOR_FROG, 5)
    with mapped(tmp_path / "b.duckdb", records, few) as maps:
        thinned = maps.ranges.read(MOOR_FROG, 5)
    assert (whole.basis.points, whole.basis.cell_resolution) == (3_000, None)
    assert not whole.area_of_occupancy_at_least
    assert thinned.basis.records == 3_000
    assert 900 <= thinned.basis.points <= 1_000
    assert thinned.basis.cell_resolution == 5
    assert thinned.area_of_occupancy_at_least
    assert thinned.area_of_occupancy_km2 < whole.area_of_occupancy_km2
    # All cells are in the hull: it is out by less than a cell around its edge, not by a third.
    assert whole.extent_of_occurrence_km2 is not None
    assert thinned.extent_of_occurrence_km2 == pytest.approx(
        whole.extent_of_occurrence_km2, rel=0.02
    )
    assert thinned.occupied_km2 == whole.occupied_km2


def test_seasons_leave_out_what_is_not_known(tmp_path: Path) -> None:
    """A record of "some time in 1998" has a year and no month; without a date it has neither."""
    records = [
        sighting(MOOR_FROG, 50.0, 10.0, day=date(2020, 4, 3)),
        sighting(MOOR_FROG, 50.0, 10.1, day=date(2020, 4, 1), until=date(2020, 4, 30)),
        sighting(MOOR_FROG, 50.0, 10.2, day=date(1998, 1, 1), until=date(1998, 12, 31)),
        sighting(MOOR_FROG, 50.0, 10.3, day=date(1999, 12, 30), until=date(2000, 1, 2)),
        sighting(MOOR_FROG, 50.0, 10.4, day=None),
        sighting(COMMON_FROG, 50.0, 10.5, day=date(1960, 7, 1)),
    ]
    with mapped(tmp_path / "c.duckdb", records) as maps:
        seasons = maps.ranges.read(MOOR_FROG, 5).seasons
        only = RecordFilter(months=(4,))
        april = maps.ranges.read(MOOR_FROG, 5, only=only)
    assert seasons.months == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert seasons.undated_months == 3
    assert [(each.year, each.records) for each in seasons.years] == [(1998, 1), (2020, 2)]
    assert seasons.undated_years == 2
    assert seasons.effort_share[3] == pytest.approx(2 / 3, abs=1e-4)
    assert seasons.effort_share[6] == pytest.approx(1 / 3, abs=1e-4)
    assert april.basis.records == 2
    assert april.seasons.effort_share[6] == 0.0


def test_a_taxon_without_places_has_no_range(tmp_path: Path) -> None:
    """Nothing recorded is no error, and no area."""
    with mapped(tmp_path / "c.duckdb", [sighting(COMMON_FROG, 50.0, 10.0)]) as maps:
        found = maps.ranges.read(MOOR_FROG, 5)
        assert found.extent_of_occurrence_km2 is None
        assert found.area_of_occupancy_km2 == 0.0
        assert found.latitudes is None
        assert found.occupied_cells == 0
        two = maps.ranges.read(COMMON_FROG, 5)
        assert two.extent_of_occurrence_km2 is None
        assert two.area_of_occupancy_km2 == 4.0
        with pytest.raises(InvalidQuery, match="resolution"):
            maps.ranges.read(LIFE, 8)
        with pytest.raises(NotFound):
            maps.ranges.read(99, 5)
