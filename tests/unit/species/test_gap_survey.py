"""Ranking gaps over a small atlas, against counts made by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import h3.api.basic_int as h3
import pytest

from atlas.errors import InvalidQuery, NotFound
from atlas.geo.cells import format_cell
from atlas.geo.shapes import BoundingBox, Polygon
from atlas.species.gap_survey import GapQuestion
from atlas.species.gaps import STATES, GapSettings
from tests.catalog_factory import ImageCase
from tests.unit.species.gap_world import (
    AMPHIBIA,
    ANIMALS,
    AS_OF,
    BIRDS,
    FISH,
    HYLIDAE,
    LIFE,
    MALLARD,
    RANIDAE,
    TUNA,
    World,
    european_records,
    record,
)

EUROPE = BoundingBox(4.0, 46.0, 20.0, 54.0)
IMAGES = [
    *european_records(),
    # Tuna far out in the Atlantic, and one record of no known day.
    *(record(TUNA, 40.0 + i, -30.0 - i, dt.date(2020, 5, 1 + i)) for i in range(6)),
    record(MALLARD, 64.5, 26.0, None),
    # Too uncertain for a cell of resolution 4.
    record(MALLARD, 50.0, 12.0, dt.date(2020, 1, 1), uncertainty_m=90_000.0, resolution=2),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Frogs and ducks in Europe, tuna in the Atlantic."""
    made = World(tmp_path_factory.mktemp("gaps") / "catalog.duckdb", IMAGES, GapSettings())
    yield made
    made.catalog.close()


def visits_by_hand(cell: int, taxa: range) -> dict[tuple[dt.date, str | None], set[int]]:
    """The visits of a cell in which these taxa were recorded, with the species met."""
    found: dict[tuple[dt.date, str | None], set[int]] = {}
    for image in IMAGES:
        held = image.cell is not None and h3.get_resolution(image.cell) >= h3.get_resolution(cell)
        if held and image.taxon_id in taxa and image.observed_from is not None:
            assert image.cell is not None
            if h3.cell_to_parent(image.cell, h3.get_resolution(cell)) == cell:
                found.setdefault((image.observed_from, image.observer), set()).add(image.taxon_id)
    return found


def test_numbers_are_those_of_the_records(world: World) -> None:
    """Visits of the class, species of the family, last day: each cell against the records."""
    question = GapQuestion(taxa={HYLIDAE: 1.0}, shape=EUROPE, resolution=3, limit=500)
    ranking = world.survey.rank(question)
    assert ranking.target_group.taxon_id == AMPHIBIA
    assert ranking.notice is None
    searched = [gap for gap in ranking.gaps if gap.sampling.visits]
    assert len(searched) > 10
    for gap in searched:
        cell = int(gap.cell, 16)
        visits = visits_by_hand(cell, range(AMPHIBIA, BIRDS))
        tree_frogs = visits_by_hand(cell, range(HYLIDAE, RANIDAE))
        sampling = gap.sampling
        assert sampling.visits == len(visits)
        assert sampling.observers == len({observer for _, observer in visits})
        assert sampling.incidences == sum(map(len, tree_frogs.values()))
        assert sampling.species == len(set().union(*tree_frogs.values()))
        last = max(day for day, _ in visits)
        assert (sampling.last_day, sampling.days_since) == (last, (AS_OF - last).days)


def test_order_and_counts(world: World) -> None:
    """Best first; the states counted are those of the cells listed; a limit only cuts."""
    question = GapQuestion(taxa={AMPHIBIA: 1.0}, shape=EUROPE, resolution=4, limit=10_000)
    whole = world.survey.rank(question)
    assert whole.matching == len(whole.gaps)
    scores = [(gap.score.score, gap.score.richness_around) for gap in whole.gaps]
    assert scores == sorted(scores, reverse=True)
    for state in STATES:
        assert getattr(whole.cells, state) == sum(gap.state == state for gap in whole.gaps)
    assert whole.cells.no_data > 0
    assert whole.cells.insufficient > 0
    few = world.survey.rank(GapQuestion(taxa={AMPHIBIA: 1.0}, shape=EUROPE, resolution=4, limit=7))
    assert few.gaps == whole.gaps[:7]
    assert few.matching == whole.matching


