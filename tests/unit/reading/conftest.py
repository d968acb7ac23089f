"""A reader with the taxa of tests/questions/taxa.csv, three sources, and a day that is today."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from atlas.reading.grammar import Grammar, read_grammars
from atlas.reading.lexicon import NameColumns, TaxonLexicon
from atlas.reading.place_sources import read_gazetteer
from atlas.reading.places import Gazetteer
from atlas.reading.reader import QuestionReader

QUESTIONS = Path(__file__).resolve().parents[2] / "questions"
TODAY = date(2026, 6, 15)
SOURCES = {
    "inaturalist": ("iNaturalist Open Data",),
    "gbif": ("GBIF occurrence download",),
    "observation-org": ("Observation.org",),
}
Read = Callable[[str], list[dict[str, Any]]]


def make_lexicon(rows: list[dict[str, str]], grammars: tuple[Grammar, ...]) -> TaxonLexicon:
    """A lexicon of rows with scientific_name, rank, parent and names_*, parents before children."""
    children: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        children.setdefault(row["parent"], []).append(row)
    names, taxa, scientific, rank, last = ["Life"], [0], [True], ["root"], [0]
    own = ["Life"]

    def add(parent: str) -> None:
        for row in children.get(parent, []):
            number = len(own)
            own.append(row["scientific_name"])
            rank.append(row["rank"])
            last.append(number)
            common = [
                name
                for column, listed in row.items()
                if column.startswith("names_")
                for name in listed.split("|")
                if name
            ]
            names.extend([row["scientific_name"], *common])
            taxa.extend([number] * (1 + len(common)))
            scientific.extend([True] + [False] * len(common))
            add(row["scientific_name"])
            last[number] = len(own) - 1

    add("")
    last[0] = len(own) - 1
    return TaxonLexicon(
        NameColumns(
            name=names,
            taxon_id=np.array(taxa, np.int32),
            is_scientific=np.array(scientific),
            scientific_name=own,
            rank=rank,
            last_descendant=np.array(last, np.int32),
            images=np.arange(len(own), dtype=np.int64),
        ),
        irregular={k: v for grammar in grammars for k, v in grammar.plural.irregular.items()},
        joins=sorted({join for grammar in grammars for join in grammar.words.joins}),
        not_names=frozenset[str]().union(*(grammar.words.not_names for grammar in grammars)),
    )


@pytest.fixture(scope="session")
def grammars() -> tuple[Grammar, ...]:
    """The grammars that come with the server."""
    return read_grammars()


@pytest.fixture(scope="session")
def gazetteer(grammars: tuple[Grammar, ...]) -> Gazetteer:
    """The places that come with the server."""
    return read_gazetteer([grammar.language for grammar in grammars])


@pytest.fixture(scope="session")
def lexicon(grammars: tuple[Grammar, ...]) -> TaxonLexicon:
    """The taxa that the annotated questions are about."""
    with (QUESTIONS / "taxa.csv").open(encoding="utf-8", newline="") as file:
        return make_lexicon(list(csv.DictReader(file)), grammars)


@pytest.fixture(scope="session")
def reader(
    grammars: tuple[Grammar, ...], lexicon: TaxonLexicon, gazetteer: Gazetteer
) -> QuestionReader:
    """All of it together."""
    return QuestionReader(grammars, lexicon, gazetteer, SOURCES)


@pytest.fixture(scope="session")
def read(reader: QuestionReader) -> Read:
    """Spans as plain values, each with its words; a taxon by its name alone."""

    def read_one(text: str) -> list[dict[str, Any]]:
        found = []
        for span in reader.read(text, TODAY):
            value = msgspec.json.decode(msgspec.json.encode(span.value))
            value.pop("taxon_id", None)
            words = text[span.start : span.end]
            found.append({"words": words, "kind": span.kind, "value": value})
        return found

    return read_one
