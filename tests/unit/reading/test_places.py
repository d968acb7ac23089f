"""The gazetteer: names in several languages, completion, and tables of an operator's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.reading.folded import FoldedText
from atlas.reading.place_sources import PlacesError, read_gazetteer, read_table, region_names
from atlas.reading.places import Gazetteer

HEADER = "id,names_en,names_es,countries,west,south,east,north\n"


@pytest.mark.parametrize(
    ("name", "place_id"),
    [
        ("Costa Rica", "country/CR"),
        ("kenia", "country/KE"),
        ("PERU", "country/PE"),
        ("Türkiye", "country/TR"),
        ("Ivory Coast", "country/CI"),
        ("Andalusia", "region/ES-AN"),
        ("Asturias", "region/ES-AS"),
        ("British Columbia", "region/CA-BC"),
        ("Nueva Gales del Sur", "region/AU-NSW"),
        ("Centroamérica", "continent/central-america"),
        ("rio amazonas", "river/amazon"),
        ("Lago Titicaca", "lake/titicaca"),
        ("Londres", "city/2643743"),
    ],
)
def test_places_by_name(gazetteer: Gazetteer, name: str, place_id: str) -> None:
    """Case, accents and language do not matter to who asks."""
    assert place_id in [place.id for place in gazetteer.named(name)]


def test_every_place_makes_sense(gazetteer: Gazetteer) -> None:
    """A box upside down or a missing name would show only where somebody asks for it."""
    for place_id in ("country/FJ", "country/US", "continent/oceania", "sea/pacific"):
        assert gazetteer.get(place_id) is not None, place_id
    for listed in gazetteer._by_name.values():
        for place in listed:
            assert place.name.strip()
            assert place.id.startswith(f"{place.kind}/")
            if place.box is not None:
                west, south, east, north = place.box
                assert -180 <= west <= 180
                assert -180 <= east <= 180
                assert -90 <= south <= north <= 90
            if place.latitude is not None:
                assert -90 <= place.latitude <= 90


def test_countries_across_the_antimeridian_are_narrow(gazetteer: Gazetteer) -> None:
    """Fiji is not a belt around the earth."""
    fiji = gazetteer.get("country/FJ")
    assert fiji is not None
    assert fiji.box is not None
    assert (fiji.box[2] - fiji.box[0]) % 360 < 10


def test_completion(gazetteer: Gazetteer) -> None:
    """Countries come before towns that begin alike, whole names before longer ones."""
    assert gazetteer.complete("cos", 3)[1].id == "country/CR"
    assert gazetteer.complete("peru", 1)[0].id == "country/PE"
    assert {place.id for place in gazetteer.complete("georgia", 2)} == {
        "country/GE",
        "region/US-GA",
    }
    assert gazetteer.complete("  ", 5) == []
    assert gazetteer.complete("zzzz", 5) == []
    assert len(gazetteer.complete("s", 7)) == 7


def test_an_operators_table_adds_places_and_names(tmp_path: Path) -> None:
    """Reserves and valleys that users name are known only to who runs the atlas."""
    table = tmp_path / "places.csv"
    table.write_text(
        HEADER + "area/la-selva,La Selva Station,Estación La Selva,CR,-84.1,10.3,-83.9,10.5\n"
        "country/CR,Ticoland,,,,,,\n",
        encoding="utf-8",
    )
    gazetteer = read_gazetteer(["en", "es"], table)
    assert [place.id for place in gazetteer.named("estacion la selva")] == ["area/la-selva"]
    assert [place.id for place in gazetteer.named("ticoland")] == ["country/CR"]
    assert [place.id for place in gazetteer.named("Costa Rica")] == ["country/CR"]
    found = gazetteer.longest_at(FoldedText("frogs at la selva station"), 2)
    assert found is not None
    assert found.last_word == 4


@pytest.mark.parametrize(
    "row",
    [
        "castle/x,X,,,,,,",
        "area/x,,,,,,,",
        "area/x,X,,,1,2,,4",
        "area/x,X,,,a,b,c,d",
        "area/x,X,,,1,2,3,4,5",
    ],
)
def test_faults_of_a_table_name_the_line(row: str) -> None:
    """A row that was dropped silently would be looked for in vain."""
    with pytest.raises(PlacesError, match=r"mine\.csv, line 3"):
        list(read_table(f"{HEADER}area/good,Good,,,,,,\n{row}\n", "mine.csv"))


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("Asturias, Principado de", ("Asturias", "Principado de Asturias")),
        ("Catalunya [Cataluña]", ("Catalunya", "Cataluña")),
        ("Stockholms län [SE-01]", ("Stockholms",)),
        ("Ilocos (Region I)", ("Ilocos",)),
        ("Anhui Sheng", ("Anhui",)),
    ],
)
def test_names_of_regions_as_people_say_them(written: str, names: tuple[str, ...]) -> None:
    """Nobody types the brackets of ISO 3166."""
    assert region_names(written) == names
