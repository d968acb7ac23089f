"""The judge of the demonstration's places: it must see a record that is not where it should be."""

from __future__ import annotations

import numpy as np
import pytest

from illustrated.place_questions import QUESTIONS, Record
from illustrated.raw_places import coast_m, river_m, zones
from indexer.layers.distances import RunningNearest, Spots
from indexer.layers.packaged import packaged

# Cusco, the coast at Malindi, and the middle of the Pacific.
CUSCO = Record(-13.53, -71.97, 50, 12)
MALINDI = Record(-3.22, 40.10, 50, 6)
NOWHERE = Record(0.0, -140.0, 50, 12)
HOLDS = {question.text.split()[-1]: question.holds for question in QUESTIONS}


@pytest.mark.parametrize("feature", ["river", "coast"])
def test_two_ways_to_a_distance_agree(feature: str) -> None:
    """Judge and indexer share no code: where they differ one of them is wrong."""
    random = np.random.default_rng(9)
    everywhere = random.uniform(-50, 65, 12), random.uniform(-179.9, 180, 12)
    # The Amazon and the Congo with their banks, islands and water.
    by_wide_rivers = np.array([(-2.4, -54.7), (-3.1, -59.9), (1.9, 20.9)])[
        random.integers(0, 3, 60)
    ]
    latitude, longitude = np.concatenate(
        [everywhere, by_wide_rivers.T + random.normal(0, 0.15, (2, 60))], axis=1
    )
    nearest = RunningNearest(Spots(latitude, longitude))
    for batch in packaged(feature).features():
        nearest.offer(batch, np.zeros(len(batch.geometry), np.int32))
    measured = {"river": river_m, "coast": coast_m}[feature]
    for at, metres in enumerate(nearest.distance_m()):
        if metres < 300_000:  # a flat map is no measure of oceans
            found = measured(float(latitude[at]), float(longitude[at]))
            assert found == pytest.approx(metres, rel=0.02, abs=50)
    assert (nearest.distance_m()[:12] < 300_000).sum() >= 4
    if feature == "river":
        assert 5 < np.count_nonzero(nearest.distance_m() == 0) < 55


def test_in_a_wide_river_is_near_it_and_on_an_island_is_on_land() -> None:
    """A judge that knows lines alone would call a frog in the floating meadows far from rivers."""
    in_the_amazon, in_lake_titicaca = (-2.35, -54.72), (-15.9, -69.4)
    assert river_m(*in_the_amazon) == 0
    assert river_m(*in_lake_titicaca) > 10_000


def test_records_that_are_where_they_should_be() -> None:
    """A judge that lets nothing pass would fail a server that is right."""
    assert HOLDS["season"](CUSCO)
    assert HOLDS["Kenya"](MALINDI)
    assert zones(*CUSCO[:2]) == {"America/Lima"}


@pytest.mark.parametrize(
    ("question", "record"),
    [
        ("rivers", NOWHERE),
        ("season", CUSCO._replace(month=7)),
        ("season", MALINDI),
        ("Kenya", MALINDI._replace(longitude=39.5)),
        ("Kenya", MALINDI._replace(uncertainty_m=30_000)),
        ("Kenya", CUSCO),
    ],
)
def test_records_that_are_elsewhere_are_seen(question: str, record: Record) -> None:
    """A judge that lets everything pass would prove nothing."""
    assert not HOLDS[question](record)


def test_elevation() -> None:
    """Highlands pass, lowlands do not."""
    pytest.importorskip("pvlib")
    assert HOLDS["m"](CUSCO)
    assert not HOLDS["m"](MALINDI)
