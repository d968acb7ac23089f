"""The pure parts of name completion."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from atlas.species.names import allowed_edits, edit_distance, number_variants, sieve

WORD = st.text("abcdefgh", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("typed", "variant"),
    [
        ("tree frogs", "tree frog"),
        ("butterflies", "butterfly"),
        ("butterfly", "butterflies"),
        ("finches", "finch"),
        ("foxes", "fox"),
        ("frogs birds", "frog bird"),
    ],
)
def test_number_of_a_noun(typed: str, variant: str) -> None:
    """People type the plural of what the catalog names in the singular, and the reverse."""
    assert variant in number_variants(typed)
    assert typed in number_variants(typed)


@pytest.mark.parametrize("typed", ["rana temporaria", "octopus", "grass", "iris", "as"])
def test_no_false_plural(typed: str) -> None:
    """Latin names and words that end in s by nature stay as they are."""
    assert number_variants(typed) == (typed,)


EDITS = st.lists(
    st.tuples(st.sampled_from("idst"), st.integers(0, 100), st.sampled_from("abcdefgh")), max_size=2
)


def edited(word: str, edits: list[tuple[str, int, str]]) -> str:
    """A word with letters inserted, deleted, replaced or exchanged."""
    letters = list(word)
    for kind, place, letter in edits:
        at = place % (len(letters) - 1)
        if kind == "i":
            letters.insert(at, letter)
        elif kind == "d":
            del letters[at]
        elif kind == "s":
            letters[at] = letter
        else:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


@settings(max_examples=500)
@given(WORD, EDITS)
def test_no_near_name_is_missed(typed: str, edits: list[tuple[str, int, str]]) -> None:
    """A name within the typos allowed always passes the sieve that decides what is compared."""
    name = edited(typed, edits)
    allowed = allowed_edits(typed)
    if OSA.distance(typed, name) <= allowed:
        assert any(piece in name for piece in sieve(typed, allowed))


@pytest.mark.parametrize(
    ("typed", "name", "distance"),
    [
        ("agalichnis", "agalychnis callidryas", 1),
        ("wheatearr", "desert wheatear", 1),
        ("agalych", "agalychnis", 0),
        ("aglaychnis", "agalychnis", 1),
        ("tree frgo", "red eyed tree frog", 1),
        ("zebra", "agalychnis", 3),
    ],
)
def test_edit_distance_to_a_run_of_words(typed: str, name: str, distance: int) -> None:
    """A typo is forgiven in any words of a name, and in a name that is not finished yet."""
    assert edit_distance(typed, name, 2) == distance
