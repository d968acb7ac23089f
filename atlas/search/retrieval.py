"""Answers one question about one bundle: which rows are nearest to a vector, page by page.

Synchronous and CPU-bound: call it off the event loop. Threads: safe from any; everything kept is
immutable or locked. Knows rows and scores, nothing of HTTP or of how text becomes a vector.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import LayerEntry, read_struct
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.geo.layers import Layers
from atlas.search.bursts import Bursts, NearDuplicates
from atlas.search.calibration import set_costs
from atlas.search.compiler import CompiledFilter, FilterCompiler, HeldBackFor
from atlas.search.cursor import digest_of, read_cursor, write_cursor
from atlas.search.curve import Curve
from atlas.search.diversity import DiverseRanking, Diversify, DiversitySettings
from atlas.search.filters import Filter, key_of
from atlas.search.fusion import FusionSettings
from atlas.search.groups import Groups, PlaceGroups, SpeciesGroups
from atlas.search.held import HeldLists
from atlas.search.inquiry import Hit, Inquiry, Preferred
from atlas.search.listing import Listing
from atlas.search.planner import Path, SearchSettings, SegmentPlan, space_indexes
from atlas.search.ranking import Ranking
from atlas.search.seasons import SeasonCounts, Seasons
from atlas.search.selection import Selection
from atlas.search.stored_groups import StoredGroups
from atlas.search.vectors import QueryVector, unit_vectors

MAX_LIMIT = 200
# Counts of a filter's rows in every list take 128 KB a segment at 16,384 lists.
_HELD_BYTES = 64 * 1024 * 1024
Vector = npt.NDArray[np.float32]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to find. `vector` is float32, (dim,), of any length above zero.

    `also` are vectors of the same question in further spaces, whose hits are fused with the
    first's. `prefer` are filters whose rows come further up, each within `filter`: a hit's score is
    then the sum of its reciprocal ranks among all hits and among those of each preference (see
    `fuse`), and nothing is left out. `diversify` asks for one hit a species or place, `collapse`
    for near-duplicates to stand behind one hit.
    `recall` is the recall@10 to aim at, None for the server's own; 1 takes the most that was
    measured, `exact` what is certain. `made_from` is what the vector was computed from, for example
    a text in UTF-8. A cursor is bound to it where it is given and to the vector where not: a text
    that is encoded again in other company may differ in a vector's last bits.
    """

    space: str
    vector: Vector
    filter: Filter = Filter()
    prefer: tuple[Filter, ...] = ()
    limit: int = 30
    cursor: str | None = None
    exact: bool = False
    recall: float | None = None
    also: Mapping[str, Vector] = {}
    diversify: Diversify = "none"
    collapse: bool = False
    made_from: bytes | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the page was found: the way taken (`mixed` when segments differ) and its cost."""

    path: Path | Literal["mixed"]
    rows_scored: int
    segments: tuple[SegmentPlan, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Hits in order, and what lies around them.

    The order is that of scores, then of row ids, in tiers (see `Ranking`, `FusedRanking`).

    `matching` is the exact number of rows that pass the filter, `held_back` that of rows which
    only the default quality filter hides, `held_back_for` by reason, `unjudged` that of rows of
    which the place layers in `cited` cannot tell. `next_cursor` is None after the last hit.
    """

    hits: tuple[Hit, ...]
    next_cursor: str | None
    matching: int
    held_back: int
    unjudged: int
    cited: tuple[LayerEntry, ...]
    held_back_for: tuple[HeldBackFor, ...]
    plan: Plan


