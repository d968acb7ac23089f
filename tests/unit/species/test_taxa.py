"""The tree of taxa: nothing dropped, subtrees are intervals, numbers do not depend on order."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.species.taxa import (
    CommonName,
    TaxonName,
    TaxonTree,
    build_tree,
    canonical_name,
    fold,
)

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
WOLF = ("Animalia", "Chordata", "Mammalia", "Carnivora", "Canidae", "Canis", "Canis lupus")


def name(lineage: tuple[str, ...], scientific: str | None = None, *common: str) -> TaxonName:
    """Make a name; the scientific name is the last of the lineage unless given."""
    last = next((part for part in reversed(lineage) if part), "")
    names = tuple(CommonName(name=c, language="en") for c in common)
    own = last if scientific is None else scientific
    return TaxonName(lineage=lineage, scientific_name=own, common_names=names)


def assigned(tree: TaxonTree, index: int = 0) -> tuple[str, str]:
    """Return name and rank of the taxon that an input was given."""
    taxon = int(tree.assignment[index])
    return tree.scientific_name[taxon], tree.rank[taxon]


def one(lineage: tuple[str, ...], scientific: str | None = None) -> tuple[str, str]:
    """Return name and rank of the only input of a tree."""
    return assigned(build_tree([name(lineage, scientific)], RANKS))


# Few letters, so that ranks repeat, go missing and collide as real tables do.
lineages = st.tuples(*[st.sampled_from(["", "A", "B", "C"])] * 3)
scientific = st.sampled_from(["", "A", "C", "D", "C c", "C c c", "D d", "C sp.", "D d (L., 1758)"])
inputs = st.lists(st.builds(name, lineages, scientific), max_size=25)
SHORT = ("family", "genus", "species")


@given(inputs, inputs)
@settings(deadline=None)
def test_more_names_never_change_the_order(names: list[TaxonName], more: list[TaxonName]) -> None:
    """Segments keep their rows in the order of an earlier tree; only the numbers may move."""
    few = build_tree(names, SHORT).assignment
    many = build_tree([*more, *names], SHORT).assignment[len(more) :]
    for earlier, later in pairwise(np.argsort(few, kind="stable").tolist()):
        assert (few[earlier] == few[later]) == (many[earlier] == many[later])
        assert many[earlier] <= many[later]


@given(inputs)
@settings(max_examples=150, deadline=None)
def test_a_subtree_is_an_interval(names: list[TaxonName]) -> None:
    """Fails if [id, last descendant] holds a stranger or misses a descendant: filters use it."""
    tree = build_tree(names, SHORT)
    for taxon in range(len(tree)):
        below = {t for t in range(len(tree)) if taxon in tree.ancestors(t)}
        assert below == set(range(taxon, int(tree.last_descendant[taxon]) + 1))
        assert len(tree.ancestors(taxon)) == tree.depth[taxon] + 1


@given(inputs, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_numbers_do_not_depend_on_the_order(names: list[TaxonName], rng: random.Random) -> None:
    """Fails if building the same data again, in other parts, gives other taxon ids."""
    order = list(range(len(names)))
    rng.shuffle(order)
    tree, other = build_tree(names, SHORT), build_tree([names[i] for i in order], SHORT)
    assert tree.scientific_name == other.scientific_name
    assert tree.rank == other.rank
    assert tree.lineage == other.lineage
    assert tree.common_names == other.common_names
    assert tree.parent_id.tolist() == other.parent_id.tolist()
    assert [int(tree.assignment[i]) for i in order] == other.assignment.tolist()


@given(inputs)
@settings(max_examples=150, deadline=None)
def test_every_name_gets_its_taxon(names: list[TaxonName]) -> None:
    """Fails if a name with missing ranks is dropped or loses its ancestors."""
    tree = build_tree(names, SHORT)
    for given_name, taxon in zip(names, tree.assignment.tolist(), strict=True):
        above = {(tree.scientific_name[t], tree.rank[t]) for t in tree.ancestors(taxon)}
        for rank, part in zip(SHORT[:2], given_name.lineage, strict=False):
            assert not part or (part, rank) in above
        assert tree.scientific_name[taxon] or taxon == 0


@given(inputs)
@settings(max_examples=100, deadline=None)
def test_siblings_are_ordered_by_name_and_distinct(names: list[TaxonName]) -> None:
    """Fails if siblings are unordered, or one taxon was entered twice."""
    tree = build_tree(names, SHORT)
    rows = list(
        zip(tree.parent_id.tolist(), tree.scientific_name, tree.rank, tree.lineage, strict=True)
    )
    assert len(set(rows)) == len(rows)
    for parent in set(tree.parent_id.tolist()):
        siblings = [row[1] for row in rows if row[0] == parent]
        assert siblings == sorted(siblings)


def test_no_names_is_the_root_alone() -> None:
    """Fails if an empty source breaks the build."""
    tree = build_tree([], RANKS)
    assert (tree.scientific_name, tree.rank) == (("Life",), ("root",))
    assert (tree.parent_id.tolist(), tree.last_descendant.tolist()) == ([-1], [0])
    assert tree.lineage == (("",) * 7,)


def test_full_lineage() -> None:
    """Fails if ranks are lost between the root and a species."""
    tree = build_tree([name(WOLF)], RANKS)
    assert tree.scientific_name == ("Life", *WOLF)
    assert tree.rank == ("root", *RANKS)
    assert tree.depth.tolist() == list(range(8))
    assert tree.lineage[3] == ("Animalia", "Chordata", "Mammalia", "", "", "", "")


def test_empty_ranks_are_kept() -> None:
    """Fails if a species without order and family is dropped, or hung below a made-up taxon."""
    lineage = ("Animalia", "", "", "", "", "Canis", "Canis lupus")
    tree = build_tree([name(lineage)], RANKS)
    assert tree.scientific_name == ("Life", "Animalia", "Canis", "Canis lupus")
    assert tree.lineage[3] == lineage


def test_homonyms_stay_apart() -> None:
    """Fails if the plant and the bird genus Oenanthe become one taxon."""
    bird = ("Animalia", "Chordata", "Aves", "Passeriformes", "Muscicapidae", "Oenanthe", "")
    plant = ("Plantae", "Tracheophyta", "Magnoliopsida", "Apiales", "Apiaceae", "Oenanthe", "")
    tree = build_tree([name(bird), name(plant)], RANKS)
    assert assigned(tree, 0) == assigned(tree, 1) == ("Oenanthe", "genus")
    assert tree.assignment[0] != tree.assignment[1]


@pytest.mark.parametrize(
    ("lineage", "scientific_name", "expected"),
    [
        (WOLF, "Canis lupus familiaris", ("Canis lupus familiaris", "subspecies")),
        (WOLF, "Canis lupus subsp. familiaris", ("Canis lupus familiaris", "subspecies")),
        (WOLF, "Canis lupus var. albus", ("Canis lupus var. albus", "variety")),
        (WOLF, "Canis lupus Linnaeus, 1758", ("Canis lupus", "species")),
        (WOLF, "Canis lupus (Linnaeus)", ("Canis lupus", "species")),
        (WOLF, "Canis", ("Canis lupus", "species")),
        (WOLF, "", ("Canis lupus", "species")),
        (WOLF, "  canis   LUPUS ", ("Canis lupus", "species")),
        (WOLF, "Lupus vulgaris", ("Lupus vulgaris", "unranked")),
        ((*WOLF[:6], "lupus"), "Canis lupus", ("Canis lupus", "species")),
        ((*WOLF[:6], ""), "Canis lupus", ("Canis lupus", "species")),
        ((*WOLF[:6], ""), "Canis sp.", ("Canis", "genus")),
        ((*WOLF[:6], ""), "Canis cf. lupus", ("Canis cf. lupus", "unranked")),
        ((*WOLF[:5], "", ""), "Canis lupus", ("Canis lupus", "species")),
        (("",) * 7, "Canis lupus", ("Canis lupus", "species")),
        (("",) * 7, "Canis", ("Canis", "unranked")),
        (("",) * 7, "  ", ("Life", "root")),
        (("-",) * 7, "?", ("Life", "root")),
        (("",) * 7, "Tobacco mosaic virus", ("Tobacco mosaic virus", "unranked")),
    ],
)
def test_rank_of_the_name_itself(
    lineage: tuple[str, ...], scientific_name: str, expected: tuple[str, str]
) -> None:
    """Fails if subspecies, authors' names or bare names land at the wrong rank."""
    assert one(lineage, scientific_name) == expected


