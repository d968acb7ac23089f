"""Phrase patterns of a grammar file, as regular expressions over a folded question.

A pattern is words and slots with blanks between: `<near> [<the>] [<large>] <feature>`. `<x>` is a
list of phrases or a slot, `[x y]` may be missing, `a|b` is one of several words. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ANY_NUMBER = "#"
ANY_WORD = "*"
_TOKENS = re.compile(r"\[|\]|<\w+>|[^\s\[\]<>]+|(?<=>)-")
_GAP = r"\s+"


class Slot(NamedTuple):
    """What may stand in a slot, and the first words it may begin with."""

    regex: str
    first_words: frozenset[str]
    named: bool


class Pattern(NamedTuple):
    """A compiled pattern; it can match only where one of `first_words` stands."""

    regex: re.Pattern[str]
    first_words: frozenset[str]
    ends_with_place: bool


class _Part(NamedTuple):
    regex: str
    first_words: frozenset[str]
    optional: bool


def phrases(alternatives: Sequence[str]) -> Slot:
    """A slot that is one of these phrases, the longest that fits."""
    ordered = sorted(set(alternatives), key=lambda phrase: (-len(phrase), phrase))
    regex = "|".join(_GAP.join(map(re.escape, phrase.split())) for phrase in ordered)
    first = frozenset(re.split(r"[\s.'-]", phrase)[0] for phrase in ordered)
    return Slot(f"(?:{regex})(?!\\w)", first, named=False)


def compile_pattern(written: str, slots: Mapping[str, Slot]) -> Pattern:
    """The pattern as one expression; ValueError where it names no known slot.

    `<place>` may stand only at the end and is left out: places are looked up, not matched.
    """
    tokens = _TOKENS.findall(written)
    ends_with_place = bool(tokens) and tokens[-1] == "<place>"
    if ends_with_place:
        tokens.pop()
    counts: dict[str, int] = {}
    parts, rest = _sequence(tokens, slots, counts)
    if rest or not parts:
        raise ValueError(f"pattern {written!r} cannot be read at {rest[:1]}")
    regex, first_words = _joined(parts)
    return Pattern(re.compile(rf"{regex}(?!\w)"), first_words, ends_with_place)


def _sequence(
    tokens: list[str], slots: Mapping[str, Slot], counts: dict[str, int]
) -> tuple[list[_Part], list[str]]:
    """The parts up to the end or to a closing bracket, and the tokens after it."""
    parts: list[_Part] = []
    while tokens and tokens[0] != "]":
        token, tokens = tokens[0], tokens[1:]
        if token == "[":  # noqa: S105 - a bracket is no password
            inner, tokens = _sequence(tokens, slots, counts)
            if not tokens or not inner:
                raise ValueError("a bracket is not closed, or has nothing in it")
            parts.append(_Part(*_joined(inner), optional=True))
            tokens = tokens[1:]
        elif token.startswith("<"):
            parts.append(_slot(token[1:-1], slots, counts))
        else:
            slot = phrases(token.split("|"))
            parts.append(_Part(slot.regex, slot.first_words, optional=False))
    return parts, tokens


def _slot(name: str, slots: Mapping[str, Slot], counts: dict[str, int]) -> _Part:
    if name not in slots:
        raise ValueError(f"no list of phrases and no slot is named <{name}>")
    slot = slots[name]
    if not slot.named:
        return _Part(slot.regex, slot.first_words, optional=False)
    counts[name] = counts.get(name, 0) + 1
    return _Part(f"(?P<{name}{counts[name]}>{slot.regex})", slot.first_words, optional=False)


def _joined(parts: Sequence[_Part]) -> tuple[str, frozenset[str]]:
    """The parts with gaps between, those that may be missing with their gap, and first words."""
    regex, first_words, begun = "", frozenset[str](), False
    for part in parts:
        if not begun:
            first_words |= part.first_words
            regex += f"(?:{part.regex}{_GAP})?" if part.optional else part.regex
            begun = not part.optional
        else:
            gapped = f"{_GAP}{part.regex}"
            regex += f"(?:{gapped})?" if part.optional else gapped
    return regex, first_words
