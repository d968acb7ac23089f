"""What a phrase may mean, before it is decided which of several readings stands. Pure data."""

from __future__ import annotations

from typing import NamedTuple

from atlas.reading.spans import Kind, Meaning


class Candidate(NamedTuple):
    """A reading of the words from `first_word` up to `next_word`; offsets into the folded text.

    `place_words` are the words of the place it names, first and one past the last.
    """

    start: int
    end: int
    first_word: int
    next_word: int
    kind: Kind
    value: Meaning
    confidence: float
    place_words: tuple[int, int] | None = None
