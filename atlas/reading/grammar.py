"""How questions are put in one language: words and phrase patterns, read from a TOML file.

docs/questions.md explains every table. Knows how patterns are matched, not what they mean.
Immutable once read: safe from any thread.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from atlas.errors import AtlasError
from atlas.reading.patterns import ANY_NUMBER, ANY_WORD, Pattern, Slot, compile_pattern, phrases
from atlas.reading.spans import Feature, Light, Season

PACKAGE_DATA = "atlas.reading.data"
YEAR = r"(?:1[7-9]|20)\d\d(?!\d)"
NUMBER = r"(?:\d{1,3}(?:[.,]\d{3})+(?!\d)|\d+(?:[.,]\d+)?)"
ISO_DAY = r"\d{4}-\d\d-\d\d"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?,?"
_LICENCE = r"cc[ -]?0(?:[ -]1\.0)?|cc[ -]?by(?:[ -](?:nc|sa|nd))*(?:[ -]v?\d(?:\.\d)?)?"
_NAME = r"[^\W_][\w'.-]*(?:\s+[^\W_][\w'.-]*){0,3}?"
_DIGITS = frozenset({ANY_NUMBER})
# Lists that are used beside the patterns: in ranges of months, and after a length.
_NEEDED_PHRASES = frozenset({"to", "away"})


class GrammarError(AtlasError):
    """A grammar file is missing something or cannot be read; names the file."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file
        self.problem = problem


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are refused."""


class Words(_Table, frozen=True, kw_only=True):
    """Lists of single words; see docs/questions.md."""

    function: frozenset[str]
    articles: frozenset[str]
    joins: frozenset[str]
    companions: frozenset[str]
    negations: frozenset[str]
    describing: frozenset[str]
    after_name: frozenset[str]
    after_long_name: frozenset[str]
    not_places: frozenset[str]
    not_names: frozenset[str]
    habitats: frozenset[str]


class Plural(_Table, frozen=True, kw_only=True):
    """Plurals that adding or taking away an s does not explain: plural to singular."""

    irregular: dict[str, str]


class Dates(_Table, frozen=True, kw_only=True):
    """How a date is written, as patterns."""

    forms: tuple[str, ...]


class Rule(_Table, frozen=True, kw_only=True):
    """Phrase patterns and the name of what they are read as."""

    reading: str
    patterns: tuple[str, ...]


class Grammar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One language's file."""

    language: str
    nouns_last: bool
    words: Words
    plural: Plural
    features: dict[Feature, tuple[str, ...]]
    units: dict[str, float]
    numbers: dict[str, float]
    months: dict[str, int]
    seasons: dict[Season, tuple[str, ...]]
    periods: dict[str, tuple[str, ...]]
    light: dict[Light, tuple[str, ...]]
    licences: dict[str, tuple[str, ...]]
    groups: dict[str, str]
    phrases: dict[str, tuple[str, ...]]
    dates: Dates
    rules: tuple[Rule, ...]

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """Every slot that a pattern of this file may name, except <source>."""
        quantity = rf"(?:{NUMBER}|(?:{_either(self.numbers)})(?!\w))"
        month = f"(?:{_either(self.months)})(?!\\w)"
        unit = f"(?:{_either(self.units)})(?!\\w)"
        length = rf"{quantity}\s*{unit}"
        joins, to = _either(self.words.joins), _either(self.phrases["to"])
        numeric = _DIGITS | {name.split()[0] for name in self.numbers}
        months = frozenset(self.months)
        found = {name: _named(listed) for name, listed in self.phrases.items()}
        found |= {
            "number": Slot(quantity, numeric, named=True),
            "length": Slot(length, numeric, named=True),
            "length_range": Slot(rf"{NUMBER}\s*-\s*{length}", _DIGITS, named=True),
            "year": Slot(YEAR, _DIGITS, named=True),
            "year_range": Slot(rf"{YEAR}\s*-\s*{YEAR}", _DIGITS, named=True),
            "decade": Slot(r"(?:1[7-9]|20)\d0s", _DIGITS, named=True),
            "day": Slot(_DAY, _DIGITS, named=True),
            "iso": Slot(ISO_DAY, _DIGITS, named=True),
            "month": Slot(month, months, named=True),
            "months": Slot(
                rf"{month}(?:(?:\s*,\s*|\s+(?:{joins})\s+){month})*", months, named=True
            ),
            "month_range": Slot(
                rf"{month}\s*(?:-|(?<=\s)(?:{to})\s)\s*{month}", months, named=True
            ),
            "name": Slot(_NAME, frozenset({ANY_WORD}), named=True),
            "licence_name": _also(_LICENCE, {"cc", "cc0", "ccby"}, _listed(self.licences)),
            "feature": _named(_listed(self.features)),
            "season": _named(_listed(self.seasons)),
            "period": _named(_listed(self.periods)),
            "light": _named(_listed(self.light)),
        }
        found["date"] = self._date_slot(found)
        return found

    def _date_slot(self, slots: Mapping[str, Slot]) -> Slot:
        forms = [compile_pattern(form, slots) for form in self.dates.forms]
        # The parts are read again from the text of the date, so their names are dropped here.
        regex = "|".join(re.sub(r"\?P<\w+>", "?:", form.regex.pattern) for form in forms)
        first = frozenset[str]().union(*(form.first_words for form in forms))
        return Slot(f"(?:{regex})", first, named=True)

    @cached_property
    def date_forms(self) -> tuple[re.Pattern[str], ...]:
        """The forms of a date, with their parts named."""
        return tuple(compile_pattern(form, self.slots).regex for form in self.dates.forms)

    def rules_for(self, source_names: Sequence[str]) -> tuple[tuple[str, Pattern], ...]:
        """Every pattern with its reading; `source_names` are the folded names of the sources."""
        slots = dict(self.slots)
        if source_names:
            slots["source"] = _named(source_names)
        found = [
            (rule.reading, compile_pattern(pattern, slots))
            for rule in self.rules
            if source_names or rule.reading != "source"
            for pattern in rule.patterns
        ]
        return (*found, ("light", compile_pattern("<light>", slots)))

    @cached_property
    def never_places(self) -> frozenset[str]:
        """Words of the language that are also names of small places."""
        words = self.words
        listed = (_listed(self.features), _listed(self.seasons), self.months, self.numbers)
        return words.not_places.union(
            words.function, words.describing, words.after_name, words.habitats, *listed
        )


