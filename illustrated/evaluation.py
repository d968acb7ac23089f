"""How well a model finds drawings that its training never saw, nor their combinations.

Every query names a combination that was held out (illustrated.looks), and is asked over newly
drawn pictures. A hit counts only when all attributes that the query names match.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from illustrated.captions import fits, phrase
from illustrated.drawing import draw
from illustrated.looks import (
    COLOURS,
    EYED_GROUPS,
    GROUPS,
    HABITATS,
    HEADLINE,
    PATTERNS,
    Look,
    held_out_triples,
    random_look,
)
from illustrated.model_folder import OpenedModel

HEADLINE_TEXT = "red-eyed frogs near rivers"
RELEVANT_EACH = 12
_TOP = 10
# Query families over held-out combinations, and the triple that makes each one held out.
HELD_OUT_FAMILIES: dict[tuple[str, ...], str] = {
    ("group", "body", "habitat"): "body_habitat",
    ("group", "accent", "habitat"): "accent_habitat",
    ("group", "body", "accent"): "body_accent",
    ("group", "body", "accent", "habitat"): "accent_habitat",
    ("group", "body", "pattern", "habitat"): "body_habitat",
}
# Asked for information: their words occur in training, their pictures do not.
SEEN_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("group",),
    ("habitat",),
    ("group", "habitat"),
    ("group", "body"),
    ("group", "accent"),
    ("group", "pattern"),
)
# Seeds of evaluation drawings start here; training seeds end below (see drawings_cache).
_FIRST_SEED = 5_000_000_000


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A question, the look it means and the attributes it names."""

    text: str
    wanted: Look
    named: tuple[str, ...]
    held_out: bool

    @property
    def family(self) -> str:
        """Name of the kind of question."""
        return "+".join(self.named)


class FamilyScore(msgspec.Struct, frozen=True, kw_only=True):
    """Precision at 10 of one family of queries."""

    family: str
    held_out: bool
    queries: int
    precision_at_10: float
    worst: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate` found; `precision_at_10` is the mean over the held-out queries alone."""

    queries: int
    held_out_queries: int
    pictures: int
    precision_at_10: float
    headline_hits: int
    families: tuple[FamilyScore, ...]


def make_queries(count: int, seed: int) -> list[Query]:
    """`count` held-out queries over all families and the headline, then seen ones."""
    random = np.random.default_rng([seed, 11])
    headline = random_look(random, group=HEADLINE[0], accent=HEADLINE[1], habitat=HEADLINE[2])
    named: tuple[str, ...] = ("group", "accent", "habitat")
    queries = [Query(text=HEADLINE_TEXT, wanted=headline, named=named, held_out=True)]
    # A family has a few dozen held-out combinations at most; one that runs out leaves its turns
    # to the others.
    waiting = [deque(_held_out_looks(random, family, headline)) for family in HELD_OUT_FAMILIES]
    if count - 1 > sum(map(len, waiting)):
        raise ValueError(f"there are {1 + sum(map(len, waiting))} held-out questions, not {count}")
    turns = itertools.cycle(zip(HELD_OUT_FAMILIES, waiting, strict=True))
    while len(queries) < count:
        named, looks = next(turns)
        if looks:
            wanted = looks.popleft()
            text = phrase(random, wanted, named)
            queries.append(Query(text=text, wanted=wanted, named=named, held_out=True))
    for named in SEEN_FAMILIES:
        for _ in range(8):
            wanted = random_look(random)
            text = phrase(random, wanted, named)
            queries.append(Query(text=text, wanted=wanted, named=named, held_out=False))
    return queries


def _held_out_looks(
    random: np.random.Generator, named: tuple[str, ...], headline: Look
) -> list[Look]:
    """One look for each held-out combination of a family but the headline's, in random order."""
    words = {"group": GROUPS, "body": COLOURS, "accent": COLOURS, "pattern": PATTERNS}
    words["habitat"] = HABITATS
    looks = []
    for combination in itertools.product(*(words[name] for name in named)):
        fixed = dict(zip(named, combination, strict=True))
        if fixed.get("body") == fixed.get("accent") and fixed["group"] not in EYED_GROUPS:
            continue  # an accent on its own colour cannot be seen
        look = random_look(random, **fixed)
        asked_already = all(getattr(headline, name) == fixed[name] for name in named)
        if HELD_OUT_FAMILIES[named] in held_out_triples(look) and not asked_already:
            looks.append(look)
    return [looks[i] for i in random.permutation(len(looks))]


def gallery_looks(queries: list[Query], seed: int) -> list[Look]:
    """For every held-out query twelve looks that fit it, and near misses of each attribute."""
    random = np.random.default_rng([seed, 12])
    looks = []
    for query in queries:
        if not query.held_out:
            continue
        fixed = {name: getattr(query.wanted, name) for name in query.named}
        looks += [random_look(random, **fixed) for _ in range(RELEVANT_EACH)]
        looks += list(_near_misses(random, fixed))
    return looks


def _near_misses(random: np.random.Generator, fixed: dict[str, str]) -> Iterator[Look]:
    """One look for each named attribute that differs in that attribute."""
    for changed in fixed:
        kept = {name: word for name, word in fixed.items() if name != changed}
        if changed == "group":
            kept.pop("body", None)
        yield random_look(random, **kept)


def as_served(look: Look, seed: int, side_px: int = 320) -> Image.Image:
    """A drawing as the atlas keeps it: through a JPEG file."""
    file = BytesIO()
    draw(look, seed, side_px).save(file, format="JPEG", quality=88)
    picture = Image.open(file)
    picture.load()
    return picture


def evaluate(model_folder: Path, queries: int = 200, seed: int = 1, side_px: int = 192) -> Report:
    """Ask `queries` held-out questions over newly drawn pictures, `side_px` wide.

    Takes about a minute on two cores for 200 queries (some 3,000 drawings).
    """
    model = OpenedModel(model_folder)
    asked = make_queries(queries, seed)
    looks = gallery_looks(asked, seed)
    first = _FIRST_SEED + seed * 1_000_000
    vectors = []
    for start in range(0, len(looks), 128):
        chunk = looks[start : start + 128]
        pictures = [as_served(look, first + start + i, side_px) for i, look in enumerate(chunk)]
        vectors.append(model.encode_pictures(pictures).numpy())
    scores = model.encode_texts([query.text for query in asked]).numpy() @ np.concatenate(vectors).T
    best = np.argsort(-scores, axis=1)[:, :_TOP]
    hits = [
        sum(fits(looks[row], query.wanted, query.named) for row in rows)
        for query, rows in zip(asked, best, strict=True)
    ]
    return _report(asked, hits, len(looks))


def _report(asked: list[Query], hits: list[int], pictures: int) -> Report:
    by_family: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for query, found in zip(asked, hits, strict=True):
        by_family[query.held_out, query.family].append(found)
    families = tuple(
        FamilyScore(
            family=family,
            held_out=held_out,
            queries=len(found),
            precision_at_10=float(np.mean(found)) / _TOP,
            worst=min(found) / _TOP,
        )
        for (held_out, family), found in by_family.items()
    )
    held_out_hits = [found for q, found in zip(asked, hits, strict=True) if q.held_out]
    return Report(
        queries=len(asked),
        held_out_queries=len(held_out_hits),
        pictures=pictures,
        precision_at_10=float(np.mean(held_out_hits)) / _TOP,
        headline_hits=hits[0],
        families=families,
    )
