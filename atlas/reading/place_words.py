"""What is said of place: features, named places, lists of them, elevation.

Which place a name means where there are several follows fixed rules: in docs/questions.md. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from atlas.reading.candidates import Candidate
from atlas.reading.folded import FoldedText
from atlas.reading.places import Found, Gazetteer, Place
from atlas.reading.quantities import metres_of
from atlas.reading.rules import Phrase, RuleSet
from atlas.reading.spans import Elevation, Feature, Kind, Meaning, Near, Within

# How near is near where nobody says so. A named place is taken from its edge or its centre.
DEFAULT_WITHIN_M: Mapping[Feature, int] = {
    "river": 1_000,
    "lake": 1_000,
    "coast": 5_000,
    "place": 25_000,
}
# Streams of order 5 and above: what people call a river rather than a stream.
LARGE_RIVER_ORDER = 5
HIGHEST_M = 9_000
# "Over 30 m" is rather a height than an elevation.
DOUBTFUL_ELEVATION_M = 100
_WATERS: Mapping[str, Feature] = {"river": "river", "lake": "lake", "sea": "coast"}
SURE, LIKELY, UNSURE, DOUBTFUL = 0.95, 0.85, 0.6, 0.4


class _Named(NamedTuple):
    """Places named one after another; each may still be several."""

    first_word: int
    last_word: int
    choices: tuple[tuple[Place, ...], ...]


class PlaceReader:
    """Reads the place phrases of one grammar."""

    def __init__(self, rules: RuleSet, gazetteer: Gazetteer, never: frozenset[str]) -> None:
        """`never` are words that are no place's name by themselves, in any language read."""
        self._rules = rules
        self._grammar = rules.grammar
        self._gazetteer = gazetteer
        self._never = never
        self._features = {
            phrase: feature
            for feature, listed in self._grammar.features.items()
            for phrase in listed
        }

    def read(self, question: FoldedText, phrase: Phrase) -> Candidate | None:
        """The place or elevation that a phrase states, if it states one."""
        if phrase.ends_with_place:
            return self._named(question, phrase)
        value = self._value(question, phrase)
        if value is None or not self._rules.ends_phrase(question, phrase.next_word):
            return None
        kind: Kind = "elevation" if isinstance(value, Elevation) else "near"
        low = value.min_m if isinstance(value, Elevation) else None
        doubtful = low is not None and 0 < low < DOUBTFUL_ELEVATION_M
        return Candidate(
            phrase.match.start(),
            phrase.match.end(),
            phrase.first_word,
            phrase.next_word,
            kind,
            value,
            DOUBTFUL if doubtful else SURE,
        )

    def _value(self, question: FoldedText, phrase: Phrase) -> Near | Elevation | None:
        if phrase.reading == "near_feature":
            return self._feature(phrase)
        if phrase.reading == "near_coast_of":
            seas = [
                place
                for place in self._gazetteer.named(phrase.part("name") or "")
                if place.kind == "sea"
            ]
            if not seas:
                return None
            return Near(feature="coast", within_m=self._within_m(phrase, "coast"), place=seas[0].id)
        if phrase.reading == "below_sea":
            return Elevation(max_m=0)
        return self._elevation(question, phrase)

    def _feature(self, phrase: Phrase) -> Near:
        feature = self._features.get(phrase.part("feature") or "", "coast")
        large = phrase.part("large") or phrase.part("larger")
        return Near(
            feature=feature,
            within_m=self._within_m(phrase, feature),
            min_order=LARGE_RIVER_ORDER if large and feature == "river" else None,
        )

    def _within_m(self, phrase: Phrase, feature: Feature) -> int:
        length = phrase.part("length")
        return DEFAULT_WITHIN_M[feature] if length is None else self._metres(length)

    def _metres(self, length: str, unit_of: str | None = None) -> int:
        return round(metres_of(length, self._grammar, unit_of=unit_of))

    def _elevation(self, question: FoldedText, phrase: Phrase) -> Elevation | None:
        lengths = self._lengths(phrase)
        following = question.words[phrase.next_word : phrase.next_word + 1]
        away = {first.split()[0] for first in self._grammar.phrases["away"]}
        if not lengths or max(lengths) > HIGHEST_M or any(word.text in away for word in following):
            return None
        if phrase.reading == "above":
            return Elevation(min_m=lengths[0])
        if phrase.reading == "below":
            return Elevation(max_m=lengths[0])
        if len(lengths) < 2 or lengths[0] > lengths[1]:
            return None
        return Elevation(min_m=lengths[0], max_m=lengths[1])

    def _lengths(self, phrase: Phrase) -> list[int]:
        spread = phrase.part("length_range")
        if spread is not None:
            low, _, high = spread.partition("-")
            return [self._metres(low.strip(), high.strip()), self._metres(high.strip())]
        length = phrase.part("length") or ""
        number, second = phrase.part("number"), phrase.part("length", 2)
        if number is not None:
            return [self._metres(number, length), self._metres(length)]
        return [self._metres(each) for each in (length, second) if each]

    def _named(self, question: FoldedText, phrase: Phrase) -> Candidate | None:
        named = self._places(question, phrase)
        if named is None:
            return None
        near = phrase.reading == "near_place"
        if not near and phrase.reading != "at_place":
            named = self._more(question, named)
        value, confidence = _meaning(named.choices, near=near, at=phrase.reading == "at_place")
        if isinstance(value, Near) and phrase.part("length") is not None:
            metres = self._within_m(phrase, value.feature)
            value = Near(feature=value.feature, within_m=metres, place=value.place)
        ends = self._rules.ends_phrase(question, named.last_word + 1)
        if not ends and question.words[named.last_word + 1].text not in (
            self._grammar.words.habitats
        ):
            return None
        return Candidate(
            phrase.match.start(),
            question.words[named.last_word].end,
            phrase.first_word,
            named.last_word + 1,
            "near" if isinstance(value, Near) else "within",
            value,
            confidence,
            (named.first_word, named.last_word + 1),
        )

    def _places(self, question: FoldedText, phrase: Phrase) -> _Named | None:
        """The place after a phrase, an article before it taken with it where it has one."""
        first = phrase.next_word
        if first >= len(question.words) or question.between(first - 1):
            return None
        starts = [first]
        if question.words[first - 1].text in self._grammar.words.articles:
            starts.insert(0, first - 1)  # "en El Salvador"
        for start in starts:
            named = self._place_at(question, start)
            if named is not None and named.last_word >= first:
                return named
        return None

    def _place_at(self, question: FoldedText, first: int) -> _Named | None:
        """The place named at a word, with the larger place that may follow it."""
        loosely = self._gazetteer.longest_at(question, first, self._never, loosely=True)
        if loosely is None:
            return None
        larger = self._larger(question, loosely.last_word)
        if larger is not None:
            inside = tuple(
                place
                for place in loosely.places
                if any(_lies_in(place, other) for other in larger.places)
            )
            if inside:  # "Córdoba, Argentina"
                return _Named(first, larger.last_word, (inside,))
        found = self._gazetteer.longest_at(question, first, self._never)
        if found is None:
            return None
        if larger is not None and all(place.kind == "city" for place in found.places):
            # "Paris, Texas" is too small to be listed, and lies in the larger place.
            return _Named(first, larger.last_word, (larger.places,))
        return _Named(first, found.last_word, (found.places,))

    def _larger(self, question: FoldedText, word: int) -> Found | None:
        """The country or region that follows a word, with or without a comma between."""
        if question.between(word) not in {"", ","} or word + 1 >= len(question.words):
            return None
        found = self._gazetteer.longest_at(question, word + 1, self._never)
        if found is None:
            return None
        places = tuple(place for place in found.places if place.kind in {"country", "region"})
        return Found(found.last_word, places) if places else None

    def _more(self, question: FoldedText, named: _Named) -> _Named:
        """With the places listed after it: "Peru, Ecuador and Colombia"."""
        joins = self._grammar.words.joins
        while named.last_word + 1 < len(question.words):
            gap = question.between(named.last_word)
            following = named.last_word + 1
            joined = question.words[following].text in joins
            if gap not in {"", ","} or not (joined or gap == ","):
                break
            start = following + joined
            if start < len(question.words) and question.words[start].text in (
                self._grammar.words.articles
            ):
                start += 1
            further = self._place_at(question, start) if start < len(question.words) else None
            if further is None or not _areas(further.choices[0]):
                break
            named = _Named(named.first_word, further.last_word, (*named.choices, *further.choices))
        return named


