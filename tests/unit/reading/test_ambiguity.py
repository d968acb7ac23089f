"""Names that are also places, and words that are also names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.reading.conftest import Read


def kinds(spans: list[dict[str, Any]]) -> dict[str, str]:
    """Words by kind; for questions with one span of a kind."""
    return {span["kind"]: span["words"] for span in spans}


@pytest.mark.parametrize(
    ("text", "taxon"),
    [
        ("Java sparrow", "Lonchura oryzivora"),
        ("Amazon parrots", "Amazona"),
        ("a river otter", "Lontra canadensis"),
        ("sea turtles", "Cheloniidae"),
        ("coast redwood", "Sequoia sempervirens"),
        ("Brazil nut", "Bertholletia excelsa"),
        ("Virginia opossum", "Didelphis virginiana"),
        ("water lily", "Nymphaeaceae"),
        ("mountain lion", "Puma concolor"),
        ("night heron", "Nycticorax"),
        ("May fly", "Ephemeroptera"),
        ("turkey", "Meleagris"),
        ("gorrión de Java", "Lonchura oryzivora"),
        ("nutria de río", "Lontra longicaudis"),
    ],
)
def test_a_taxons_name_wins_over_the_place_in_it(read: Read, text: str, taxon: str) -> None:
    """Read as a place, the name would hide every photo of the taxon elsewhere."""
    spans = read(text)
    assert [(span["kind"], span["value"]) for span in spans] == [
        ("taxon", {"scientific_name": taxon})
    ]


def test_a_place_with_its_preposition_wins_over_the_taxon(read: Read) -> None:
    """The country after "in" is no bird, and the turkeys before it are."""
    assert kinds(read("turkeys in Turkey")) == {"taxon": "turkeys", "within": "in Turkey"}
    assert kinds(read("in turkey")) == {"within": "in turkey"}


def test_the_same_words_without_the_taxon_in_the_table_are_no_place(read: Read) -> None:
    """A name that the table lacks must not become a place for that."""
    for text in ("Guinea fowl", "Panama hat", "Jerusalem artichoke", "Queen of Spain fritillary"):
        assert read(text) == [], text


@pytest.mark.parametrize(
    "text",
    [
        "a large white flower",
        "lion fish",
        "peacock feathers",
        "jaguar car",
        "something orange and fluffy",
        "flowers with bees",
        "spider monkey",
    ],
)
def test_words_of_a_name_that_name_something_else_are_left(read: Read, text: str) -> None:
    """A filter that nobody meant hides what was asked for, and nothing tells why."""
    assert not [span for span in read(text) if span["kind"] == "taxon"]


def test_only_the_subject_is_a_taxon_and_what_is_joined_to_it(read: Read) -> None:
    """A snake that eats a frog is a photo of a snake."""
    assert [span["words"] for span in read("snakes eating frogs")] == ["snakes"]
    joined = read("a frog, a toad and a salamander")
    assert [span["words"] for span in joined] == ["frog", "toad", "salamander"]


def test_denied_places_are_left(read: Read) -> None:
    """Read without its "not", the question would be answered with its contrary."""
    for text in ("not near rivers", "birds outside Brazil", "birds far from rivers", "no in Peru"):
        assert not [span for span in read(text) if span["kind"] in {"near", "within"}], text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("birds in Georgia", {"country": ["GE"], "region": ["US-GA"]}),
        ("birds in Georgia, USA", {"region": ["US-GA"]}),
        ("birds in Paris, Texas", {"region": ["US-TX"]}),
        ("birds in Buffalo, New York", {"place": ["city/5110629"]}),
        ("birds in Niger", {"country": ["NE"]}),
        ("birds in the Amazon", {"place": ["area/amazonia"]}),
        ("ranas en El Salvador", {"country": ["SV"]}),
        ("birds in san josé, costa rica", {"region": ["CR-SJ"]}),
        ("birds in Peru, Ecuador and Colombia", {"country": ["CO", "EC", "PE"]}),
    ],
)
def test_one_name_of_several_places(read: Read, text: str, value: dict[str, Any]) -> None:
    """What is meant follows the rules of docs/questions.md, not the order of a table."""
    assert [span["value"] for span in read(text) if span["kind"] == "within"] == [value]


def test_water_by_name_is_near_or_in(read: Read) -> None:
    """On the Niger is a river's bank; in Lake Victoria is in the lake, at it is by it."""
    river = {"feature": "river", "within_m": 1000, "place": "river/niger"}
    assert read("frogs along the Niger")[-1]["value"] == river
    assert read("fish in Lake Victoria")[-1]["value"] == {"place": ["lake/victoria"]}
    assert read("fish at Lake Victoria")[-1]["value"]["feature"] == "lake"


def test_capitals_tell_small_places_from_words(read: Read) -> None:
    """Without capitals "us" and "nice" are words, with them the US and Nice are places."""
    assert not [span for span in read("show us birds in bar") if span["kind"] == "within"]
    assert kinds(read("birds in the US"))["within"] == "in the US"
    assert "within" not in kinds(read("birds in nice light"))


def test_a_height_is_no_elevation(read: Read) -> None:
    """A tall tree may stand at sea level."""
    assert read("trees over 30 m tall") == []
    assert not [
        span for span in read("birds more than 500 m from a river") if span["kind"] == "elevation"
    ]
