"""Completion of taxon names while somebody types: prefix, then word, then typo.

Scientific and common names alike; case, accents and hyphens are folded and the number of a noun
does not matter. Reads the catalog's `taxon_name`; one catalog cursor per call, any thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import msgspec
from rapidfuzz.distance import OSA

from atlas.catalog import Catalog
from atlas.errors import InvalidQuery
from atlas.species.table_rows import table_rows
from atlas.species.taxa import fold

Match = Literal["exact", "prefix", "word", "typo"]

# A typo search compares names letter by letter: 20,000 take 65 ms on one core. In an atlas where
# more names hold a piece of the question, those with most images are compared.
MOST_COMPARED = 20_000
# Below this many letters nearly every short name is "one typo away".
SHORTEST_TYPO = 4
TWO_TYPOS_FROM = 8
# Words beyond these would make needless variants of a question.
MOST_WORDS = 8

_COLUMNS = """
    n.name, n.folded, n.kind, t.taxon_id, t.scientific_name, t.common_name, t.rank, t.images
"""
# `{test}` is one comparison for each variant, joined by OR. Both are scans: over 2 million names a
# prefix or a word takes 0.12 s on two cores, the pieces of a typo 0.6 s.
_STARTING = f"""
    SELECT {_COLUMNS}, list_contains(?, n.folded) AS whole
    FROM taxon_name n JOIN taxon t USING (taxon_id)
    WHERE {{test}}
    ORDER BY whole DESC, t.images DESC, length(n.folded), n.folded, t.taxon_id
    LIMIT ?
"""
_CONTAINING = f"""
    SELECT {_COLUMNS}, false AS whole
    FROM taxon_name n JOIN taxon t USING (taxon_id)
    WHERE {{test}}
    ORDER BY t.images DESC, length(n.folded), n.folded, t.taxon_id
    LIMIT ?
"""


class NameMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A taxon whose name fits what was typed; `name` is the name that matched."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    rank: str
    images: int
    name: str
    kind: Literal["scientific", "common"]
    match: Match


class TaxonNames:
    """Completion over all names of a bundle."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def complete(self, typed: str, limit: int) -> list[NameMatch]:
        """At most `limit` taxa, best first: whole name, prefix, word, typo; then more images.

        A taxon is listed once, under its best match. Nothing typed gives an empty list.
        """
        folded = fold(typed)
        if not folded:
            return []
        variants = number_variants(folded)
        found: dict[int, NameMatch] = {}
        # A taxon has several names, so more rows are read than are wanted.
        wanted_rows = limit * 8
        starting = _STARTING.format(test=_any("starts_with(n.folded, ?)", variants))
        self._add(found, starting, [list(variants), *variants, wanted_rows], "prefix")
        if len(found) < limit:
            starts = [f" {variant}" for variant in variants]
            containing = _CONTAINING.format(test=_any("contains(n.folded, ?)", starts))
            self._add(found, containing, [*starts, wanted_rows], "word")
        if not found:
            self._add_typos(found, folded)
        return list(found.values())[:limit]

    def _rows(self, sql: str, parameters: Sequence[object]) -> list[dict[str, object]]:
        return table_rows(self._catalog.table(sql, parameters))

    def _add(
        self, found: dict[int, NameMatch], sql: str, parameters: Sequence[object], match: Match
    ) -> None:
        for row in self._rows(sql, parameters):
            hit = _name_match(row, "exact" if row["whole"] else match)
            found.setdefault(hit.taxon_id, hit)

    def _add_typos(self, found: dict[int, NameMatch], folded: str) -> None:
        """Names within a few edits, nearest first.

        Only names that hold one of the question's pieces are read; see `sieve`.
        """
        edits = allowed_edits(folded)
        if edits == 0:
            return
        held = sieve(folded, edits)
        containing = _CONTAINING.format(test=_any("contains(n.folded, ?)", held))
        rows = self._rows(containing, [*held, MOST_COMPARED])
        near = [(edit_distance(folded, str(row["folded"]), edits), row) for row in rows]
        for _, row in sorted((pair for pair in near if pair[0] <= edits), key=lambda pair: pair[0]):
            hit = _name_match(row, "typo")
            found.setdefault(hit.taxon_id, hit)


