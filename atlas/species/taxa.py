"""The tree of taxa: made from names and lineages, numbered so that a subtree is an interval.

Knows nothing of files, records or catalogs. Pure functions; a tree never changes once it is built,
so any thread may read it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, NewType

import msgspec
import numpy as np
from numpy.typing import NDArray

TaxonId = NewType("TaxonId", int)
Lineage = tuple[str, ...]

ROOT = TaxonId(0)
ROOT_NAME = "Life"
ROOT_RANK = "root"
UNRANKED = "unranked"
NO_PARENT = -1

# The ranks below species, by the marker that botanists write; zoologists write none.
_MARKERS = {
    "subsp.": "subspecies",
    "ssp.": "subspecies",
    "var.": "variety",
    "f.": "form",
    "forma": "form",
}
# "Canis cf. lupus" is not Canis lupus; "Canis sp." says no more than Canis.
_DOUBTS = frozenset({"cf.", "aff.", "nr.", "x", "\u00d7"})
_NO_SPECIES = frozenset({"sp.", "spp.", "sp", "spp"})
# Words of an author's name that are written small: "Rana temporaria de Vries, 1800".
_PARTICLES = frozenset({"da", "de", "den", "der", "di", "du", "et", "ex", "in", "la", "van", "von"})
_DASHES = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")


class CommonName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name that people use, and its language ("" when unknown)."""

    name: str
    language: str = ""


