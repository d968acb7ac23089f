"""Places that are named without a word that says where: "green frogs Costa Rica". Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set

from atlas.reading.candidates import Candidate
from atlas.reading.folded import FoldedText
from atlas.reading.grammar import Grammar
from atlas.reading.place_words import confidence_of, within_of
from atlas.reading.places import Gazetteer, Place

LESS_SURE = 0.7


def stray_places(
    question: FoldedText,
    gazetteer: Gazetteer,
    grammars: Sequence[Grammar],
    never: frozenset[str],
    covered: Set[int],
) -> list[Candidate]:
    """Countries, regions and named areas that stand alone at the end of what is said.

    `covered` are the words that are read as something else. A name in the midst of other words
    describes them ("Java sparrow") and is not read.
    """
    found: list[Candidate] = []
    following = 0
    for index in range(len(question.words)):
        here = gazetteer.longest_at(question, index, never) if index >= following else None
        if here is None:
            continue
        after = following = here.last_word + 1
        if (
            not _stands_alone(question, index, after, grammars)
            or covered & set(range(index, after))
            or (after < len(question.words) and not question.between(here.last_word))
        ):
            continue
        places = [place for place in here.places if _is_area(place, question.is_capital(index))]
        if not places:
            continue
        found.append(
            Candidate(
                question.words[index].start,
                question.words[here.last_word].end,
                index,
                after,
                "within",
                within_of(places),
                min(LESS_SURE, confidence_of(places)),
                (index, after),
            )
        )
    return found


def _is_area(place: Place, capital: bool) -> bool:
    if place.kind in {"country", "continent"}:
        return True
    return capital and place.kind in {"region", "area", "mountains", "island"}


def _stands_alone(
    question: FoldedText, index: int, after: int, grammars: Sequence[Grammar]
) -> bool:
    """Whether the word before is no preposition or article, or there is a comma between.

    At the beginning it must be the whole question: "Java sparrow" begins with a place.
    """
    if index == 0:
        return after == len(question.words)
    gap = question.between(index - 1)
    if gap:
        return gap == ","
    before = question.words[index - 1].text
    return all(
        before not in grammar.words.function | grammar.words.negations for grammar in grammars
    )
