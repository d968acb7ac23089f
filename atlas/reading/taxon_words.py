"""Which words of a question name a taxon that is meant, and which merely stand in the way.

"Large white" is a butterfly, and in "large white birds" it is not. A taxon's name also guards its
words against being read as a place: "Java sparrow", "river otter". Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from atlas.reading.folded import FoldedText
from atlas.reading.grammar import Grammar
from atlas.reading.lexicon import NameFound, TaxonLexicon
from atlas.reading.typos import SHORTEST

LONGEST_NAME = 6  # words
# The shortest word that is taken for a scientific name; "Aves" has four letters.
SHORTEST_NAME = 3
EXACT, WORD, PART, GROUP, TYPO, SEVERAL = 0.95, 0.9, 0.85, 0.8, 0.7, 0.45


class TaxonWords(NamedTuple):
    """Words from `first` up to `next` that name a taxon; `meant` where the question is about it."""

    first: int
    next: int
    found: NameFound
    confidence: float
    meant: bool


class TaxonReader:
    """Finds taxa in questions of any of the languages whose grammars it has."""

    def __init__(self, lexicon: TaxonLexicon, grammars: Sequence[Grammar]) -> None:
        self._lexicon = lexicon
        self._groups: dict[str, NameFound] = {}
        for grammar in grammars:
            for word, scientific in grammar.groups.items():
                found = lexicon.scientific(scientific.casefold())
                if found is not None:
                    self._groups[lexicon.numberless(word)] = found
        self._known = frozenset[str]().union(
            *(grammar.never_places | grammar.words.companions for grammar in grammars)
        )

    def read(
        self,
        question: FoldedText,
        grammars: Sequence[Grammar],
        taken: Sequence[tuple[int, int]],
    ) -> list[TaxonWords]:
        """Names of taxa in the order of the question.

        A name that lies wholly in one of the stretches `taken` is something else: "in Turkey".

        Only the first taxon that is meant, and those joined to it by "and", are `meant`: what
        follows is what it eats or sits on.
        """
        names = self._names(question, taken)
        found: list[TaxonWords] = []
        index = 0
        while index < len(question.words):
            here = self._at(question, index, names, grammars, taken)
            if here is not None:
                found.append(here)
            index = here.next if here is not None and here.meant else index + 1
        return _only_first(found, question, grammars)

    def _names(
        self, question: FoldedText, taken: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], NameFound]:
        """Every run of words that is a name, by first word and one past the last."""
        words = question.words
        runs = [
            (first, last + 1)
            for first in range(len(words))
            for last in range(first, min(len(words), first + LONGEST_NAME))
            if all(not question.between(index).strip("-'.") for index in range(first, last))
            and not _inside(first, last + 1, taken)
        ]
        texts = [" ".join(word.text for word in words[first:after]) for first, after in runs]
        answers = self._lexicon.find(texts)
        return {
            run: answer
            for run, text, answer in zip(runs, texts, answers, strict=True)
            if answer is not None and self._may_be_name(text)
        }

    def _may_be_name(self, text: str) -> bool:
        return len(text) >= SHORTEST_NAME and text not in self._known

    def _at(
        self,
        question: FoldedText,
        first: int,
        names: dict[tuple[int, int], NameFound],
        grammars: Sequence[Grammar],
        taken: Sequence[tuple[int, int]],
    ) -> TaxonWords | None:
        """The longest name at a word, else a group's word, else a name with a typing error."""
        for after in range(min(len(question.words), first + LONGEST_NAME), first, -1):
            found = names.get((first, after))
            if found is not None:
                meant = self._is_meant(question, first, after, found, grammars)
                return TaxonWords(first, after, found, _confidence(found, after - first), meant)
        if _inside(first, first + 1, taken):
            return None
        word = question.words[first].text
        group = self._groups.get(self._lexicon.numberless(word))
        if group is not None:
            meant = self._is_meant(question, first, first + 1, group, grammars)
            return TaxonWords(first, first + 1, group, GROUP, meant)
        return self._typo(question, first, grammars)

    def _typo(
        self, question: FoldedText, first: int, grammars: Sequence[Grammar]
    ) -> TaxonWords | None:
        words = question.words
        for after in (first + 2, first + 1):
            if after > len(words) or (after > first + 1 and question.between(first)):
                continue
            text = " ".join(word.text for word in words[first:after])
            if len(text) < SHORTEST or any(word.text in self._known for word in words[first:after]):
                continue
            found = self._lexicon.near(text)
            # A single word one letter from some genus is more often a word.
            if found is None or (after == first + 1 and found.is_scientific and found.is_species):
                continue
            meant = self._is_meant(question, first, after, found, grammars)
            confidence = SEVERAL if found.several else TYPO
            return TaxonWords(first, after, found, confidence, meant)
        return None

    def _is_meant(
        self,
        question: FoldedText,
        first: int,
        after: int,
        found: NameFound,
        grammars: Sequence[Grammar],
    ) -> bool:
        if any(_is_companion(question, first, grammar) for grammar in grammars):
            return False
        if found.is_scientific:
            return True
        last = question.words[after - 1].text
        plural = self._lexicon.numberless.is_plural(last)
        return any(
            _ends(question, first, after, grammar, plural=plural)
            and (
                not grammar.nouns_last
                or after > first + 1
                or not found.is_species
                or _begins(question, first, grammar)
            )
            for grammar in grammars
        )