class TaxonName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source calls a taxon: one name a rank ("" for an empty rank), and its names."""

    lineage: Lineage
    scientific_name: str
    common_names: tuple[CommonName, ...] = ()


class TaxonTree(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Taxa by id, in preorder: the subtree of t is the interval [t, last_descendant[t]].

    Taxon 0 is the root "Life". `lineage[t]` has one name a rank, "" where a rank is empty.
    `assignment[i]` is the taxon of the i-th name that the tree was built from.
    """

    ranks: tuple[str, ...]
    scientific_name: tuple[str, ...]
    rank: tuple[str, ...]
    parent_id: NDArray[np.int32]  # -1 for the root
    last_descendant: NDArray[np.int32]
    depth: NDArray[np.int32]  # 0 for the root
    common_names: tuple[tuple[CommonName, ...], ...]  # most often given first
    lineage: tuple[Lineage, ...]
    assignment: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of taxa, the root among them."""
        return len(self.scientific_name)

    def ancestors(self, taxon_id: int) -> tuple[TaxonId, ...]:
        """Return the ids from the root down to the taxon, both included."""
        path = [TaxonId(taxon_id)]
        while path[-1] != ROOT:
            path.append(TaxonId(int(self.parent_id[path[-1]])))
        return tuple(reversed(path))


class _Key(NamedTuple):
    """What makes two taxa one: the names down to it, and its own where it is below all ranks."""

    lineage: Lineage  # one name a rank, "" after its own
    own_rank: str = ""
    own_name: str = ""


def fold(name: str) -> str:
    """Return a name as it is compared: no case, no accents, one space for spaces and hyphens."""
    if name.isascii():  # nine names in ten; three times as fast
        return _DASHES.sub(" ", name.casefold()).strip()
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _DASHES.sub(" ", plain.replace("\u2019", "'")).strip()


def build_tree(names: Sequence[TaxonName], ranks: Sequence[str]) -> TaxonTree:
    """Return the tree that holds every one of `names`; each is assigned a taxon.

    Taxa are one when all names above and their own are the same, so homonyms in different families
    stay apart. A taxon with empty ranks hangs below its nearest named ancestor. Siblings are
    ordered by name, so the numbers do not depend on the order of `names`. Raises `ValueError` for
    a lineage whose length is not that of `ranks`.
    """
    order = tuple(ranks)
    keys = [_key(name, order) for name in names]
    parents: dict[_Key, _Key] = {}
    for key in set(keys):
        _add_with_ancestors(key, parents)
    preorder = _preorder(parents, order)
    number = {key: taxon_id for taxon_id, key in enumerate(preorder)}
    parent_id = np.fromiter(
        (number[parents[key]] if key in parents else NO_PARENT for key in preorder),
        dtype=np.int32,
        count=len(preorder),
    )
    last_descendant, depth = _extents(parent_id)
    labels = [_label(key, order) for key in preorder]
    assignment = np.fromiter((number[key] for key in keys), dtype=np.int32, count=len(keys))
    return TaxonTree(
        ranks=order,
        scientific_name=tuple(name for name, _ in labels),
        rank=tuple(rank for _, rank in labels),
        parent_id=parent_id,
        last_descendant=last_descendant,
        depth=depth,
        common_names=_common_names(names, assignment.tolist(), len(preorder)),
        lineage=tuple(key.lineage for key in preorder),
        assignment=assignment,
    )


def canonical_name(scientific_name: str) -> str:
    """Return a scientific name without its author and year, and without "sp." or "subsp.".

    "Canis lupus Linnaeus, 1758" gives "Canis lupus"; "Canis sp." gives "Canis". A name in doubt
    ("Canis cf. lupus"), a hybrid or a name that does not follow the rules stays as it is.
    """
    words = scientific_name.split()
    if not words or _DOUBTS.intersection(words):
        return " ".join(words)
    kept = [words[0]]
    rest = words[1:]
    if rest and rest[0].startswith("(") and rest[0].endswith(")") and _is_epithet(rest[1:2]):
        rest = rest[1:]  # a subgenus: "Bombus (Pyrobombus) impatiens"
    for index, word in enumerate(rest):
        if word in _MARKERS and _is_epithet(rest[index + 1 : index + 2]):
            if _MARKERS[word] != "subspecies":
                kept.append(word)
        elif _is_epithet([word]):
            kept.append(word)
        else:
            break
    return " ".join(kept)


def _is_epithet(words: Sequence[str]) -> bool:
    """Return whether the first of the words is one: small letters, perhaps with hyphens."""
    word = words[0] if words else ""
    letters = word.replace("-", "")
    return letters.isalpha() and letters.islower() and word not in _PARTICLES | _NO_SPECIES


def _key(name: TaxonName, ranks: tuple[str, ...]) -> _Key:
    """Return the key of the taxon that a name belongs to."""
    if len(name.lineage) != len(ranks):
        raise ValueError(
            f"the lineage of {name.scientific_name!r} has {len(name.lineage)} names, "
            f"but there are {len(ranks)} ranks"
        )
    lineage = _with_species(tuple(map(_tidy, name.lineage)), ranks)
    own = canonical_name(_tidy(name.scientific_name))
    if not own or own in lineage:
        return _Key(lineage)
    lineage = _with_binomial(lineage, own, ranks)
    named = {fold(part) for part in lineage if part}
    # A name that is one of its own ancestors says less than the lineage does.
    if fold(own) in named or fold(name.scientific_name) in named:
        return _Key(lineage)
    return _Key(lineage, _rank_below(own, lineage, ranks), own)


def _tidy(name: str) -> str:
    """Return a name with single spaces; "" for one without a letter or digit, such as "-"."""
    return " ".join(name.split()) if any(map(str.isalnum, name)) else ""


def _with_species(lineage: Lineage, ranks: tuple[str, ...]) -> Lineage:
    """Write "Canis lupus" where a source has genus Canis and, at species, the epithet lupus."""
    if "species" not in ranks or "genus" not in ranks:
        return lineage
    species, genus = ranks.index("species"), ranks.index("genus")
    epithet = lineage[species]
    if not lineage[genus] or " " in epithet or not _is_epithet([epithet]):
        return lineage
    return _replaced(lineage, species, f"{lineage[genus]} {epithet}")


def _with_binomial(lineage: Lineage, own: str, ranks: tuple[str, ...]) -> Lineage:
    """Put a binomial at the empty rank of species, unless the genus given is another one."""
    words = own.split()
    if "species" not in ranks or len(words) != 2 or not _is_epithet(words[1:]):
        return lineage
    species = ranks.index("species")
    genus = lineage[ranks.index("genus")] if "genus" in ranks else ""
    if any(lineage[species:]) or (genus and fold(genus) != fold(words[0])):
        return lineage
    return _replaced(lineage, species, own)


def _replaced(lineage: Lineage, index: int, name: str) -> Lineage:
    return (*lineage[:index], name, *lineage[index + 1 :])


def _rank_below(own: str, lineage: Lineage, ranks: tuple[str, ...]) -> str:
    """Return the rank of a taxon below the last named rank of its lineage."""
    words = own.split()
    marked = next((_MARKERS[word] for word in words if word in _MARKERS), "subspecies")
    species = lineage[ranks.index("species")] if "species" in ranks else ""
    three = [word for word in words if word not in _MARKERS]
    if species and len(three) == 3 and fold(" ".join(three[:2])) == fold(species):
        return marked
    if not any(lineage) and len(words) == 2 and _is_epithet(words[1:]):
        return "species"
    return UNRANKED


def _add_with_ancestors(key: _Key, parents: dict[_Key, _Key]) -> None:
    """Enter a taxon and all above it; `parents` has no entry for the root."""
    while key not in parents:
        above = _parent(key)
        if above is None:
            return
        parents[key] = above
        key = above


def _parent(key: _Key) -> _Key | None:
    """Return the nearest named ancestor's key, None for the root."""
    if key.own_name:
        return _Key(key.lineage)
    named = [index for index, name in enumerate(key.lineage) if name]
    return _Key(_replaced(key.lineage, named[-1], "")) if named else None


