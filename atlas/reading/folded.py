"""A question without case and accents, in which every letter remembers where it was typed.

Knows no language. Pure: safe from any thread.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_ALIKE = str.maketrans(dict.fromkeys(_DASHES, "-") | dict.fromkeys("\u2018\u2019\u02bc", "'"))
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class Word(NamedTuple):
    """A word as folded, and its place in the folded text."""

    text: str
    start: int
    end: int


class FoldedText:
    """`text` is the folded question, `words` its words; offsets into `text` unless said."""

    def __init__(self, original: str) -> None:
        self.original = original
        self.text, self._typed_at = _fold(original)
        self.words = words_of(self.text)

    def typed(self, start: int, end: int) -> tuple[int, int]:
        """The same stretch as offsets into the original, accents that follow it included."""
        first = self._typed_at[start]
        last = self._typed_at[end - 1] + 1
        while last < len(self.original) and unicodedata.combining(self.original[last]):
            last += 1
        return first, last

    def is_capital(self, word: int) -> bool:
        """Whether a word was typed with a capital first letter."""
        return self.original[self._typed_at[self.words[word].start]].isupper()

    def in_capitals(self, first: int, last: int) -> bool:
        """Whether all letters from one word to another, both included, were typed as capitals."""
        start, end = self.typed(self.words[first].start, self.words[last].end)
        return self.original[start:end].isupper()

    def between(self, word: int) -> str:
        """What stands between a word and the next, or after the last; without white space."""
        end = self.words[word].end
        following = self.words[word + 1].start if word + 1 < len(self.words) else len(self.text)
        return self.text[end:following].strip()


def words_of(folded: str) -> tuple[Word, ...]:
    """The words of a folded text."""
    return tuple(Word(match[0], match.start(), match.end()) for match in _WORD.finditer(folded))


def folded_name(name: str) -> str:
    """A name as its folded words, one blank between; how names are kept and looked up."""
    if name.isascii() and name.replace(" ", "a").isalpha():  # most names, ten times as fast
        return " ".join(name.lower().split())
    return " ".join(_WORD.findall(_fold(name)[0]))


def _fold(original: str) -> tuple[str, range | list[int]]:
    """The folded text, and for each of its letters the index in the original."""
    if original.isascii():
        return original.lower(), range(len(original))
    letters: list[str] = []
    typed_at: list[int] = []
    for index, letter in enumerate(original):
        plain = unicodedata.normalize("NFKD", letter.translate(_ALIKE))
        for part in unicodedata.normalize("NFKD", plain.casefold()):
            if not unicodedata.combining(part):
                letters.append(part)
                typed_at.append(index)
    return "".join(letters), typed_at
