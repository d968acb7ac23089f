"""The page's words: every language has all of them, and every sentence that the server writes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import pytest

from atlas.api import problems, questions
from atlas.api.towns import settled
from atlas.geo.layers import Layers as PlaceLayers
from atlas.reading.places import Gazetteer, Place
from atlas.reading.spans import Within
from atlas.species import legend
from atlas.species.gap_words import Facts, Nearby, reason
from atlas.species.gaps import MEANINGS, SamplingState
from atlas.species.layers import LAYERS
from atlas.species.range import WORDING
from tests.conftest import REPOSITORY

WORDS = REPOSITORY / "web" / "words"
PAGE_LANGUAGES = {"es"}
_VALUE = re.compile(r"\{\w*\}")


def read(name: str) -> dict[str, str]:
    """A file of words."""
    found: dict[str, str] = json.loads((WORDS / name).read_text(encoding="utf-8"))
    return found


def translated(sentence: str, answers: dict[str, str]) -> str | None:
    """The sentence by the page's rule (web/src/told.ts); None where there are no words for it."""
    for pattern, words in answers.items():
        names = re.findall(r"\{(\w+)\}", pattern)
        literal = "(.+?)".join(map(re.escape, _VALUE.split(pattern)))
        found = re.fullmatch(literal, sentence, re.DOTALL)
        if found:
            values = {
                name: translated(value, answers) or value
                for name, value in zip(names, found.groups(), strict=True)
            }
            return words.format(**values)
    return None


def not_applied() -> Iterator[str]:
    """Every reason why words do not limit a search, with a letter where a value stands."""
    for path in sorted((REPOSITORY / "atlas" / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "NotApplied"
            ):
                (message,) = node.args
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "x"
                    for part in (
                        message.values if isinstance(message, ast.JoinedStr) else [message]
                    )
                )


def reasons() -> Iterator[str]:
    """A reason of every form that a cell can have."""
    near = Nearby(
        rings=3, cells=36, visited=2, visits=7, species_a_visit=4.2, assessed=1, richness=12.0
    )
    alone = Nearby(
        rings=3, cells=36, visited=0, visits=0, species_a_visit=None, assessed=0, richness=None
    )
    poor = Nearby(
        rings=3, cells=36, visited=1, visits=1, species_a_visit=1.0, assessed=0, richness=None
    )
    sampled: tuple[tuple[SamplingState, int, int, int, float | None], ...] = (
        ("no_data", 0, 0, 0, None),
        ("insufficient", 1, 0, 0, None),
        ("insufficient", 1234, 3, 0, None),
        ("insufficient", 5, 3, 2, None),
        ("under_sampled", 50, 30, 12, 4.0),
        ("well_sampled", 500, 300, 12, 0.1),
    )
    for state, records, visits, species, unseen in sampled:
        for nearby, first in ((near, 2.0), (poor, 2.0), (alone, 2.0), (alone, 0.0)):
            for days in (None, 1.0, 40.0, 4000.0):
                yield reason(
                    Facts(
                        what="Hyla",
                        group="Amphibia",
                        state=state,
                        records=records,
                        visits=visits,
                        species=species,
                        coverage=0.9 if unseen is not None else None,
                        unseen=unseen,
                        days_since=days,
                        first_visit=first,
                        borrowed_from="the region" if first else "the whole atlas",
                        expected_new=1.5,
                        nearby=nearby,
                    )
                )


def towns_told() -> Iterator[str]:
    """What is supposed of one town, of several, and where a region has no bounds."""
    towns = [
        Place(id=f"city/{name}", kind="city", name=name, latitude=0, longitude=0, reach_m=9_000)
        for name in ("Lima", "Cusco", "Puno")
    ]
    region = Place(id="region/PE-LIM", kind="region", name="Lima")
    gazetteer = Gazetteer([*towns, region])
    for several in (1, 2, 3):
        named = Within(place=tuple(town.id for town in towns[:several]))
        yield settled(named, PlaceLayers(), gazetteer).note or ""
    yield settled(Within(region=("PE-LIM",)), PlaceLayers(), gazetteer).note or ""


def told() -> Iterator[str]:
    """The other sentences that the page shows."""
    yield from towns_told()
    yield from ("switched off", questions.NOTHING_THERE, WORDING, legend.NOT_SEARCHED)
    yield from MEANINGS.values()
    yield from (layer.title for layer in LAYERS.values())
    yield from (kind.title for kind in (*problems.KINDS.values(), problems.INTERNAL))
    yield from (kind.title for kind in problems.PICTURE_KINDS.values())
    yield from ("1,000 or more", "3 to 9", "below 50%", "50% to 70%")


@pytest.mark.parametrize("language", sorted(PAGE_LANGUAGES))
def test_every_language_has_every_word(language: str) -> None:
    """A word that is missing shows as a hole in the page; a lost value makes a sentence untrue."""
    english, other = read("en.json"), read(f"{language}.json")
    assert set(english) == set(other)
    for key, words in english.items():
        assert sorted(_VALUE.findall(words)) == sorted(_VALUE.findall(other[key])), key
    for sentence, words in read(f"{language}_answers.json").items():
        assert sorted(_VALUE.findall(sentence)) == sorted(_VALUE.findall(words)), sentence


@pytest.mark.parametrize("language", sorted(PAGE_LANGUAGES))
def test_every_sentence_of_the_server_is_translated(language: str) -> None:
    """A page in two languages at once is hard to read; new sentences need words here."""
    answers = read(f"{language}_answers.json")
    asked = [*not_applied(), *reasons(), *told()]
    assert len(asked) > 60
    missing = {sentence for sentence in asked if translated(sentence, answers) is None}
    assert missing == set()


def test_reasons_are_translated_whole() -> None:
    """A reason is put together from parts: each part must be found in the whole."""
    english = re.compile(r"\b(?:the|of|visits?|record|species|met|expected|last|ago)\b")
    for sentence in set(reasons()):
        spanish = translated(sentence, read("es_answers.json")) or sentence
        assert not english.search(spanish), spanish


def test_what_is_supposed_of_towns_is_translated_whole() -> None:
    """A sentence half in English says less than one in a language that one does not speak."""
    english = re.compile(r"\b(?:within|the|middle|where|is|are|known|or)\b")
    sentences = list(towns_told())
    assert len(sentences) == 4
    for sentence in sentences:
        spanish = translated(sentence, read("es_answers.json"))
        assert spanish is not None
        assert not english.search(spanish), spanish