def _label(key: _Key, ranks: tuple[str, ...]) -> tuple[str, str]:
    """Return a taxon's name and rank."""
    if key.own_name:
        return key.own_name, key.own_rank
    named = [index for index, name in enumerate(key.lineage) if name]
    return (key.lineage[named[-1]], ranks[named[-1]]) if named else (ROOT_NAME, ROOT_RANK)


def _preorder(parents: dict[_Key, _Key], ranks: tuple[str, ...]) -> list[_Key]:
    """Return every taxon before its descendants, siblings by name, then by rank and key."""
    root = _Key(("",) * len(ranks))
    children: dict[_Key, list[_Key]] = {}
    for key, above in parents.items():
        children.setdefault(above, []).append(key)
    for siblings in children.values():
        siblings.sort(key=lambda key: (*_label(key, ranks), key), reverse=True)
    found, waiting = [], [root]
    while waiting:
        key = waiting.pop()
        found.append(key)
        waiting.extend(children.get(key, ()))
    return found


def _extents(parent_id: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return each taxon's last descendant and depth, from preorder parents."""
    above = parent_id.tolist()
    last = list(range(len(above)))
    depth = [0] * len(above)
    for taxon_id in range(1, len(above)):
        depth[taxon_id] = depth[above[taxon_id]] + 1
    for taxon_id in range(len(above) - 1, 0, -1):
        last[above[taxon_id]] = max(last[above[taxon_id]], last[taxon_id])
    return np.array(last, dtype=np.int32), np.array(depth, dtype=np.int32)


def _common_names(
    names: Sequence[TaxonName], assignment: Sequence[int], taxa: int
) -> tuple[tuple[CommonName, ...], ...]:
    """Return each taxon's common names once, the most often given first."""
    given: list[list[CommonName]] = [[] for _ in range(taxa)]
    for name, taxon_id in zip(names, assignment, strict=True):
        given[taxon_id].extend(name.common_names)
    found = []
    for several in given:
        counts = Counter(name for name in several if name.name.strip())
        ranked = sorted(counts, key=lambda name: (-counts[name], name.language, name.name))
        found.append(tuple(ranked))
    return tuple(found)
