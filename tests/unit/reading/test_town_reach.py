"""How far towns reach: by their people, or by the box that an operator's table gives."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from atlas.reading.place_sources import read_gazetteer
from atlas.reading.places import Gazetteer, Place
from atlas.reading.town_reach import LEAST_REACH_KM, PEOPLE_PER_KM2, reach_m, with_reaches


@pytest.mark.parametrize(
    ("population", "density", "metres"),
    [
        (0, 3_000, 5_000),
        (100_000, 3_000, 5_000),
        (1_000_000, 3_000, 11_000),  # a disc of 333.3 km2 has a radius of 10.3 km
        (4_397_073, 3_000, 22_000),
        (1_000_000, 1_000, 18_000),
    ],
)
def test_a_disc_of_so_many_people(population: int, density: float, metres: int) -> None:
    """The formula is in the documentation; people reckon with it."""
    assert reach_m(population, density) == metres


def test_every_town_that_words_may_name_reaches_somewhere(gazetteer: Gazetteer) -> None:
    """A town without a reach would limit nothing, and its name would not say why."""
    towns = [place for place in gazetteer.places() if place.kind == "city"]
    assert len(towns) > 5_000
    for town in towns:
        assert town.reach_m is not None, town.id
        km = town.reach_m / 1_000
        people = math.pi * km**2 * PEOPLE_PER_KM2
        assert km == LEAST_REACH_KM or people >= town.population > people * (1 - 1 / km) ** 2
    others = [place for place in gazetteer.places() if place.kind != "city"]
    assert {place.reach_m for place in others} == {None}


def test_an_operators_box_goes_before_the_people(tmp_path: Path) -> None:
    """Who knows where a town ends corrects what the atlas supposes."""
    table = tmp_path / "places.csv"
    table.write_text(
        "id,names_en,countries,west,south,east,north\n"
        "city/184745,Nairobi Town,KE,36.65,-1.45,37.10,-1.16\n"
        "city/here,Hereham,KE,0.0,0.0,0.2,0.0\n"
        "city/nowhere,Nowhereham,KE,,,,\n",
        encoding="utf-8",
    )
    gazetteer = read_gazetteer(["en"], table, people_per_km2=500)
    nairobi, here, nowhere, mombasa = (
        gazetteer.get(f"city/{key}") for key in ("184745", "here", "nowhere", "186301")
    )
    assert nairobi is not None
    assert nairobi.name == "Nairobi"
    assert nairobi.reach_m == 37_000  # the south-east corner, 36.6 km from the town's point
    assert here is not None
    assert here.reach_m == 12_000  # a tenth of a degree of the equator is 11.13 km
    assert nowhere is not None
    assert nowhere.reach_m is None
    assert mombasa is not None
    assert mombasa.reach_m == reach_m(mombasa.population, 500)


def test_a_box_over_the_antimeridian_is_narrow() -> None:
    """Taken the long way, Suva would reach around the earth."""
    town = Place(
        id="city/1",
        kind="city",
        name="Taveuni",
        latitude=-16.8,
        longitude=180.0,
        box=(179.9, -16.9, -179.9, -16.7),
    )
    (found,) = with_reaches([town], PEOPLE_PER_KM2)
    assert found.reach_m == 16_000
