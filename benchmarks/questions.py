"""The questions of the search benchmark: queries with conditions, and their true answers.

All systems are asked the same. The truth is exact: float32 products with the stored float16
vectors of every row that meets the condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.conditions import ANYTHING, Box, Condition, WorldOnDisk, month_of
from benchmarks.vectors import Matrix
from benchmarks.worlds import QUERY_KINDS, SOURCES, Queries

FILTERS = ("none", "random", "own_taxon", "other_taxon", "taxon_region", "region_month")
RANDOM_SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
TAXON_SHARES = (0.1, 0.01, 0.001, 0.0001)
HITS = 10
# The taxon and the region of two-term filters each hold about this share of the rows.
_TERM_SHARE = 0.1
_BLOCK_ROWS = 16_384
_STREAM = 3


class Question(NamedTuple):
    """A query vector, (dim,) float32, and the condition that its answers must meet."""

    vector: npt.NDArray[np.float32]
    condition: Condition


class Case(NamedTuple):
    """Questions of one kind under one filter; `share` is the selectivity aimed at, 1 for none."""

    filter: str
    share: float
    kind: str
    questions: tuple[Question, ...]


class Truth(NamedTuple):
    """Row numbers of the true best hits, best first, and how many rows pass."""

    rows: npt.NDArray[np.int64]
    passing: int


class _Taxa:
    """The taxa of a world by their share of its rows."""

    def __init__(self, data: WorldOnDisk) -> None:
        self.nodes = data.world.lineages.nodes
        of_species = np.bincount(data.columns["species"], minlength=len(self.nodes))
        self.of_species = of_species
        self.taxa: list[tuple[int, int]] = []
        counts: list[int] = []
        for depth, names in enumerate(data.world.lineages.names):
            held = np.bincount(self.nodes[:, depth], of_species, minlength=len(names))
            # A nameless taxon of real data cannot be asked for.
            named = [node for node in range(len(names)) if names[node] and held[node]]
            self.taxa += [(depth, node) for node in named]
            counts += [int(held[node]) for node in named]
        self.share = np.array(counts) / data.rows

    def near(self, share: float) -> list[tuple[int, int]]:
        """Taxa that hold half to twice a share of the rows, or the nearest where none does."""
        away = np.abs(np.log2(self.share / share))
        within = np.flatnonzero(away <= max(1.0, float(away.min())))
        return [self.taxa[at] for at in within]

    def species_in(self, taxon: tuple[int, int], random: np.random.Generator) -> int:
        """A species of a taxon, drawn by abundance."""
        weights = self.of_species * (self.nodes[:, taxon[0]] == taxon[1])
        return int(random.choice(len(weights), p=weights / weights.sum()))

    def holds(self, taxon: tuple[int, int], species: int) -> bool:
        """Whether a species belongs to a taxon."""
        return bool(self.nodes[species, taxon[0]] == taxon[1])


def cases(data: WorldOnDisk, filters: Sequence[str], count: int) -> list[Case]:
    """`count` questions of each kind under each filter and share, in the order of `FILTERS`."""
    made: list[Case] = []
    pool = data.world.queries(count)
    taxa = _Taxa(data)
    for name in FILTERS:
        if name not in filters:
            continue
        for number, kind in enumerate(QUERY_KINDS):
            random = np.random.default_rng([data.world.seed, _STREAM, FILTERS.index(name), number])
            made += _cases(data, taxa, pool[kind], name, kind, random)
    return made


def _cases(
    data: WorldOnDisk,
    taxa: _Taxa,
    pool: Queries,
    name: str,
    kind: str,
    random: np.random.Generator,
) -> Iterator[Case]:
    count = len(pool.species)
    if name == "none":
        yield _case(name, 1.0, kind, pool, [ANYTHING] * count)
    elif name == "random":
        for share in RANDOM_SHARES:
            number = [known for _, known in SOURCES].index(share)
            yield _case(name, share, kind, pool, [Condition(source=number)] * count)
    elif name == "other_taxon":
        for share in TAXON_SHARES:
            conditions = [Condition(taxon=taxon) for taxon in _others(taxa, share, pool, random)]
            yield _case(name, share, kind, pool, conditions)
    elif name == "own_taxon":
        for share in TAXON_SHARES:
            own, queries = _own(data, taxa, share, kind, count, random)
            yield _case(name, share, kind, queries, [Condition(taxon=taxon) for taxon in own])
    elif name == "taxon_region":
        own, queries = _own(data, taxa, _TERM_SHARE, kind, count, random)
        pairs = zip(own, _boxes(data, queries), strict=True)
        both = [Condition(taxon=taxon, box=box) for taxon, box in pairs]
        yield _case(name, 0.01, kind, queries, both)
    else:
        dated = zip(_boxes(data, pool), month_of(pool.seen.day).tolist(), strict=True)
        yield _case(name, 0.01, kind, pool, [Condition(box=box, month=m) for box, m in dated])


def _case(
    name: str, share: float, kind: str, queries: Queries, conditions: Sequence[Condition]
) -> Case:
    asked = zip(queries.vectors, conditions, strict=True)
    return Case(name, share, kind, tuple(Question(*pair) for pair in asked))


def _own(
    data: WorldOnDisk,
    taxa: _Taxa,
    share: float,
    kind: str,
    count: int,
    random: np.random.Generator,
) -> tuple[list[tuple[int, int]], Queries]:
    """Taxa of about a share of the rows, and a query of each."""
    near = taxa.near(share)
    own = [near[at] for at in random.integers(len(near), size=count)]
    species = np.array([taxa.species_in(taxon, random) for taxon in own], np.int32)
    return own, data.world.queries_of(kind, species, random)


def _others(
    taxa: _Taxa, share: float, pool: Queries, random: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """For each query a taxon of about a share of the rows that it does not belong to."""
    near = taxa.near(share)
    for species in pool.species.tolist():
        others = [taxon for taxon in near if not taxa.holds(taxon, species)] or near
        yield others[random.integers(len(others))]


def _boxes(data: WorldOnDisk, queries: Queries) -> Iterator[Box]:
    """A box around the place of each query that holds about a tenth of all rows."""
    step = max(1, data.rows // 50_000)
    latitudes = np.asarray(data.columns["latitude"][::step])
    longitudes = np.asarray(data.columns["longitude"][::step])
    for latitude, longitude in zip(queries.seen.latitude, queries.seen.longitude, strict=True):
        # Half the width of the square that a row would just lie in; a degree counts the same
        # both ways, as in a box that a person draws on a map.
        away = np.maximum(np.abs(latitudes - latitude), np.abs(longitudes - longitude) / 2)
        half = float(np.quantile(away, _TERM_SHARE))
        yield (
            round(max(-180.0, float(longitude) - 2 * half), 4),
            round(max(-90.0, float(latitude) - half), 4),
            round(min(180.0, float(longitude) + 2 * half), 4),
            round(min(90.0, float(latitude) + half), 4),
        )


def answers(data: WorldOnDisk, asked: Sequence[Case]) -> list[list[Truth]]:
    """The truth of every question, in the order of the cases."""
    questions = [question for case in asked for question in case.questions]
    number: dict[bytes, int] = {}
    query_of = [number.setdefault(q.vector.tobytes(), len(number)) for q in questions]
    first = {at: i for i, at in reversed(list(enumerate(query_of)))}
    queries: Matrix = np.stack([questions[first[at]].vector for at in range(len(number))])
    best = [_Best() for _ in questions]
    for start in range(0, data.rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, data.rows)
        scores = queries @ data.vectors[start:stop].astype(np.float32).T
        passing: dict[Condition, npt.NDArray[np.int64]] = {}
        for at, question in enumerate(questions):
            condition = question.condition
            if condition not in passing:
                passing[condition] = np.flatnonzero(data.passes(condition, start, stop))
            best[at].add(scores[query_of[at]], passing[condition], start)
    found = iter(best)
    return [[next(found).truth() for _ in case.questions] for case in asked]


class _Best:
    """The best hits of one question so far."""

    def __init__(self) -> None:
        self._scores = np.empty(0, np.float32)
        self._rows = np.empty(0, np.int64)
        self._passing = 0

    def add(
        self, scores: npt.NDArray[np.float32], inside: npt.NDArray[np.int64], start: int
    ) -> None:
        """Scores of a block and the positions in it that pass."""
        self._passing += len(inside)
        own = scores[inside]
        if len(self._scores) == HITS:
            better = own > self._scores[-1]
            own, inside = own[better], inside[better]
        scores = np.concatenate([self._scores, own])
        rows = np.concatenate([self._rows, inside + start])
        if len(scores) > HITS:
            kept = np.argpartition(-scores, HITS - 1)[:HITS]
            scores, rows = scores[kept], rows[kept]
        order = np.lexsort((rows, -scores))
        self._scores, self._rows = scores[order], rows[order]

    def truth(self) -> Truth:
        """What was found."""
        return Truth(self._rows, self._passing)
