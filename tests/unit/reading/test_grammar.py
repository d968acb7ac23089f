"""Grammar files: what is wrong with one is said, and another language is one more file."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atlas.reading.grammar import PACKAGE_DATA, Grammar, GrammarError, read_grammar, read_grammars
from atlas.reading.lexicon import TaxonLexicon
from atlas.reading.patterns import compile_pattern, phrases
from atlas.reading.place_sources import read_gazetteer
from atlas.reading.places import Gazetteer
from atlas.reading.reader import QuestionReader
from tests.unit.reading.conftest import TODAY

ENGLISH = resources.files(PACKAGE_DATA).joinpath("en.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("replaced", "by", "problem"),
    [
        ('language = "en"', "language = 3", "language"),
        ("nouns_last = true", "", "nouns_last"),
        ("[plural]", "[plurals]", "plural"),
        ("<near> [<the>] <place>", "<close> <place>", "close"),
        ("<near> [<the>] <place>", "<near> [<the> <place>", "bracket"),
        ("[[rules]]", "[[rules]", "line"),
        ("away = [", "gone = [", "away"),
    ],
)
def test_faults_name_the_file(replaced: str, by: str, problem: str) -> None:
    """A server that starts with half a grammar would misread silently."""
    with pytest.raises(GrammarError, match=rf"mine\.toml: .*(?i:{problem})"):
        read_grammar(ENGLISH.replace(replaced, by).encode(), "mine.toml")


def test_a_rule_that_means_nothing_is_refused(lexicon: TaxonLexicon, gazetteer: Gazetteer) -> None:
    """A misspelt reading would be a rule that never works."""
    grammar = read_grammar(ENGLISH.replace('reading = "since"', 'reading = "sinse"').encode(), "x")
    with pytest.raises(GrammarError, match="sinse"):
        QuestionReader([grammar], lexicon, gazetteer, {})


def test_another_language_is_another_file(tmp_path: Path, lexicon: TaxonLexicon) -> None:
    """Portuguese from Spanish by its words alone: no line of code knows a language."""
    spanish = resources.files(PACKAGE_DATA).joinpath("es.toml").read_text(encoding="utf-8")
    changed = {
        'language = "es"': 'language = "pt"',
        '"cerca de", ': '"perto de", "perto do", ',
        "lluvias": "chuvas",
        "enero = 1": "janeiro = 1",
        'away = ["de", "del", "desde"]': 'away = ["de", "do", "da"]',
        'in = ["en", ': 'in = ["em", "no", "na", ',
        'during = ["en", ': 'during = ["em", "no", "na", ',
        'function = [\n    "a",': 'function = [\n    "perto", "na", "em", "a",',
        '"no", "o",': '"o",',
        'negations = ["no", ': 'negations = ["nao", ',
        '"epoca de chuvas"': '"estacao das chuvas"',
    }
    for old, new in changed.items():
        assert old in spanish or old in changed or "chuvas" in old, old
        spanish = spanish.replace(old, new)
    (tmp_path / "pt.toml").write_text(spanish, encoding="utf-8")
    grammars = read_grammars(tmp_path)
    assert [grammar.language for grammar in grammars] == ["en", "es", "pt"]
    gazetteer = read_gazetteer([grammar.language for grammar in grammars])
    reader = QuestionReader(grammars, lexicon, gazetteer, {})
    text = "aves perto de rios na Alemanha em janeiro"
    spans = reader.read(text, TODAY)
    assert {span.kind: text[span.start : span.end] for span in spans} == {
        "taxon": "aves",
        "near": "perto de rios",
        "within": "na Alemanha",
        "time": "em janeiro",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "rote Frösche nahe Flüssen in Kenia seit Mai 2015",
            {
                "Frösche": ("taxon", {"scientific_name": "Anura"}),
                "nahe Flüssen": ("near", {"feature": "river", "within_m": 1000}),
                "in Kenia": ("within", {"country": ["KE"]}),
                "seit Mai 2015": ("time", {"from": "2015-05-01"}),
            },
        ),
        (
            "Anura 20 km von der Küste oberhalb von 500 m nachts im Mai und Juni",
            {
                "Anura": ("taxon", {"scientific_name": "Anura"}),
                "20 km von der Küste": ("near", {"feature": "coast", "within_m": 20_000}),
                "oberhalb von 500 m": ("elevation", {"min_m": 500}),
                "nachts": ("light", {"period": "night"}),
                "im Mai und Juni": ("time", {"months": [5, 6]}),
            },
        ),
        (
            "Vögel nahe Nairobi",
            {
                "Vögel": ("taxon", {"scientific_name": "Aves"}),
                "nahe Nairobi": (
                    "near",
                    {"feature": "place", "within_m": 25_000, "place": "city/184745"},
                ),
            },
        ),
    ],
)
def test_a_third_language_is_a_page_of_words(
    tmp_path: Path, lexicon: TaxonLexicon, text: str, expected: dict[str, Any]
) -> None:
    """German, of which the server knows nothing: names of countries come from CLDR."""
    shutil.copy(Path(__file__).with_name("german.toml"), tmp_path / "de.toml")
    grammars = read_grammars(tmp_path)
    gazetteer = read_gazetteer([grammar.language for grammar in grammars])
    found = {}
    for span in QuestionReader(grammars, lexicon, gazetteer, {}).read(text, TODAY):
        value = msgspec.json.decode(msgspec.json.encode(span.value))
        value.pop("taxon_id", None)
        found[text[span.start : span.end]] = (span.kind, value)
    assert found == expected


def test_every_list_of_a_grammar_is_documented() -> None:
    """Who writes a grammar has docs/questions.md to go by."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "questions.md").read_text("utf-8")
    tables = {field.name for field in msgspec.structs.fields(Grammar)}
    words = set(
        re.findall(r"^(\w+) = ", ENGLISH.split("[words]")[1].split("[plural]")[0], re.MULTILINE)
    )
    readings = set(re.findall(r'^reading = "(\w+)"', ENGLISH, re.MULTILINE))
    assert not [name for name in tables | words | readings if f"`{name}`" not in page]


def test_patterns() -> None:
    """The small language of patterns: lists, optional parts, choices, named slots."""
    slots = {"near": phrases(["near", "close to"]), "the": phrases(["the", "a"])}
    pattern = compile_pattern("<near> [<the>] river|rivers", slots)
    assert pattern.first_words == {"near", "close"}
    for text in ("near the river", "close  to rivers", "near river"):
        assert pattern.regex.fullmatch(text), text
    for text in ("near", "nearriver", "near the", "near rivera"):
        assert not pattern.regex.fullmatch(text), text
    assert compile_pattern("<near> <place>", slots).ends_with_place
