"""A query set of the demonstration atlas, whose right answers follow from what was drawn.

Truth is the look of each picture, never the model's opinion of it. One seed gives one set.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from atlas.bundle.image_ids import image_id_of
from illustrated.captions import fits, names_of_its_own, phrase
from illustrated.evaluation import HEADLINE_TEXT
from illustrated.faults import Made, with_faults
from illustrated.looks import HEADLINE, Look
from illustrated.records import RecordMaker

# Attributes that the queries of a category name, in turn.
FAMILIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "appearance": (
        ("group", "body"),
        ("group", "accent"),
        ("group", "pattern"),
        ("group", "plan", "body"),
        ("group", "body", "accent"),
    ),
    "place": (("group", "habitat"), ("group", "plan", "habitat")),
    "appearance in a place": (
        ("group", "accent", "habitat"),
        ("group", "body", "habitat"),
        ("group", "body", "pattern", "habitat"),
    ),
}
SPECIES = "species"
# Fewer right answers say little of a ranking; the whole atlas as answer says nothing.
_FEWEST, _MOST = 3, 300


class AtlasQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A question, its category, and the ids of all pictures that are right answers."""

    text: str
    category: str
    image_ids: tuple[str, ...]


class _Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of the atlas: its id, what is drawn, and what it was named."""

    image_id: str
    look: Look
    species: str
    common_name: str


def atlas_queries(
    records: int, atlas_seed: int, source_key: str, each: int, seed: int
) -> list[AtlasQuery]:
    """`each` queries of every category over the atlas that `illustrated make` draws.

    `records` and `atlas_seed` are those that the atlas was made with, `source_key` its source's key
    in the plan. No meaning is asked twice, and "red-eyed frogs near rivers" is asked where there
    are such pictures. Raises ValueError where the atlas has too few pictures for so many queries.
    """
    pictures = [
        _picture(made, source_key)
        for made in with_faults(RecordMaker(atlas_seed).make(records))
        if made.fate != "rejected"
    ]
    random = np.random.default_rng([seed, 21])
    queries: list[AtlasQuery] = []
    for category, families in FAMILIES.items():
        of_category = list(_about_looks(random, pictures, category, families, each))
        if len(of_category) < each:
            raise ValueError(f"only {len(of_category)} queries of category {category!r} to ask")
        queries += of_category
    return queries + _about_species(random, pictures, each)


def write_queries(path: Path, queries: list[AtlasQuery]) -> None:
    """Write one row a query, as `indexer evaluate` reads it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["query", "category", "image_id"])
        writer.writerows([one.text, one.category, "|".join(one.image_ids)] for one in queries)


def _picture(made: Made, source_key: str) -> _Picture:
    row = made.record.row
    return _Picture(
        image_id=image_id_of(source_key, row["occurrenceID"], row["file"]),
        look=made.record.look,
        species=row["species"],
        common_name=row["vernacularName"],
    )


def _about_looks(
    random: np.random.Generator,
    pictures: list[_Picture],
    category: str,
    families: tuple[tuple[str, ...], ...],
    each: int,
) -> Iterator[AtlasQuery]:
    """Up to `each` queries about the looks of pictures drawn at random, family after family."""
    asked: set[tuple[str, ...]] = set()
    texts: set[str] = set()
    right = [p for p in pictures if (p.look.group, p.look.accent, p.look.habitat) == HEADLINE]
    if right and ("group", "accent", "habitat") in families:
        asked.add(("group", "accent", "habitat", *HEADLINE))
        texts.add(HEADLINE_TEXT)
        yield _query(HEADLINE_TEXT, category, right)
    for turn, number in enumerate(random.permutation(len(pictures))):
        if len(asked) == each:
            return
        named = families[turn % len(families)]
        look = pictures[number].look
        meaning = (*named, *(getattr(look, name) for name in named))
        if meaning in asked or ("plan" in named and not names_of_its_own(look.plan)):
            continue
        right = [picture for picture in pictures if fits(picture.look, look, named)]
        text = phrase(random, look, named)
        if text not in texts and _FEWEST <= len(right) <= _MOST:
            asked.add(meaning)
            texts.add(text)
            yield _query(text, category, right)


def _about_species(
    random: np.random.Generator, pictures: list[_Picture], each: int
) -> list[AtlasQuery]:
    """Common names of `each` species, as in the species table; words that no training saw."""
    by_species: dict[str, list[_Picture]] = {}
    for picture in pictures:
        if picture.species:
            by_species.setdefault(picture.species, []).append(picture)
    names = sorted(name for name, found in by_species.items() if len(found) >= _FEWEST)
    if len(names) < each:
        raise ValueError(f"only {len(names)} species have {_FEWEST} pictures")
    chosen = [names[number] for number in random.permutation(len(names))[:each]]
    return [_query(by_species[name][0].common_name, SPECIES, by_species[name]) for name in chosen]


def _query(text: str, category: str, right: list[_Picture]) -> AtlasQuery:
    return AtlasQuery(
        text=text, category=category, image_ids=tuple(picture.image_id for picture in right)
    )
