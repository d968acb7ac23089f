"""A made-up Linnean tree, few large groups and many small ones, written as a bundle has it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.species.taxa import TaxonName, build_tree
from indexer.tables.numbered_taxa import write_taxa

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
# Of 100,000 taxa, how many are of each rank: about as in the Catalogue of Life.
_SHARES = (0.00005, 0.0004, 0.0015, 0.007, 0.04, 0.17)
_ENDINGS = ("ia", "phyta", "opsida", "ales", "idae", "us", "ensis")


class Tree(NamedTuple):
    """Taxa by id, in preorder; `popularity` is each taxon's share of the records, sums to 1."""

    rank: tuple[str, ...]
    scientific_name: tuple[str, ...]
    last_descendant: npt.NDArray[np.int32]
    popularity: npt.NDArray[np.float64]


def write_tree(taxa: int, seed: int, taxa_path: Path, names_path: Path) -> Tree:
    """A tree of about so many taxa, written to two files, and what is made up about it.

    Species' shares follow Zipf's law, flattened at the top as in real tables, where the commonest
    has about one record in a hundred; three records in a hundred are known to a genus only.
    """
    rng = np.random.default_rng([seed, 1])
    tree = build_tree(_names(taxa, rng), RANKS)
    write_taxa(tree, taxa_path, names_path)
    ranks = np.array(tree.rank)
    popularity = np.zeros(len(tree))
    for rank, share, flat in (("species", 0.97, 10.0), ("genus", 0.03, 10.0)):
        (members,) = np.nonzero(ranks == rank)
        weight = 1.0 / (flat + rng.permutation(len(members)))
        popularity[members] = share * weight / weight.sum()
    return Tree(
        rank=tree.rank,
        scientific_name=tree.scientific_name,
        last_descendant=tree.last_descendant,
        popularity=popularity / popularity.sum(),
    )


def _names(taxa: int, rng: np.random.Generator) -> list[TaxonName]:
    counts = [max(2, round(taxa * share)) for share in _SHARES]
    counts.append(max(2, taxa - sum(counts)))
    above: list[list[str]] = [[]]
    for rank, count in enumerate(counts):
        # The first of a rank's groups have most of the next rank: insects, flowering plants.
        weight = 1.0 / (3.0 + rng.permutation(len(above)))
        parents = rng.choice(len(above), count, p=weight / weight.sum())
        # None stays empty, so that every taxon has a species below it.
        parents[: min(count, len(above))] = np.arange(len(above))[: min(count, len(above))]
        above = [
            [*above[parent], f"{RANKS[rank].title()}{number:05d}{_ENDINGS[rank]}"]
            for number, parent in enumerate(parents.tolist())
        ]
    return [TaxonName(lineage=tuple(path), scientific_name=path[-1]) for path in above]