def read_grammar(content: bytes, file: str) -> Grammar:
    """A grammar from a file's bytes; GrammarError names what is wrong."""
    try:
        grammar = msgspec.convert(tomllib.loads(content.decode()), Grammar)
        missing = _NEEDED_PHRASES - grammar.phrases.keys()
        if missing:
            raise GrammarError(file, f"phrases has no list {min(missing)!r}")
        grammar.rules_for(["source"])
    except (ValueError, KeyError, re.error) as error:
        # msgspec's and tomllib's errors are ValueErrors.
        raise GrammarError(file, str(error)) from error
    return grammar


def read_grammars(folder: Path | None = None) -> tuple[Grammar, ...]:
    """The grammars of this package, and of an operator's folder of *.toml, which replace them."""
    own = [
        entry for entry in resources.files(PACKAGE_DATA).iterdir() if entry.name.endswith(".toml")
    ]
    found = {
        entry.name: read_grammar(entry.read_bytes(), entry.name)
        for entry in sorted(own, key=lambda entry: entry.name)
    }
    if folder is not None:
        for path in sorted(folder.glob("*.toml")):
            found[path.name] = read_grammar(path.read_bytes(), str(path))
    return tuple(found.values())


def _listed(table: Mapping[Any, Sequence[str]]) -> tuple[str, ...]:
    return tuple(phrase for listed in table.values() for phrase in listed)


def _named(listed: Sequence[str]) -> Slot:
    return phrases(listed)._replace(named=True)


def _also(regex: str, first_words: set[str], listed: Sequence[str]) -> Slot:
    """A slot for an expression, or one of these phrases."""
    slot = phrases(listed)
    return Slot(f"(?:{regex}|{slot.regex})", slot.first_words | first_words, named=True)


def _either(names: Mapping[str, object] | Sequence[str] | frozenset[str]) -> str:
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return "|".join(r"\s+".join(map(re.escape, name.split())) for name in ordered)