def test_states_asked_for(world: World) -> None:
    """Somebody who wants cells without data gets those, in the same order."""
    whole = world.survey.rank(GapQuestion(taxa={AMPHIBIA: 1.0}, shape=EUROPE, limit=10_000))
    some = world.survey.rank(
        GapQuestion(
            taxa={AMPHIBIA: 1.0}, shape=EUROPE, limit=10_000, states=("no_data", "well_sampled")
        )
    )
    assert some.gaps == [gap for gap in whole.gaps if gap.state in {"no_data", "well_sampled"}]
    assert some.matching == len(some.gaps)
    assert some.cells == whole.cells


def test_a_cell_is_the_same_however_it_is_asked_for(world: World) -> None:
    """The list, the same list in another box, the whole earth and the page of one cell agree."""
    here = world.survey.rank(GapQuestion(taxa={HYLIDAE: 1.0}, shape=EUROPE, limit=10_000))
    triangle = Polygon.from_geojson([[[9, 48], [14, 48], [11, 52], [9, 48]]])
    there = world.survey.rank(GapQuestion(taxa={HYLIDAE: 1.0}, shape=triangle, limit=10_000))
    earth = world.survey.rank(GapQuestion(taxa={HYLIDAE: 1.0}, limit=10_000))
    everywhere = {gap.cell: gap for gap in here.gaps}
    assert len(there.gaps) > 5
    assert {gap.cell for gap in there.gaps} <= everywhere.keys()
    assert all(everywhere[gap.cell] == gap for gap in there.gaps)
    worldwide = {gap.cell: gap for gap in earth.gaps if gap.cell in everywhere}
    assert len(worldwide) > 50
    assert all(everywhere[cell] == gap for cell, gap in worldwide.items())
    for gap in there.gaps[:5]:
        assert world.details.explain(int(gap.cell, 16), HYLIDAE).gap == gap


def test_searched_is_not_unsearched(world: World) -> None:
    """Where frogs were recorded and tree frogs were not, the words must say searched."""
    ranking = world.survey.rank(GapQuestion(taxa={HYLIDAE: 1.0}, shape=EUROPE, limit=10_000))
    searched = [gap for gap in ranking.gaps if gap.sampling.visits and not gap.sampling.records]
    assert searched
    for gap in searched:
        assert gap.state != "no_data"
        assert gap.reason.startswith("Searched, not recorded:")
    for gap in ranking.gaps:
        assert "absent" not in gap.reason
        assert (gap.state == "no_data") == gap.reason.startswith("Not searched:")


@pytest.mark.parametrize(("taxon", "on"), [(AMPHIBIA, "land"), (FISH, "sea"), (ANIMALS, "land")])
def test_land_or_sea(world: World, taxon: int, on: str) -> None:
    """Frogs are not sought in the Atlantic, nor tuna in the Alps."""
    box = BoundingBox(-32.0, 38.0, 12.0, 48.0)
    ranking = world.survey.rank(
        GapQuestion(taxa={taxon: 1.0}, shape=box, limit=10_000, states=("no_data",))
    )
    assert ranking.lives.on == on
    shares = [gap.land_share for gap in ranking.gaps]
    assert shares
    if on == "land":
        assert min(shares) >= 0.1
    else:
        assert max(shares) <= 0.9


def test_no_records_at_all(tmp_path: Path) -> None:
    """A group without a record: every cell qualifies, nothing is expected, nothing divides by 0."""
    empty = World(tmp_path / "empty.duckdb", [ImageCase()], GapSettings())
    ranking = empty.survey.rank(GapQuestion(taxa={BIRDS: 1.0}, shape=EUROPE, limit=3))
    assert ranking.lives.on == "land and sea"
    assert ranking.lives.land_share is None
    assert [gap.score.score for gap in ranking.gaps] == [0.0, 0.0, 0.0]
    assert ranking.gaps[0].score.borrowed_from == "the whole atlas"
    assert ranking.notice is not None
    assert "no visit is known" in ranking.notice
    empty.catalog.close()