def _lies_in(place: Place, larger: Place) -> bool:
    if place.id == larger.id or larger.kind not in {"country", "region"}:
        return False
    if larger.kind == "country":
        return larger.iso in place.countries
    if place.kind != "city" or larger.box is None or place.latitude is None:
        return False
    west, south, east, north = larger.box
    return (
        place.countries == larger.countries
        and south <= place.latitude <= north
        and west <= (place.longitude or 0.0) <= east
    )


def _areas(places: Sequence[Place]) -> tuple[Place, ...]:
    """The places that one can be in, without towns where there is anything else.

    Little known regions give way to anything else of their name, and a region to the country it
    lies in; what is then still of one name is all meant.
    """
    areas = [place for place in places if place.kind not in {"city", "river"}]
    if any(place.kind != "region" for place in areas):
        areas = [place for place in areas if place.kind != "region" or place.well_known]
    countries = {place.iso for place in areas if place.kind == "country"}
    kept = tuple(
        place
        for place in areas
        if place.kind != "region" or not countries.intersection(place.countries)
    )
    cities = sorted(
        (place for place in places if place.kind == "city"), key=lambda city: -city.population
    )
    return kept or tuple(cities[:1])


def within_of(choices: Sequence[Place]) -> Within:
    """The value that means any of these places."""
    listed: dict[str, list[str]] = {"country": [], "region": [], "continent": [], "place": []}
    for place in choices:
        listed[place.kind if place.kind in listed else "place"].append(place.code)
    found = {field: tuple(sorted(set(codes))) for field, codes in listed.items()}
    return msgspec.convert(found, Within)


