"""Reads a question: the spans that say where, when, what taxon, under which licence.

Deterministic, and pure but for the clock, which is passed in. It is given a lexicon of taxa, a
gazetteer and the sources of a bundle, and knows no catalog and no network. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from atlas.reading.candidates import Candidate
from atlas.reading.folded import FoldedText
from atlas.reading.grammar import Grammar, GrammarError
from atlas.reading.lexicon import TaxonLexicon
from atlas.reading.place_words import PlaceReader
from atlas.reading.places import Gazetteer, Place
from atlas.reading.rules import Phrase, RuleSet
from atlas.reading.spans import (
    Kind,
    LicenceMeant,
    LightMeant,
    Meaning,
    Near,
    SourceMeant,
    Span,
    TaxonMeant,
    Time,
    Within,
)
from atlas.reading.stray_places import stray_places
from atlas.reading.taxon_words import TaxonReader, TaxonWords
from atlas.reading.times import NEAR_EQUATOR, read_time, season_months

SURE, SEASON, EITHER_SEASON = 0.95, 0.9, 0.45
_PLACE_READINGS = frozenset(
    {"near_feature", "near_place", "near_coast_of", "at_place", "in_place"}
    | {"above", "below", "below_sea", "between"}
)
_TIME_READINGS = frozenset(
    {"during", "decade", "since", "after", "before", "until", "between_dates", "between_months"}
    | {"last_periods", "last_period", "since_last", "this_period", "season"}
)
READINGS = _PLACE_READINGS | _TIME_READINGS | {"light", "licence", "source"}
# Names of months and seasons are also parts of other names: "May flies", "winter wren".
_MUST_END = frozenset({"during", "season", "between_months", "light"})


class QuestionReader:
    """Reads questions about one bundle, in every language that it has a grammar for."""

    def __init__(
        self,
        grammars: Sequence[Grammar],
        lexicon: TaxonLexicon,
        gazetteer: Gazetteer,
        sources: Mapping[str, Sequence[str]],
    ) -> None:
        """`sources` has the names of each source by its key.

        GrammarError where a grammar has a rule that is read as nothing known.
        """
        for grammar in grammars:
            unknown = {rule.reading for rule in grammar.rules} - READINGS
            if unknown:
                problem = f"no reading is called {min(unknown)!r}; known are {sorted(READINGS)}"
                raise GrammarError(f"{grammar.language}.toml", problem)
        self._sources = {
            " ".join(FoldedText(name).text.split()): key
            for key, names in sources.items()
            for name in (key, *names)
            if FoldedText(name).words
        }
        self._gazetteer = gazetteer
        self._never = frozenset[str]().union(*(grammar.never_places for grammar in grammars))
        self._rules = [RuleSet(grammar, tuple(self._sources)) for grammar in grammars]
        self._places = {
            rules.grammar.language: PlaceReader(rules, gazetteer, self._never)
            for rules in self._rules
        }
        self._taxa = TaxonReader(lexicon, grammars)

    def read(self, text: str, today: date) -> tuple[Span, ...]:
        """The spans of a question, in its order; they never overlap."""
        question = FoldedText(text)
        if not question.words:
            return ()
        rules = self._spoken(question)
        grammars = [each.grammar for each in rules]
        found = list(self._candidates(question, rules, today))
        taken = [(each.first_word, each.next_word) for each in found]
        taxa = self._taxa.read(question, grammars, taken)
        free = [each for each in found if not any(_overlap(each, taxon) for taxon in taxa)]
        chosen = _longest(free)
        covered = {index for taxon in taxa for index in range(taxon.first, taxon.next)}
        covered.update(index for each in chosen for index in range(each.first_word, each.next_word))
        chosen += stray_places(question, self._gazetteer, grammars, self._never, covered)
        chosen = _with_seasons(chosen, self._gazetteer)
        chosen += [_taxon(question, taxon) for taxon in taxa if taxon.meant]
        return tuple(_span(question, each) for each in sorted(chosen, key=lambda each: each.start))

    def _spoken(self, question: FoldedText) -> list[RuleSet]:
        """The languages of which the question has words; all of them where it has none."""
        words = {word.text for word in question.words}
        spoken = [each for each in self._rules if words & each.grammar.words.function]
        return spoken or self._rules

    def _candidates(
        self, question: FoldedText, spoken: Sequence[RuleSet], today: date
    ) -> Iterable[Candidate]:
        for rules in spoken:
            for phrase in rules.phrases(question):
                if rules.is_denied(question, phrase.first_word):
                    continue
                candidate = self._candidate(question, rules, phrase, today)
                if candidate is not None:
                    yield candidate

    def _candidate(
        self, question: FoldedText, rules: RuleSet, phrase: Phrase, today: date
    ) -> Candidate | None:
        grammar = rules.grammar
        if phrase.reading in _PLACE_READINGS:
            return self._places[grammar.language].read(question, phrase)
        if phrase.reading in _MUST_END and not rules.ends_phrase(question, phrase.next_word):
            return None
        value: Meaning | None
        kind: Kind
        if phrase.reading == "light":
            named = phrase.part("light")
            period = next(key for key, listed in grammar.light.items() if named in listed)
            kind, value = "light", LightMeant(period=period)
        elif phrase.reading == "licence":
            kind, value = "licence", _licence(phrase.part("licence_name") or "", grammar)
        elif phrase.reading == "source":
            kind, value = "source", SourceMeant(source=self._sources[phrase.part("source") or ""])
        else:
            kind, value = "time", read_time(phrase, grammar, today)
        if value is None:
            return None
        start, end = phrase.match.span()
        return Candidate(start, end, phrase.first_word, phrase.next_word, kind, value, SURE)


def _licence(named: str, grammar: Grammar) -> LicenceMeant:
    for code, listed in grammar.licences.items():
        if named in listed:
            return LicenceMeant(licence=code)
    code = named.upper().replace(" ", "-")
    for written, meant in (("CC-0", "CC0"), ("CCBY", "CC-BY"), ("-V", "-")):
        code = code.replace(written, meant)
    return LicenceMeant(licence="CC0" if code.startswith("CC0") else code)


def _overlap(candidate: Candidate, taxon: TaxonWords) -> bool:
    return candidate.first_word < taxon.next and taxon.first < candidate.next_word


def _longest(found: Sequence[Candidate]) -> list[Candidate]:
    """Readings that do not overlap: the longer before the shorter, then the surer."""
    chosen: list[Candidate] = []
    for each in sorted(found, key=lambda one: (one.start - one.end, -one.confidence, one.start)):
        if all(each.end <= other.start or other.end <= each.start for other in chosen):
            chosen.append(each)
    return chosen


def _with_seasons(found: Sequence[Candidate], gazetteer: Gazetteer) -> list[Candidate]:
    """The months of every season named, by where the question is about."""
    places = [place for each in found for place in _places_of(each.value, gazetteer)]
    latitude = _latitude(places, gazetteer)
    return [
        _with_season(each, each.value, latitude) if isinstance(each.value, Time) else each
        for each in found
    ]


def _with_season(candidate: Candidate, time: Time, latitude: float | None) -> Candidate:
    if time.season is None:
        return candidate
    months = season_months(time.season, latitude)
    return candidate._replace(
        value=msgspec.structs.replace(months, first=time.first, last=time.last),
        confidence=EITHER_SEASON if months.months_south else SEASON,
    )


def _places_of(value: Meaning, gazetteer: Gazetteer) -> list[Place]:
    ids: list[str] = []
    if isinstance(value, Near) and value.place is not None:
        ids = [value.place]
    elif isinstance(value, Within):
        for kind in ("country", "region", "continent"):
            ids += [f"{kind}/{code}" for code in getattr(value, kind)]
        ids += value.place
    return [place for place in map(gazetteer.get, ids) if place is not None]


def _latitude(places: Sequence[Place], gazetteer: Gazetteer) -> float | None:
    """The mean latitude of places on one side of the equator or all near it; None otherwise."""
    latitudes: list[float] = []
    for place in places:
        known = place.latitude
        if known is None and place.countries:
            country = gazetteer.get(f"country/{place.countries[0]}")
            known = None if country is None else country.latitude
        wide = place.box is not None and place.box[1] < -NEAR_EQUATOR < NEAR_EQUATOR < place.box[3]
        if known is None or (wide and place.kind != "country"):
            return None
        latitudes.append(known)
    sides = {0 if abs(each) < NEAR_EQUATOR else 1 if each > 0 else -1 for each in latitudes}
    return sum(latitudes) / len(latitudes) if len(sides) == 1 else None


def _taxon(question: FoldedText, taxon: TaxonWords) -> Candidate:
    found = taxon.found
    return Candidate(
        question.words[taxon.first].start,
        question.words[taxon.next - 1].end,
        taxon.first,
        taxon.next,
        "taxon",
        TaxonMeant(taxon_id=found.taxon_id, scientific_name=found.scientific_name),
        taxon.confidence,
    )


def _span(question: FoldedText, candidate: Candidate) -> Span:
    start, end = question.typed(candidate.start, candidate.end)
    return Span(
        start=start,
        end=end,
        kind=candidate.kind,
        value=candidate.value,
        confidence=candidate.confidence,
    )
