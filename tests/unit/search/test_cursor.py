"""Cursors: they come back whole, and only to their own question."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import InvalidQuery
from atlas.search.cursor import digest_of, read_cursor, write_cursor

DIGEST = digest_of([b"a question"])


@given(st.integers(1, 2**40))
def test_a_cursor_comes_back(position: int) -> None:
    """A cursor that read back otherwise would repeat or skip hits."""
    assert read_cursor(write_cursor(position, DIGEST), DIGEST, matching=2**41) == position


def test_a_cursor_of_another_question_is_refused() -> None:
    """Its position means nothing in another list of hits."""
    with pytest.raises(InvalidQuery, match="another question") as caught:
        read_cursor(write_cursor(30, digest_of([b"another"])), DIGEST, matching=100)
    assert caught.value.field == "cursor"


def test_parts_are_not_run_together() -> None:
    """("ab", "c") and ("a", "bc") are different questions."""
    assert digest_of([b"ab", b"c"]) != digest_of([b"a", b"bc"])


@pytest.mark.parametrize("position", [0, -1, 100, 101, 2**70])
def test_a_position_outside_the_list_is_refused(position: int) -> None:
    """A forged position must not reach the ranking."""
    packed = base64.urlsafe_b64encode(
        b"\x92" + (b"\xcf" + (position % 2**64).to_bytes(8, "big")) + b"\xc4\x0c" + DIGEST
    )
    with pytest.raises(InvalidQuery):
        read_cursor(packed.decode().rstrip("="), DIGEST, matching=100)


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=40).map(lambda b: b.hex())))
def test_rubbish_is_refused_by_name(text: str) -> None:
    """Anything that a person can type must end as a 4xx that names the field."""
    with pytest.raises(InvalidQuery) as caught:
        read_cursor(text, DIGEST, matching=100)
    assert caught.value.field == "cursor"


def test_a_long_text_is_refused_unread() -> None:
    """Decoding megabytes for a cursor would be work for nothing."""
    with pytest.raises(InvalidQuery):
        read_cursor("A" * 1_000_000, DIGEST, matching=100)