class BegunSearch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A question that has been read: the hits numbered `start` to `stop` - 1 are its page."""

    inquiry: Inquiry
    compiled: CompiledFilter
    cited: tuple[LayerEntry, ...]
    digest: bytes
    start: int
    stop: int

    def page(self) -> Page:
        """Find the hits."""
        hits, more = self.inquiry.cut(self.start, self.stop)
        return Page(
            hits=hits,
            next_cursor=write_cursor(self.stop, self.digest) if more else None,
            matching=self.compiled.matching,
            held_back=self.compiled.held_back,
            unjudged=self.compiled.unjudged,
            cited=self.cited,
            held_back_for=self.compiled.held_back_for,
            plan=_plan(self.inquiry.plans()),
        )


class Retrieval:
    """Search over one open bundle."""

    def __init__(
        self,
        bundle: Bundle,
        catalog: Catalog,
        settings: SearchSettings,
        *,
        fusion: FusionSettings | None = None,
        diversity: DiversitySettings | None = None,
    ) -> None:
        """Read what every question needs: quality flags, removed rows, measured curves."""
        self._bundle = bundle
        self._catalog = catalog
        self._settings = settings
        self._fusion = FusionSettings() if fusion is None else fusion
        self._diversity = DiversitySettings() if diversity is None else diversity
        finest = bundle.manifest.cell_resolution
        self._groups: dict[Diversify, Groups] = {
            "species": SpeciesGroups(catalog, bundle.segments),
            "place": PlaceGroups(
                catalog,
                bundle.segments,
                resolution=self._diversity.place_resolution,
                finest=finest,
            ),
        }
        self._bursts = self._near_duplicates()
        self._compiler = FilterCompiler(
            catalog,
            bundle.segments,
            finest=finest,
            cache_bytes=settings.filter_cache_bytes,
            layers=Layers.of(bundle),
        )
        self._seasons = SeasonCounts(catalog, bundle.segments)
        self._spaces = space_indexes(
            bundle.segments,
            {space: self._curve_of(space) for space in bundle.spaces},
            settings,
        )
        set_costs(bundle, self._spaces, calibrate_missing=settings.calibrate)
        self._held = HeldLists(_HELD_BYTES)

    def _near_duplicates(self) -> NearDuplicates:
        """The bundle's own groups; measured anew where it has none, or others than asked for."""
        rule = self._catalog.duplicate_rule
        near_rows, least_cosine = self._diversity.burst_rows, self._diversity.collapse_cosine
        if rule is not None and (rule.near_rows, rule.least_cosine) == (near_rows, least_cosine):
            return StoredGroups(self._catalog, self._bundle.segments)
        return Bursts(
            self._catalog, self._bundle.segments, near_rows=near_rows, least_cosine=least_cosine
        )

    def _curve_of(self, space: str) -> Curve | None:
        path = self._bundle.curve_path(space)
        return read_struct(path, Curve) if path.exists() else None

    def search(self, question: Question) -> Page:
        """One page of hits; InvalidQuery names the field at fault."""
        return self.begin(question).page()

    def begin(self, question: Question) -> BegunSearch:
        """Read a question; InvalidQuery names the field at fault.

        Its page may follow at once, or after its inquiry's jobs, which may run side by side.
        """
        if not 1 <= question.limit <= MAX_LIMIT:
            raise InvalidQuery("limit", f"must be 1 to {MAX_LIMIT}, not {question.limit}")
        vectors = {question.space: question.vector, **question.also}
        queries = {
            space: QueryVector(self._unit(space, vector)) for space, vector in vectors.items()
        }
        compiled = self.compile(question.filter)
        # A preference that no row meets has no list.
        wanted = [one for one in map(self.compile, question.prefer) if one.matching]
        digest = self._digest(question, queries, compiled)
        start = 0
        if question.cursor is not None:
            start = read_cursor(question.cursor, digest, matching=compiled.matching)
        inquiry = Inquiry(
            self._bundle.segments,
            compiled.selections,
            queries,
            [self._listing(question, space, query, compiled) for space, query in queries.items()],
            fusion=self._fusion,
            groups=self._groups.get(question.diversify),
            bursts=self._bursts if question.collapse else None,
            preferred=[
                Preferred(
                    one.selections,
                    tuple(self._listing(question, *each, one) for each in queries.items()),
                )
                for one in wanted
            ],
        )
        return BegunSearch(
            inquiry=inquiry,
            compiled=compiled,
            cited=_cited(compiled, wanted),
            digest=digest,
            start=start,
            stop=min(start + question.limit, compiled.matching),
        )

    def _recall(self, question: Question) -> float:
        if question.recall is None:
            return self._settings.recall
        if not 0.0 < question.recall <= 1.0:
            raise InvalidQuery("recall", f"must be above 0 and at most 1, not {question.recall}")
        return question.recall

    def _listing(
        self, question: Question, space: str, query: QueryVector, compiled: CompiledFilter
    ) -> Listing:
        """The hits of a question in one space."""
        index, recall = self._spaces[space], self._recall(question)

        def ranking(chosen: Sequence[Selection]) -> Ranking:
            # What was counted for the filter does not hold where groups are left out of it.
            whole = chosen is compiled.selections
            return Ranking(
                index,
                chosen,
                query,
                recall=recall,
                exact=question.exact,
                held=partial(self._held.counts, compiled.key, index) if whole else None,
            )

        groups = self._groups.get(question.diversify)
        if groups is None:
            return ranking(compiled.selections)
        return DiverseRanking(ranking, compiled.selections, groups, self._diversity)

    def compile(self, asked: Filter) -> CompiledFilter:
        """The rows that pass a filter; InvalidQuery names the field at fault."""
        return self._compiler.compile(asked)

    def seasons(self, asked: Filter) -> Seasons:
        """When the photos that pass a filter were taken; InvalidQuery as `compile`."""
        return self._seasons.count(self.compile(asked))

    def vector(self, image_id: uuid.UUID, space: str) -> Vector:
        """The stored unit vector of an image, (dim,), float32; NotFound when there is none."""
        row_id = self._catalog.row_of(image_id)
        for segment in self._bundle.segments:
            position = row_id - segment.first_row
            if 0 <= position < segment.rows and position not in segment.tombstones:
                self._check_space(space)
                stored = segment.vectors(space)[position : position + 1]
                unit: Vector = unit_vectors(stored)[0]
                return unit
        raise NotFound("image", str(image_id))

    def _check_space(self, space: str) -> None:
        if space not in self._bundle.spaces:
            offered = ", ".join(sorted(self._bundle.spaces))
            raise InvalidQuery("space", f"this atlas has no space {space!r}; it has: {offered}")

    def _unit(self, space: str, given_vector: Vector) -> Vector:
        self._check_space(space)
        vector = np.asarray(given_vector)
        dim = self._bundle.spaces[space].dim
        if vector.shape != (dim,):
            given = len(vector) if vector.ndim == 1 else vector.shape
            raise InvalidQuery("vector", f"needs {dim} numbers, not {given}")
        try:
            unit: Vector = unit_vectors(vector[np.newaxis])[0]
        except ValueError as error:
            raise InvalidQuery("vector", "is zero or holds a number that is not finite") from error
        return unit

    def _digest(
        self, question: Question, queries: Mapping[str, QueryVector], compiled: CompiledFilter
    ) -> bytes:
        made_from = question.made_from
        vectors = b"".join(query.values.tobytes() for query in queries.values())
        return digest_of(
            (
                self._bundle.manifest.number.to_bytes(8, "little"),
                "\0".join(queries).encode(),
                b"vector" if made_from is None else b"made from",
                vectors if made_from is None else made_from,
                compiled.key,
                b"exact" if question.exact else b"",
                str(question.recall).encode(),
                question.diversify.encode(),
                b"collapse" if question.collapse else b"",
                *map(key_of, question.prefer),
            )
        )


def _cited(compiled: CompiledFilter, preferred: Sequence[CompiledFilter]) -> tuple[LayerEntry, ...]:
    """The layers that a filter and preferences rest on, each once."""
    every = (entry for one in (compiled, *preferred) for entry in one.cited)
    return tuple({entry.name: entry for entry in every}.values())


def _plan(segments: tuple[SegmentPlan, ...]) -> Plan:
    paths = {segment.path for segment in segments if segment.path != "none"}
    path: Path | Literal["mixed"] = "none"
    if paths:
        path = paths.pop() if len(paths) == 1 else "mixed"
    return Plan(
        path=path, rows_scored=sum(segment.scored for segment in segments), segments=segments
    )