def _any(test: str, values: Sequence[str]) -> str:
    """The test once for each value, any of which may hold."""
    return " OR ".join([test] * len(values))


def _name_match(row: dict[str, object], match: Match) -> NameMatch:
    fields = {name: row[name] for name in NameMatch.__struct_fields__ if name != "match"}
    return msgspec.convert(fields | {"match": match}, NameMatch)


def allowed_edits(folded: str) -> int:
    """How many typos are forgiven in a question of this length."""
    if len(folded) < SHORTEST_TYPO:
        return 0
    return 2 if len(folded) >= TWO_TYPOS_FROM else 1


def sieve(typed: str, edits: int) -> list[str]:
    """Pieces of which every name within `edits` edits of `typed` holds at least one.

    Of `edits` + 1 pieces one stands unchanged (pigeonhole principle), unless letters change places
    across a cut, which breaks two; so the pieces are also made with the letters at the cuts
    exchanged. `typed` must be longer than twice the number of pieces.
    """
    count = edits + 1
    cuts = [round(index * len(typed) / count) for index in range(count + 1)]
    found: dict[str, None] = {}
    for exchanged in itertools.product((False, True), repeat=edits):
        letters = list(typed)
        for cut in itertools.compress(cuts[1:-1], exchanged):
            letters[cut - 1], letters[cut] = letters[cut], letters[cut - 1]
        text = "".join(letters)
        found.update(dict.fromkeys(text[a:b] for a, b in itertools.pairwise(cuts)))
    return list(found)


def edit_distance(typed: str, name: str, most: int) -> int:
    """Least number of edits from `typed` to a run of words of `name`, or to the run's beginning.

    Edits are insertion, deletion, substitution and transposition of neighbours (optimal string
    alignment). Above `most` the result is `most + 1`.
    """
    words = name.split(" ")
    length = typed.count(" ") + 1
    best = most + 1
    for first in range(max(1, len(words) - length + 1)):
        run = " ".join(words[first : first + length])
        for candidate in {run, run[: len(typed)]}:
            best = min(best, OSA.distance(typed, candidate, score_cutoff=most))
    return best


def number_variants(folded: str) -> tuple[str, ...]:
    """The question as it is, with its last word, and with all words, in the other number.

    English plurals only, for names are matched by prefix: "frogs" must find "tree frog", and
    "butterfly" must find "butterflies".
    """
    words = folded.split(" ")
    if len(words) > MOST_WORDS:
        return (folded,)
    variants = {folded: None}
    for last in _numbers(words[-1]):
        variants[" ".join([*words[:-1], last])] = None
    variants[" ".join(_numbers(word)[0] for word in words)] = None
    return tuple(variants)


def _numbers(word: str) -> tuple[str, ...]:
    """The word in the other number, the likeliest form first; itself where it has none."""
    if len(word) > 4 and word.endswith("ies"):
        return (f"{word[:-3]}y", word[:-1])
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return (word[:-2], word[:-1])
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return (word[:-1],)
    if len(word) > 2 and word.endswith("y") and word[-2] not in "aeiou":
        return (word, f"{word[:-1]}ies")
    return (word,)


def taxon_named(names: TaxonNames, written: str) -> int:
    """The taxon id that a person wrote, or that of the taxon so named; InvalidQuery if none."""
    if written.isdecimal():
        return int(written)
    found = names.complete(written, 5)
    exact = [match for match in found if match.match == "exact"]
    if exact:
        return exact[0].taxon_id
    meant = ", ".join(f"{match.name} ({match.taxon_id})" for match in found)
    raise InvalidQuery(
        "taxon", f"no taxon is named {written!r}{'; did you mean ' if meant else ''}{meant}"
    )
