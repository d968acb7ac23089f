"""Species expected and not recorded, with their evidence, and one cell explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h3.api.basic_int as h3
import pytest
from pyproj import Geod

from atlas.errors import InvalidQuery, NotFound
from atlas.geo.cells import format_cell
from atlas.species.gaps import GapSettings
from atlas.species.unrecorded import RINGS
from tests.catalog_factory import ImageCase
from tests.unit.species.gap_world import (
    AMPHIBIA,
    AS_OF,
    HYLA,
    HYLIDAE,
    MALLARD,
    RANA,
    World,
    european_records,
    record,
)

CENTRE = h3.latlng_to_cell(50.0, 12.0, 4)


def hidden(image: ImageCase) -> bool:
    """Tree frogs of the centre, which the atlas is not shown."""
    return (
        image.taxon_id == HYLA
        and image.cell is not None
        and h3.cell_to_parent(image.cell, 4) == CENTRE
    )


SHOWN = [image for image in european_records() if not hidden(image)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Frogs and ducks, no tree frogs in the centre."""
    made = World(
        tmp_path_factory.mktemp("unrecorded") / "catalog.duckdb",
        [*SHOWN, record(MALLARD, 50.0, 12.0, AS_OF, uncertainty_m=9e4, resolution=2)],
        GapSettings(),
    )
    yield made
    made.catalog.close()


def test_the_hidden_species_is_expected(world: World) -> None:
    """All around there are tree frogs: the cell without must say that they are expected."""
    detail = world.details.explain(CENTRE, AMPHIBIA)
    found = detail.unrecorded
    assert found.reliable, found.why
    (tree_frog,) = found.species
    assert tree_frog.taxon_id == HYLA
    assert 0.5 <= tree_frog.probability <= 1.0
    assert 0.5 < tree_frog.frequency < 1.0
    assert 0.0 < tree_frog.by_now <= 1.0
    assert {species.taxon_id for species in detail.recorded} == {RANA}
    assert RANA not in {species.taxon_id for species in found.species}


def test_evidence_is_true(world: World) -> None:
    """Neighbours hold the species as often as stated; the nearest record is the nearest."""
    (tree_frog,) = world.details.explain(CENTRE, HYLIDAE).unrecorded.species
    records = [image for image in SHOWN if image.taxon_id == HYLA]
    by_cell = [h3.cell_to_parent(image.cell, 4) for image in records if image.cell is not None]
    for neighbour in tree_frog.neighbours:
        cell = int(neighbour.cell, 16)
        assert neighbour.records == by_cell.count(cell)
        assert neighbour.steps == h3.grid_distance(CENTRE, cell)
    steps = [neighbour.steps for neighbour in tree_frog.neighbours]
    assert steps == sorted(steps)
    nearby = {cell for cell in by_cell if h3.grid_distance(CENTRE, cell) <= RINGS}
    assert tree_frog.cells == len(nearby)
    latitude, longitude = h3.cell_to_latlng(CENTRE)
    distances = sorted(
        Geod(ellps="WGS84").inv(longitude, latitude, image.longitude, image.latitude)[2] / 1000.0
        for image in records
    )
    assert [seen.distance_km for seen in tree_frog.sightings] == pytest.approx(
        distances[:3], abs=0.06
    )
    for seen in tree_frog.sightings:
        image = SHOWN[seen.row_id]
        assert (image.taxon_id, image.observed_from) == (HYLA, seen.observed_on)


def test_only_the_taxon_asked_for_is_listed(world: World) -> None:
    """The fauna is that of the class, the list that of the taxon."""
    detail = world.details.explain(CENTRE, RANA)
    assert detail.target_group.taxon_id == AMPHIBIA
    assert detail.unrecorded.reliable
    assert detail.unrecorded.species == []


def test_thin_neighbourhoods_say_so(world: World) -> None:
    """Far from all records nothing is listed, and the reason stands in words."""
    away = world.details.explain(h3.latlng_to_cell(-3.0, 20.0, 4), AMPHIBIA)
    assert not away.unrecorded.reliable
    assert "no species of Amphibia" in away.unrecorded.why


def test_too_few_neighbours_are_not_relied_on(tmp_path: Path) -> None:
    """Three cells with records are no neighbourhood, whatever they hold."""
    cells = h3.grid_ring(CENTRE, 2)[:3]
    images = [
        record(RANA, latitude, longitude, AS_OF)
        for latitude, longitude in map(h3.cell_to_latlng, cells)
    ]
    thin = World(tmp_path / "thin.duckdb", images, GapSettings())
    found = thin.details.explain(CENTRE, AMPHIBIA).unrecorded
    assert not found.reliable
    assert found.species == []
    assert found.cells == 3
    assert "too few were searched" in found.why
    thin.catalog.close()


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    """What does not fit in the list is told as a number."""
    settings = GapSettings(most_expected=1, least_probability=0.1)
    cut = World(
        tmp_path / "cut.duckdb",
        [image for image in SHOWN if h3.cell_to_parent(image.cell or 0, 4) != CENTRE],
        settings,
    )
    found = cut.details.explain(CENTRE, AMPHIBIA).unrecorded
    assert [species.taxon_id for species in found.species] == [RANA]
    assert found.more == 1
    cut.catalog.close()


def test_everything_behind_the_number(world: World) -> None:
    """Score, thresholds, recorded species and coarse records of the cell are there."""
    detail = world.details.explain(CENTRE, MALLARD)
    visits = {
        (image.observed_from, image.observer)
        for image in SHOWN
        if image.taxon_id == MALLARD
        and image.cell is not None
        and h3.cell_to_parent(image.cell, 4) == CENTRE
    }
    (duck,) = detail.recorded
    assert duck.visits == len(visits) == detail.gap.sampling.visits
    assert duck.last_day == detail.gap.sampling.last_day
    assert detail.coarse_records == 1
    assert detail.gap.cell == format_cell(CENTRE)
    assert detail.thresholds["least_visits"] == 10
    parts = detail.gap.score
    weight = detail.thresholds["recency_weight"]
    assert parts.score == pytest.approx(
        parts.expected_new_species * ((1 - weight) * parts.ignorance + weight * parts.recency),
        abs=1e-3,
    )


def test_refusals(world: World) -> None:
    """A cell finer than the atlas's and a taxon that is not there are named."""
    with pytest.raises(InvalidQuery) as finer:
        world.details.explain(h3.latlng_to_cell(50.0, 12.0, 9), AMPHIBIA)
    assert finer.value.field == "cell"
    with pytest.raises(NotFound):
        world.details.explain(CENTRE, 99)