def test_binomial_without_ranks_under_other_rank_names() -> None:
    """Fails if the tree takes it for granted that a plan's ranks include one named species."""
    tree = build_tree([name(("", ""), "Canis lupus")], ("family", "genus"))
    assert assigned(tree) == ("Canis lupus", "species")


def test_epithet_and_binomial_are_one_species() -> None:
    """Fails if a source that writes only the epithet at species makes a second wolf."""
    tree = build_tree([name(WOLF), name((*WOLF[:6], "lupus"), "Canis lupus")], RANKS)
    assert tree.assignment[0] == tree.assignment[1]


def test_common_names_most_given_first() -> None:
    """Fails if the name that is shown depends on the order of the records."""
    tree = build_tree(
        [name(WOLF, None, "gray wolf"), name(WOLF, None, "wolf"), name(WOLF, None, "wolf", " ")],
        RANKS,
    )
    found = [common.name for common in tree.common_names[int(tree.assignment[0])]]
    assert found == ["wolf", "gray wolf"]


def test_lineage_of_another_length_is_refused() -> None:
    """Fails if names could slide onto other ranks."""
    with pytest.raises(ValueError, match="ranks"):
        build_tree([name(("Animalia",))], RANKS)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Rana temporaria de Vries, 1800", "Rana temporaria"),
        ("Bombus (Pyrobombus) impatiens Cresson, 1863", "Bombus impatiens"),
        ("Carex flava L.", "Carex flava"),
        ("Quercus x hispanica", "Quercus x hispanica"),
        ("Polygonia c-album", "Polygonia c-album"),
        ("Canis spp.", "Canis"),
        ("Asterales", "Asterales"),
        ("", ""),
    ],
)
def test_canonical_name(given_name: str, expected: str) -> None:
    """Fails if one species under two authors' spellings would become two taxa."""
    assert canonical_name(given_name) == expected


@given(st.text(max_size=30))
def test_fold_is_stable(text: str) -> None:
    """Fails if a folded name folds again to another: completion compares folded with folded."""
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Red-eyed  Tree Frog", "red eyed tree frog"),
        ("Żółw BŁOTNY", "zo\u0142w b\u0142otny"),
        ("Grünspecht", "grunspecht"),
        ("Straße", "strasse"),
        ("Darwin\u2019s finch", "darwin's finch"),
        ("\u2010", ""),
    ],
)
def test_fold(given_name: str, expected: str) -> None:
    """Fails if accents, case or hyphens keep a person from finding a name."""
    assert fold(given_name) == expected
