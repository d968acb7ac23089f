"""A seeded tree of made-up taxa: seven ranks, siblings sized by Zipf's law, as real trees are.

Knows names and who is whose parent, nothing of rows or vectors. Pure functions of the generator
that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")

# Children that a node has on average, near the Catalogue of Life's: 4 species a genus, 6 genera a
# family, and so on up.
_CHILDREN = {"genus": 4, "family": 6, "order": 4, "class": 4, "phylum": 2.5, "kingdom": 4}
# A small world has fewer species, not fewer kinds of organism.
_LEAST = {"kingdom": 3, "phylum": 6, "class": 12, "order": 24}
_KINGDOMS = ("Animalia", "Plantae", "Fungi", "Chromista", "Protozoa")
_ENDINGS = {
    "phylum": "ozoa",
    "class": "opsida",
    "order": "iformes",
    "family": "idae",
    "genus": "us",
}
_SYLLABLES = tuple(first + second for first in "bcdfglmnprstv" for second in "aeiou")
_ZIPF = 0.8


class Lineages(NamedTuple):
    """Each species' node at every rank, `nodes` (species, 7) int32; `names` of nodes by rank."""

    nodes: npt.NDArray[np.int32]
    names: tuple[Sequence[str], ...]

    @property
    def species(self) -> int:
        """Number of species."""
        return len(self.nodes)


def zipf_shares(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """Shares that sum to one and fall as 1 / rank ** exponent, (count,)."""
    shares = 1.0 / (1.0 + np.arange(count)) ** exponent
    summed: npt.NDArray[np.float64] = shares / shares.sum()
    return summed


def grow(species: int, random: np.random.Generator) -> Lineages:
    """A tree of `species` species; no node is without children."""
    counts = [species]
    for rank in reversed(RANKS[:-1]):
        wanted = max(_LEAST.get(rank, 1), round(counts[0] / _CHILDREN[rank]))
        counts.insert(0, min(wanted, counts[0]))
    counts[0] = min(counts[0], len(_KINGDOMS))
    nodes = np.empty((species, len(RANKS)), np.int32)
    nodes[:, -1] = np.arange(species)
    for depth in range(len(RANKS) - 1, 0, -1):
        parent = _parents(counts[depth], counts[depth - 1], random)
        nodes[:, depth - 1] = parent[nodes[:, depth]]
    names: list[list[str]] = [list(_KINGDOMS[: counts[0]])]
    for rank, count in zip(RANKS[1:-1], counts[1:-1], strict=True):
        names.append([_word(number).capitalize() + _ENDINGS[rank] for number in range(count)])
    genera = nodes[:, -2]
    names.append([f"{names[-1][genera[i]]} {_word(i)}ensis" for i in range(species)])
    return Lineages(nodes, tuple(names))


def _parents(children: int, parents: int, random: np.random.Generator) -> npt.NDArray[np.int32]:
    """A parent for each child: one child each first, the others by Zipf's law."""
    parents = min(parents, children)
    chosen = random.choice(parents, children - parents, p=zipf_shares(parents, _ZIPF))
    together: npt.NDArray[np.int32] = np.concatenate([np.arange(parents), chosen]).astype(np.int32)
    return together


def _word(number: int) -> str:
    """A pronounceable word of two syllables or more; another number gives another word."""
    word = ""
    for _ in range(2):
        number, at = divmod(number, len(_SYLLABLES))
        word = _SYLLABLES[at] + word
    while number:
        number, at = divmod(number, len(_SYLLABLES))
        word = _SYLLABLES[at] + word
    return word