def confidence_of(choices: Sequence[Place]) -> float:
    """How sure it is that a name means these places."""
    if len(choices) > 1:
        return UNSURE
    place = choices[0]
    return LIKELY if place.kind == "city" or not _sure(place) else SURE


def _sure(place: Place) -> bool:
    return place.well_known or place.kind in {"country", "continent"}


def _meaning(
    choices: Sequence[tuple[Place, ...]], *, near: bool, at: bool
) -> tuple[Meaning, float]:
    """What to be near or in, and how sure that is."""
    first = choices[0]
    areas = [_areas(places) for places in choices]
    waters = [place for place in first if place.kind in _WATERS]
    if waters and (near or at or not areas[0]):
        feature = _WATERS[waters[0].kind]
        value = Near(feature=feature, within_m=DEFAULT_WITHIN_M[feature], place=waters[0].id)
        return value, SURE if len(waters) == 1 else UNSURE
    if near:
        best = min(first, key=_as_landmark)
        value = Near(feature="place", within_m=DEFAULT_WITHIN_M["place"], place=best.id)
        return value, LIKELY
    meant = [place for places in areas for place in places]
    return within_of(meant), min(confidence_of(places) for places in areas)


def _as_landmark(place: Place) -> tuple[int, int]:
    """Towns before all else, the largest first: "near Lima" is near the town."""
    order: Callable[[str], int] = ("city", "island", "mountains", "area", "region", "country").index
    kind = place.kind if place.kind != "continent" else "country"
    return order(kind), -place.population
