"""Every name of every taxon, in memory, for recognising names in a question within microseconds.

A name is found by a hash of its folded form, so a million names take tens of megabytes. Common
names are kept without their number: "tree frogs" and "Tree Frog" are one. Knows no catalog: it is
made from columns. Immutable once made: safe from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.reading.folded import folded_name
from atlas.reading.typos import TypoIndex

# Ranks whose common names name one kind of organism; above them a name is of a group.
SPECIES_RANKS = frozenset({"species", "subspecies", "variety", "form"})
_LOW_RANKS = SPECIES_RANKS | {"genus", "unranked"}
# Marks the keys of scientific names, which have no number to be without.
_SCIENTIFIC = "="
_SHORTEST_PART = 3


class NameColumns(NamedTuple):
    """Names row by row, and taxa by id; the names of taxon t are rows with `taxon_id` t."""

    name: Sequence[str]
    taxon_id: npt.NDArray[np.int32]
    is_scientific: npt.NDArray[np.bool_]
    scientific_name: Sequence[str]  # by taxon id
    rank: Sequence[str]  # by taxon id
    last_descendant: npt.NDArray[np.int32]  # by taxon id
    images: npt.NDArray[np.int64]  # by taxon id


class NameFound(NamedTuple):
    """A taxon by a name. `several` says that unrelated taxa have it, of which this has most images.

    `is_part` marks a name out of a list of names: "Frogs" of "Frogs and Toads".
    """

    taxon_id: int
    scientific_name: str
    is_scientific: bool
    is_species: bool
    is_part: bool
    several: bool


class Numberless:
    """Words without their number, the same for singular and plural.

    Works for languages whose plural is made with s; what is irregular is passed in.
    """

    def __init__(self, irregular: Mapping[str, str]) -> None:
        self._irregular = dict(irregular)
        self._known: dict[str, str] = {}

    def __call__(self, words: str) -> str:
        """Folded words, each brought to its form without number."""
        return " ".join(map(self._word, words.split(" ")))

    def is_plural(self, word: str) -> bool:
        """Whether a folded word looks like a plural."""
        return word in self._irregular or (
            len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
        )

    def _word(self, word: str) -> str:
        known = self._known.get(word)
        if known is None:
            known = self._without_number(self._irregular.get(word, word))
            if len(self._known) < 1_000_000:
                self._known[word] = known
        return known

    @staticmethod
    def _without_number(word: str) -> str:
        if len(word) <= 3 or word.endswith("ss"):
            return word
        stem = word.removesuffix("s").removesuffix("e")
        if stem.endswith("i"):
            return f"{stem[:-1]}y"
        return f"{stem[:-1]}z" if stem.endswith("c") else stem


class TaxonLexicon:
    """Taxa by name."""

    def __init__(
        self,
        columns: NameColumns,
        *,
        irregular: Mapping[str, str],
        joins: Iterable[str],
        not_names: frozenset[str] = frozenset(),
    ) -> None:
        """`joins` are the words for "and" in names of several groups."""
        self.numberless = Numberless(irregular)
        self._parts = re.compile(
            rf"\s*(?:,|&|;)\s*(?:(?:{'|'.join(map(re.escape, joins))})\s+)?"
            rf"|\s+(?:{'|'.join(map(re.escape, joins))})\s+",
            re.IGNORECASE,
        )
        self._not_names = not_names
        self._scientific_name = pa.array(columns.scientific_name, pa.string())
        self._last_descendant = columns.last_descendant
        self._images = columns.images
        self._is_species = np.fromiter(
            (rank in SPECIES_RANKS for rank in columns.rank), bool, len(columns.rank)
        )
        keys: list[str] = []
        taxa: list[int] = []
        is_part: list[bool] = []
        for name, taxon_id, scientific in zip(
            columns.name, columns.taxon_id.tolist(), columns.is_scientific.tolist(), strict=True
        ):
            if taxon_id == 0:
                continue  # "Life" is no taxon that anyone means
            for key, part in self._keys(name, scientific, columns.rank[taxon_id]):
                keys.append(key)
                taxa.append(taxon_id)
                is_part.append(part)
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._taxa = np.array(taxa, np.int32)[order]
        self._is_part = np.array(is_part, bool)[order]
        self._typos = TypoIndex(keys)

    def _keys(self, name: str, scientific: bool, rank: str) -> list[tuple[str, bool]]:
        folded = folded_name(name)
        if not folded:
            return []
        if scientific:
            return [(_SCIENTIFIC + folded, False)]
        found = [(self.numberless(folded), False)]
        if rank not in _LOW_RANKS:
            parts = [folded_name(part) for part in self._parts.split(name)]
            found += [
                (self.numberless(part), True)
                for part in parts
                if part != folded and len(part) >= _SHORTEST_PART and part not in self._not_names
            ]
        return found

    def __len__(self) -> int:
        """The number of keys."""
        return len(self._hashes)

    def find(self, names: Sequence[str]) -> list[NameFound | None]:
        """For each folded name the taxon that it names; whole names before parts of names."""
        keys = [_SCIENTIFIC + name for name in names] + [self.numberless(name) for name in names]
        wanted = np.fromiter(map(hash, keys), np.int64, len(keys))
        low = np.searchsorted(self._hashes, wanted, "left")
        high = np.searchsorted(self._hashes, wanted, "right")
        found: list[NameFound | None] = []
        for index in range(len(names)):
            answer = None
            for at, scientific in ((index, True), (index + len(names), False)):
                if answer is None and low[at] < high[at]:
                    answer = self._chosen(int(low[at]), int(high[at]), scientific)
            found.append(answer)
        return found

    def scientific(self, name: str) -> NameFound | None:
        """The taxon of a folded scientific name."""
        found = self.find([name])[0]
        return found if found is not None and found.is_scientific else None

    def near(self, name: str) -> NameFound | None:
        """The taxon whose name is one typing error away; None where none or several are."""
        scientific = self._typos.near(_SCIENTIFIC + name)
        key = scientific or self._typos.near(self.numberless(name))
        if key is None:
            return None
        wanted = np.int64(hash(key))
        low = int(np.searchsorted(self._hashes, wanted, "left"))
        high = int(np.searchsorted(self._hashes, wanted, "right"))
        return self._chosen(low, high, scientific is not None)

    def _chosen(self, low: int, high: int, scientific: bool) -> NameFound:
        whole = [at for at in range(low, high) if not self._is_part[at]]
        taxa = sorted({int(self._taxa[at]) for at in whole or range(low, high)})
        # In preorder an ancestor has the least number, and all below it lies up to its last.
        several = int(self._last_descendant[taxa[0]]) < taxa[-1]
        chosen = max(taxa, key=lambda taxon: int(self._images[taxon])) if several else taxa[0]
        return NameFound(
            taxon_id=chosen,
            scientific_name=self._scientific_name[chosen].as_py(),
            is_scientific=scientific,
            is_species=bool(self._is_species[chosen]),
            is_part=not whole,
            several=several,
        )