def _inside(first: int, after: int, stretches: Sequence[tuple[int, int]]) -> bool:
    return any(start <= first and after <= end for start, end in stretches)


def _confidence(found: NameFound, words: int) -> float:
    if found.several:
        return SEVERAL
    if found.is_part:
        return PART
    return EXACT if words > 1 or found.is_scientific else WORD


def _is_companion(question: FoldedText, first: int, grammar: Grammar) -> bool:
    """Whether the name goes with something before it: "a leaf with small ants"."""
    index = first - 1
    while index >= 0 and not question.between(index):
        word = question.words[index].text
        if word not in grammar.words.articles and word not in grammar.words.describing:
            return word in grammar.words.companions and index > 0
        index -= 1
    return False


def _begins(question: FoldedText, first: int, grammar: Grammar) -> bool:
    """Whether nothing before a one-word name makes another of it: "mountain lion"."""
    if first == 0 or question.between(first - 1) not in {"", "-"}:
        return True
    before = question.words[first - 1].text
    return (
        before in grammar.words.function
        or before in grammar.words.describing
        or before[0].isdecimal()
        or before.endswith(("ed", "ing"))
    )


def _ends(question: FoldedText, first: int, after: int, grammar: Grammar, *, plural: bool) -> bool:
    """Whether the name ends its phrase, so that the phrase is about it."""
    words = question.words
    if after >= len(words) or question.between(after - 1):
        return True
    following = words[after].text
    known = grammar.words
    if following in known.function or following[0].isdecimal() or following in grammar.months:
        return True
    if not grammar.nouns_last:
        agrees = plural and following.endswith("s") and following[-2:] == words[after - 1].text[-2:]
        return following in known.describing or agrees
    if all(word.text in known.describing for word in words[first:after]):
        return False  # "large white" says what the flower after it is like
    return (
        plural
        or following in known.after_name
        or (after > first + 1 and following in known.after_long_name)
        or following.endswith(("ing", "ed"))
    )


def _only_first(
    found: Sequence[TaxonWords], question: FoldedText, grammars: Sequence[Grammar]
) -> list[TaxonWords]:
    joins = frozenset[str]().union(
        *(grammar.words.joins | grammar.words.articles for grammar in grammars)
    )
    kept: list[TaxonWords] = []
    last: TaxonWords | None = None
    for each in found:
        follows = last is not None and _joined(question, last.next, each.first, joins)
        meant = each.meant and (last is None or follows)
        kept.append(each._replace(meant=meant))
        last = each if meant else last
    return kept


def _joined(question: FoldedText, after: int, first: int, joins: frozenset[str]) -> bool:
    """Whether only "and", articles and a comma stand between two names."""
    if first < after or (first == after and question.between(after - 1) != ","):
        return False
    return all(
        word.text in joins and question.between(after + index - 1) in {"", ","}
        for index, word in enumerate(question.words[after:first])
    )