def test_a_record_without_a_day_is_no_visit(world: World) -> None:
    """It is known that somebody was there, not when: too little for an estimate."""
    box = BoundingBox(25.5, 64.0, 26.5, 65.0)
    ranking = world.survey.rank(GapQuestion(taxa={BIRDS: 1.0}, shape=box, limit=100))
    (gap,) = [gap for gap in ranking.gaps if gap.sampling.records]
    assert gap.state == "insufficient"
    assert (gap.sampling.visits, gap.sampling.slope, gap.sampling.days_since) == (0, None, None)
    assert "none of a known day" in gap.reason


def test_coarse_records_are_told(world: World) -> None:
    """A record too uncertain for a cell is in none of them and not forgotten."""
    fine = world.survey.rank(GapQuestion(taxa={BIRDS: 1.0}, shape=EUROPE, resolution=4))
    wide = world.survey.rank(GapQuestion(taxa={BIRDS: 1.0}, shape=EUROPE, resolution=2))
    assert (fine.coarse_records, wide.coarse_records) == (1, 0)


def test_weights_of_several_taxa(world: World) -> None:
    """Two families: counts add up, weights act on the score, the group is their class."""
    cell = h3.latlng_to_cell(50.0, 12.0, 3)
    shape = BoundingBox(11.9, 49.9, 12.1, 50.1)

    def gap(weights: dict[int, float]) -> tuple[float, int]:
        ranking = world.survey.rank(GapQuestion(taxa=weights, shape=shape, resolution=3))
        assert ranking.target_group.taxon_id == AMPHIBIA
        (found,) = [gap for gap in ranking.gaps if gap.cell == format_cell(cell)]
        return found.score.expected_new_species, found.sampling.species

    tree_frogs, true_frogs = gap({HYLIDAE: 1.0}), gap({RANIDAE: 1.0})
    both = gap({HYLIDAE: 1.0, RANIDAE: 0.5})
    assert both[0] == pytest.approx(tree_frogs[0] + 0.5 * true_frogs[0], abs=2e-4)
    assert both[1] == tree_frogs[1] + true_frogs[1]


def test_group_of_taxa_of_several_classes(world: World) -> None:
    """Frogs and ducks share no class: the effort is that of the lowest taxon that holds both."""
    assert world.survey.group_of([HYLIDAE, BIRDS]).taxon_id == ANIMALS
    assert world.survey.group_of([ANIMALS]).taxon_id == ANIMALS
    assert world.survey.group_of([MALLARD]).taxon_id == BIRDS
    assert world.survey.group_of([LIFE]).taxon_id == LIFE


@pytest.mark.parametrize(
    ("box", "least"),
    [(BoundingBox(178.0, -19.0, -178.0, -15.0), 20), (BoundingBox(-180.0, 88.0, 180.0, 90.0), 20)],
    ids=["antimeridian", "pole"],
)
def test_areas_at_the_seams(world: World, box: BoundingBox, least: int) -> None:
    """A box across the antimeridian or a pole has its cells, each once."""
    ranking = world.survey.rank(GapQuestion(taxa={FISH: 1.0}, shape=box, limit=10_000))
    cells = [gap.cell for gap in ranking.gaps]
    assert len(cells) == len(set(cells)) >= least
    if box.west > box.east:
        assert {gap.longitude > 0 for gap in ranking.gaps} == {True, False}


def test_refusals(world: World) -> None:
    """Too many cells, cells too fine and unknown taxa are named, not worked on."""
    with pytest.raises(InvalidQuery, match="coarser") as too_many:
        world.survey.rank(GapQuestion(taxa={AMPHIBIA: 1.0}, resolution=6))
    assert too_many.value.field == "resolution"
    with pytest.raises(InvalidQuery, match="from 0 to 7"):
        world.survey.rank(GapQuestion(taxa={AMPHIBIA: 1.0}, resolution=8, shape=EUROPE))
    with pytest.raises(NotFound):
        world.survey.rank(GapQuestion(taxa={99: 1.0}, shape=EUROPE))
