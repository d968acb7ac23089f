"""Answers one question about one bundle: which rows are nearest to a vector, page by page.

Synchronous and CPU-bound: call it off the event loop. Threads: safe from any; everything kept is
immutable or locked. Knows rows and scores, nothing of HTTP or of how text becomes a vector.
"""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import read_struct
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.search.compiler import CompiledFilter, FilterCompiler
from atlas.search.cursor import digest_of, read_cursor, write_cursor
from atlas.search.curve import Curve
from atlas.search.filters import Filter
from atlas.search.index import stop_prefetch
from atlas.search.planner import Path, SearchSettings, SegmentPlan
from atlas.search.ranking import Ranking
from atlas.search.vectors import QueryVector, unit_vectors

MAX_LIMIT = 200
Vector = npt.NDArray[np.float32]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to find. `vector` is float32, (dim,), of any length above zero.

    `made_from` is what the vector was computed from, for example a text in UTF-8. A cursor is
    bound to it where it is given and to the vector where not: a text that is encoded again in
    other company may differ in a vector's last bits.
    """

    space: str
    vector: Vector
    filter: Filter = Filter()
    limit: int = 30
    cursor: str | None = None
    exact: bool = False
    made_from: bytes | None = None


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A row and its cosine with the question."""

    row_id: int
    score: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the page was found: the way taken (`mixed` when segments differ) and its cost."""

    path: Path | Literal["mixed"]
    rows_scored: int
    segments: tuple[SegmentPlan, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Hits in order (score descending, then row id), and what lies around them.

    `matching` is the exact number of rows that pass the filter, `held_back` that of rows which
    only the default quality filter hides. `next_cursor` is None after the last hit.
    """

    hits: tuple[Hit, ...]
    next_cursor: str | None
    matching: int
    held_back: int
    plan: Plan


class Retrieval:
    """Search over one open bundle."""

    def __init__(self, bundle: Bundle, catalog: Catalog, settings: SearchSettings) -> None:
        """Read what every question needs: quality flags, removed rows, measured curves."""
        self._bundle = bundle
        self._catalog = catalog
        self._settings = settings
        self._compiler = FilterCompiler(
            catalog,
            bundle.segments,
            finest=bundle.manifest.cell_resolution,
            cache_bytes=settings.filter_cache_bytes,
        )
        self._probes = {space: self._probes_of(space) for space in bundle.spaces}
        for segment in bundle.segments:
            for space in bundle.spaces:
                index = segment.index(space)
                if index is not None:
                    stop_prefetch(index)

    def _probes_of(self, space: str) -> int | None:
        if self._settings.probes is not None:
            return self._settings.probes
        path = self._bundle.curve_path(space)
        if not path.exists():
            return None
        return read_struct(path, Curve).default_probes()

    def search(self, question: Question) -> Page:
        """One page of hits; InvalidQuery names the field at fault."""
        if not 1 <= question.limit <= MAX_LIMIT:
            raise InvalidQuery("limit", f"must be 1 to {MAX_LIMIT}, not {question.limit}")
        query = QueryVector(self._unit(question))
        compiled = self.compile(question.filter)
        digest = self._digest(question, query, compiled)
        start = 0
        if question.cursor is not None:
            start = read_cursor(question.cursor, digest, matching=compiled.matching)
        end = min(start + question.limit, compiled.matching)
        ranking = Ranking(
            self._bundle.segments,
            compiled.selections,
            question.space,
            query,
            settings=self._settings,
            probes=self._probes[question.space],
            exact=question.exact,
        )
        scores, row_ids = ranking.first(end)
        return Page(
            hits=tuple(
                Hit(row_id=int(row_id), score=float(score))
                for row_id, score in zip(row_ids[start:], scores[start:], strict=True)
            ),
            next_cursor=write_cursor(end, digest) if end < compiled.matching else None,
            matching=compiled.matching,
            held_back=compiled.held_back,
            plan=_plan(ranking.plans()),
        )

    def compile(self, asked: Filter) -> CompiledFilter:
        """The rows that pass a filter; InvalidQuery names the field at fault."""
        return self._compiler.compile(asked)

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

    def _unit(self, question: Question) -> Vector:
        self._check_space(question.space)
        vector = np.asarray(question.vector)
        dim = self._bundle.spaces[question.space].dim
        if vector.shape != (dim,):
            given = len(vector) if vector.ndim == 1 else vector.shape
            raise InvalidQuery("vector", f"needs {dim} numbers, not {given}")
        try:
            unit: Vector = unit_vectors(vector[np.newaxis])[0]
        except ValueError as error:
            raise InvalidQuery("vector", "is zero or holds a number that is not finite") from error
        return unit

    def _digest(self, question: Question, query: QueryVector, compiled: CompiledFilter) -> bytes:
        made_from = question.made_from
        return digest_of(
            (
                self._bundle.manifest.number.to_bytes(8, "little"),
                question.space.encode(),
                b"vector" if made_from is None else b"made from",
                query.values.tobytes() if made_from is None else made_from,
                compiled.key,
                b"exact" if question.exact else b"",
            )
        )


def _plan(segments: tuple[SegmentPlan, ...]) -> Plan:
    paths = {segment.path for segment in segments if segment.path != "none"}
    path: Path | Literal["mixed"] = "none"
    if paths:
        path = paths.pop() if len(paths) == 1 else "mixed"
    return Plan(
        path=path, rows_scored=sum(segment.scored for segment in segments), segments=segments
    )
