"""Finds the phrases of a grammar in a question. Knows words, not their meaning; thread-safe."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from atlas.reading.folded import FoldedText
from atlas.reading.grammar import Grammar
from atlas.reading.patterns import ANY_NUMBER, Pattern


class Phrase(NamedTuple):
    """A phrase of a rule: where it stands in the folded text, and the first word after it."""

    reading: str
    match: re.Match[str]
    first_word: int
    next_word: int
    ends_with_place: bool

    def part(self, slot: str, number: int = 1) -> str | None:
        """The text in a slot; None where the pattern has no such slot or it was not filled."""
        found = self.match.groupdict().get(f"{slot}{number}")
        return None if found is None else " ".join(found.split())


class RuleSet:
    """The rules of one grammar with the sources of one bundle."""

    def __init__(self, grammar: Grammar, source_names: Sequence[str]) -> None:
        self.grammar = grammar
        self._starting: dict[str, list[tuple[str, Pattern]]] = defaultdict(list)
        for reading, pattern in grammar.rules_for(source_names):
            for word in pattern.first_words:
                self._starting[word].append((reading, pattern))

    def phrases(self, question: FoldedText) -> Iterator[Phrase]:
        """Every phrase that fits, at every word; they may overlap."""
        starts = [word.start for word in question.words]
        for index, word in enumerate(question.words):
            rules = list(self._starting.get(word.text, ()))
            if word.text[0].isdecimal():
                rules += self._starting.get(ANY_NUMBER, ())
            for reading, pattern in rules:
                match = pattern.regex.match(question.text, word.start)
                if match is not None:
                    following = bisect_left(starts, match.end())
                    yield Phrase(reading, match, index, following, pattern.ends_with_place)

    def ends_phrase(self, question: FoldedText, word: int) -> bool:
        """Whether what was named before this word is named to its end.

        Where modifiers come first ("river otter") the next word must be one that begins something
        else: punctuation, a word of the grammar, a verb's form. Elsewhere nothing is asked.
        """
        words = question.words
        if not self.grammar.nouns_last or word >= len(words) or word == 0:
            return True
        if question.between(word - 1):
            return True
        text = words[word].text
        return (
            text in self.grammar.words.function
            or text in self.grammar.months
            or text[0].isdecimal()
            or text.endswith(("ing", "ed"))
        )

    def is_denied(self, question: FoldedText, word: int) -> bool:
        """Whether the word before says the opposite: "not near rivers", "far from rivers"."""
        before = question.words[max(0, word - 1) : word]
        return any(each.text in self.grammar.words.negations for each in before)
