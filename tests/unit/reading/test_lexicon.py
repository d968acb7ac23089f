"""Names of taxa in memory: number, parts, homonyms, typing errors."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from atlas.reading.lexicon import NameColumns, Numberless, TaxonLexicon
from atlas.reading.typos import SHORTEST, TypoIndex

LETTERS = st.text("abcd", min_size=SHORTEST, max_size=SHORTEST + 3)


@pytest.mark.parametrize(
    ("typed", "scientific"),
    [
        ("frogs", "Anura"),
        ("frog", "Anura"),
        ("frogs and toads", "Anura"),
        ("tree frog", "Hylidae"),
        ("hylidae", "Hylidae"),
        ("water lily", "Nymphaeaceae"),
        ("wolves", "Canis lupus"),
        ("canada geese", "Branta canadensis"),
        ("ranas de cristal", "Centrolenidae"),
        ("osos polares", "Ursus maritimus"),
        ("colibri", "Trochilidae"),
        ("butterflies", "Papilionoidea"),
        ("moths", "Lepidoptera"),
        ("mushrooms", "Agaricomycetes"),
    ],
)
def test_names_in_either_number(lexicon: TaxonLexicon, typed: str, scientific: str) -> None:
    """People ask for "frogs", tables hold "Frog", and lists of names hold several groups."""
    found = lexicon.find([typed])[0]
    assert found is not None
    assert found.scientific_name == scientific


def test_what_is_no_name_is_not_found(lexicon: TaxonLexicon) -> None:
    """The word "allies" stands in a list of names and names nothing."""
    assert lexicon.find(["allies", "river", "life", "", "xyz"]) == [None] * 5


def test_an_ancestor_stands_for_its_homonyms_and_strangers_are_several() -> None:
    """A bird and a plant of one name are not one taxon; a species and its subspecies are."""
    lexicon = TaxonLexicon(
        NameColumns(
            name=["Life", "A", "B", "C", "monarch", "monarch", "robin", "robin"],
            taxon_id=np.array([0, 1, 2, 3, 1, 2, 1, 3], np.int32),
            is_scientific=np.array([True, True, True, True, False, False, False, False]),
            scientific_name=["Life", "A", "B", "C"],
            rank=["root", "species", "subspecies", "species"],
            last_descendant=np.array([3, 2, 2, 3], np.int32),
            images=np.array([9, 1, 1, 5], np.int64),
        ),
        irregular={},
        joins=["and"],
    )
    monarch, robin = lexicon.find(["monarch", "robin"])
    assert monarch is not None
    assert (monarch.taxon_id, monarch.several) == (1, False)
    assert robin is not None
    assert (robin.taxon_id, robin.several) == (3, True)


@given(word=st.text(string.ascii_lowercase, min_size=4, max_size=12))
def test_a_word_and_its_plural_have_one_form(word: str) -> None:
    """Found only in the number that the table happens to use, half of the names were lost."""
    form = Numberless({"geese": "goose"})
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    assert form(word) == form(plural)


def only_near(word: str, keys: list[str]) -> str | None:
    """The only key at one error, by comparing with every key."""
    near = {key for key in keys if OSA.distance(word, key) == 1}
    return near.pop() if len(near) == 1 else None


@given(keys=st.lists(LETTERS, max_size=30), word=LETTERS, place=st.integers(0, SHORTEST - 2))
def test_one_error_is_always_found(keys: list[str], word: str, place: int) -> None:
    """The halves are a shortcut; comparing with every key says what must be found."""
    index = TypoIndex(keys)
    if keys:
        letters = list(keys[0])
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
        exchanged = "".join(letters)
        assert index.near(exchanged) == only_near(exchanged, keys)
    assert index.near(word) == only_near(word, keys)
