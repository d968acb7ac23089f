"""A gazetteer: places by name in any of its languages, and completion of their names.

Knows no question and no file. Immutable once made: safe from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from atlas.reading.folded import FoldedText, folded_name

PlaceKind = Literal[
    "country", "region", "continent", "river", "lake", "sea", "mountains", "area", "island", "city"
]
Box = tuple[float, float, float, float]

LONGEST_NAME = 7  # words
# Names of this many letters or fewer are common words somewhere ("Ig", "Male", "Uri").
SHORT_NAME = 4
# A city of so many people is meant even by who types no capitals.
GREAT_CITY = 500_000
# The order in which places of one name are offered.
_RANKS: Mapping[PlaceKind, int] = {
    "continent": 0,
    "country": 1,
    "region": 2,
    "mountains": 3,
    "area": 3,
    "island": 3,
    "lake": 4,
    "sea": 4,
    "river": 5,
    "city": 6,
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A named place.

    `box` is west, south, east, north in degrees, west > east across the antimeridian. Of a country
    or region it is what its towns span, which is less than its territory.
    """

    id: str
    kind: PlaceKind
    name: str
    names: Annotated[dict[str, tuple[str, ...]], Meta(description="by language")] = {}
    countries: Annotated[tuple[str, ...], Meta(description="ISO 3166-1 codes")] = ()
    iso: Annotated[str | None, Meta(description="ISO 3166-1 or 3166-2 code of the place")] = None
    box: Box | None = None
    latitude: float | None = None
    longitude: float | None = None
    population: int = 0
    reach_m: Annotated[
        int | None, Meta(description="of a town: how far from its point it is taken to reach")
    ] = None
    origin: Annotated[str, Meta(description="whom to cite for where it is")] = ""
    well_known: bool = False

    @property
    def code(self) -> str:
        """The id without its kind, or all of it where the kind does not follow from the field."""
        return (
            self.id.split("/", 1)[1] if self.kind in {"country", "region", "continent"} else self.id
        )


class Found(NamedTuple):
    """Places of one name, and the last word of the name in the question."""

    last_word: int
    places: tuple[Place, ...]


class Gazetteer:
    """Places by folded name."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.base: Gazetteer = self  # what it was before places of a bundle were added
        self._by_id: dict[str, Place] = {place.id: place for place in places}
        self._by_name: dict[str, list[Place]] = {}
        # Short names in capitals ("US") are read only as typed: "us" is a word.
        self._capitals: set[str] = set()
        for place in self._by_id.values():
            for name in {place.name, *(name for listed in place.names.values() for name in listed)}:
                self._add(name, place)
        self._sorted_names = sorted(self._by_name)

    def _add(self, name: str, place: Place) -> None:
        folded = folded_name(name)
        if not folded:
            return
        here = self._by_name.setdefault(folded, [])
        if place not in here:
            here.append(place)
        if name.isupper() and len(folded.replace(" ", "")) <= SHORT_NAME:
            self._capitals.add(folded)

    def with_places(self, more: Iterable[Place]) -> Gazetteer:
        """A gazetteer with further places; those whose ids are known are replaced.

        About seven microseconds a place.
        """
        added = list(more)
        if not added:
            return self
        whole = Gazetteer([*self._by_id.values(), *added])
        whole.base = self
        return whole

    def __len__(self) -> int:
        """The number of places."""
        return len(self._by_id)

    def places(self) -> Iterable[Place]:
        """Every place."""
        return self._by_id.values()

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages that some place has a name in."""
        return frozenset(language for place in self.places() for language in place.names)

    def get(self, place_id: str) -> Place | None:
        """A place by its id."""
        return self._by_id.get(place_id)

    def named(self, name: str) -> tuple[Place, ...]:
        """Places of exactly this name, in any language."""
        return tuple(self._by_name.get(folded_name(name), ()))

    def longest_at(
        self,
        question: FoldedText,
        first: int,
        never: frozenset[str] = frozenset(),
        *,
        loosely: bool = False,
    ) -> Found | None:
        """The longest name of a place that begins with a word; None where none does.

        A one-word name in `never` is passed over, unless it is that of a great city and typed with
        a capital: "Lagos" is more than lakes in Spanish. Names that are short, or of towns and of
        little known regions, count only where they were typed with a capital, unless `loosely`.
        """
        words = question.words
        reach = first
        while reach + 1 < min(len(words), first + LONGEST_NAME) and _joined(question, reach):
            reach += 1
        for last in range(reach, first - 1, -1):
            name = " ".join(word.text for word in words[first : last + 1])
            places = self._by_name.get(name)
            if places is None:
                continue
            if last == first and name in never and not _is_great(places, question, first):
                continue
            meant = tuple(places) if loosely else self._meant(places, name, question, first, last)
            if meant:
                return Found(last, meant)
        return None

    def _meant(
        self, places: Sequence[Place], name: str, question: FoldedText, first: int, last: int
    ) -> tuple[Place, ...]:
        if name in self._capitals:
            return tuple(places) if question.in_capitals(first, last) else ()
        if question.is_capital(first):
            return tuple(places)
        return tuple(
            place
            for place in places
            if place.well_known
            or (place.kind == "city" and place.population >= GREAT_CITY)
            or place.kind == "country"
            or (place.kind == "region" and len(name) > 2 * SHORT_NAME)
        )

    def complete(self, typed: str, limit: int) -> list[Place]:
        """At most `limit` places that have a name with this beginning, each once.

        Whole names come first, then continents and countries before regions, named areas and
        towns; among equals the larger population.
        """
        folded = folded_name(typed)
        if not folded:
            return []
        found: dict[str, tuple[bool, Place]] = {}
        for index in range(bisect_left(self._sorted_names, folded), len(self._sorted_names)):
            name = self._sorted_names[index]
            if not name.startswith(folded):
                break
            for place in self._by_name[name]:
                whole = name == folded or found.get(place.id, (False,))[0]
                found[place.id] = (whole, place)
        ordered = sorted(
            found.values(),
            key=lambda pair: (
                not pair[0],
                _RANKS[pair[1].kind],
                -pair[1].population,
                pair[1].name,
                pair[1].id,
            ),
        )
        return [place for _, place in ordered[:limit]]


def _is_great(places: Sequence[Place], question: FoldedText, word: int) -> bool:
    """Whether a word with a capital is the name of a great city."""
    return question.is_capital(word) and any(place.population >= GREAT_CITY for place in places)


def _joined(question: FoldedText, word: int) -> bool:
    """Whether a name may run over the gap after a word: blanks, hyphens, dots, apostrophes."""
    return not question.between(word).strip(".'-")
