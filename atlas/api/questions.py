"""From what a client asks to a page of hits: the use case behind every search.

Text goes through a batcher, photos and searches through bounded pools, so nothing here runs long
on the event loop. The command line and the API use the same object.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec
import numpy as np

from atlas.api.applied import Reading, Understood, let_go_of_place, limits_place
from atlas.api.layer_pages import layer_summary
from atlas.api.records import as_hits
from atlas.api.schemas import Interpretation
from atlas.api.search_requests import Search, SeasonsAsked
from atlas.api.search_schemas import HeldBackRows, Plan, SearchAnswer, SegmentPlan, TookMs
from atlas.api.spaces import Encoded, Spaces, Vector, read_photo, read_text
from atlas.api.understanding import Understanding
from atlas.api.workers import BoundedPool
from atlas.catalog import Catalog, ImageRow
from atlas.errors import InvalidQuery, NotFound
from atlas.search import retrieval
from atlas.search.filters import Filter
from atlas.search.retrieval import BegunSearch, Page, Question, Retrieval
from atlas.search.seasons import Seasons

NOTHING_THERE = (
    "no photo passes with the place that was named, so place does not limit the search: photos "
    "that meet a part of it come further up"
)
Kind = Literal["text", "image", "vector", "photo"]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one search took, for telemetry; `encode_s` has each space that encoded something."""

    kind: Kind
    path: str
    rows_scored: int
    encode_s: dict[str, float]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose vectors are known, by space."""

    kind: Kind
    vectors: dict[str, Vector]
    made_from: bytes | None
    encode_s: dict[str, float] = {}
    interpretation: Interpretation | None = None
    filter: Filter
    prefer: tuple[Filter, ...] = ()


class Questions:
    """Answers searches over one open bundle."""

    def __init__(
        self,
        search: Retrieval,
        catalog: Catalog,
        spaces: Spaces,
        understanding: Understanding,
        *,
        scene_spaces: frozenset[str],
        searches: BoundedPool,
        photos: BoundedPool,
        observe: Callable[[Measured], None],
    ) -> None:
        self._retrieval = search
        self._catalog = catalog
        self._spaces = spaces
        self._understanding = understanding
        self._scene_spaces = scene_spaces
        self._searches = searches
        self._photos = photos
        self._observe = observe

    def close(self) -> None:
        """Finish what runs; nothing may be asked after."""
        self._searches.close()
        self._photos.close()

    async def ask(self, search: Search) -> SearchAnswer:
        """A page of hits; InvalidQuery names the field at fault, Overloaded when too busy."""
        started = time.perf_counter()
        asked = await self._vectors(search)
        return await self._answer(search, asked, started, time.perf_counter() - started)

    async def ask_photo(self, content: bytes, search: Search) -> SearchAnswer:
        """The same for a photo's bytes; PictureError when they are no usable photo."""
        started = time.perf_counter()
        encoded = await read_photo(
            content,
            self._spaces.readers(search.space),
            self._photos,
            max_pixels=self._spaces.max_pixels,
        )
        asked = _encoded("photo", encoded, hashlib.sha256(content).digest(), search.filter)
        return await self._answer(search, asked, started, time.perf_counter() - started)

    async def seasons(self, asked: SeasonsAsked) -> Seasons:
        """When the photos that pass were taken; InvalidQuery names the field at fault."""
        return await self._searches.run(self._seasons, asked)

    def _seasons(self, asked: SeasonsAsked) -> Seasons:
        if not asked.text.strip():
            return self._retrieval.seasons(asked.filter)
        reading = Reading(interpret=asked.interpret, place=asked.place, without=asked.without)
        return self._retrieval.seasons(self._understood(asked.text, asked.filter, reading)[1])

    async def _vectors(self, search: Search) -> _Asked:
        given = [
            name for name in ("text", "image_id", "vector") if getattr(search, name) is not None
        ]
        if len(given) != 1:
            found = "none of them" if not given else " and ".join(given)
            problem = f"give exactly one of text, image_id and vector; there is {found}"
            raise InvalidQuery(given[1] if given else "text", problem)
        if search.text is not None:
            return await self._text(search, search.text)
        if search.image_id is not None:
            names = [reader.space.name for reader in self._spaces.stored(search.space)]
            vectors = await self._searches.run(self._stored, search.image_id, names)
            made_from = b"image " + search.image_id.bytes
            return _Asked(kind="image", vectors=vectors, made_from=made_from, filter=search.filter)
        with np.errstate(over="ignore"):
            # A number beyond float32 becomes infinite here and is refused as not finite later.
            numbers = np.asarray(search.vector, np.float64).astype(np.float32)
        reader = self._spaces.of_vector(search.space, len(numbers))
        vectors = {reader.space.name: numbers}
        return _Asked(kind="vector", vectors=vectors, made_from=None, filter=search.filter)

    async def _text(self, search: Search, text: str) -> _Asked:
        """Read the words, and encode what of them is left to the encoder."""
        readers = self._spaces.readers(search.space)
        if not text.strip():
            raise InvalidQuery("text", "is empty")
        reading = Reading(interpret=search.interpret, place=search.place, without=search.without)
        understood = await self._searches.run(self._understood, text, search.filter, reading)
        interpretation = understood.interpretation
        texts = [
            interpretation.scene_text
            if reader.space.name in self._scene_spaces
            else interpretation.text
            for reader in readers
        ]
        encoded = await read_text(texts, readers)
        content = "\0".join(texts).encode("utf-8", "surrogatepass")
        asked = _encoded("text", encoded, content, understood.limits)
        return msgspec.structs.replace(
            asked, interpretation=interpretation, prefer=understood.prefer
        )

    def _understood(self, text: str, asked: Filter, reading: Reading) -> Understood:
        """What the words say; where nothing is at the places named, they do not limit."""
        hard = self._understanding.understand(text, asked, reading)
        limited = limits_place(hard.interpretation)
        if not limited or self._retrieval.compile(hard.limits).matching > 0:
            return hard
        softly = msgspec.structs.replace(reading, place="soft")
        soft = self._understanding.understand(text, asked, softly)
        return soft._replace(interpretation=let_go_of_place(soft.interpretation, NOTHING_THERE))

    def _stored(self, image_id: UUID, spaces: Sequence[str]) -> dict[str, Vector]:
        try:
            return {space: self._retrieval.vector(image_id, space) for space in spaces}
        except NotFound as error:
            raise InvalidQuery("image_id", f"this atlas has no image {image_id}") from error

    async def _answer(
        self, search: Search, asked: _Asked, started: float, encoding_s: float
    ) -> SearchAnswer:
        found = await self._find(_question(search, asked))
        page = found.page
        self._observe(
            Measured(
                kind=asked.kind,
                path=page.plan.path,
                rows_scored=page.plan.rows_scored,
                encode_s=asked.encode_s,
            )
        )
        return SearchAnswer(
            hits=as_hits(found.rows, page.hits, found.collapsed),
            next_cursor=page.next_cursor,
            matching=page.matching,
            held_back=page.held_back,
            unjudged=page.unjudged,
            layers=[layer_summary(entry) for entry in page.cited],
            held_back_for=[
                HeldBackRows(flag=held.flag, meaning=held.meaning, rows=held.rows)
                for held in page.held_back_for
            ],
            spaces=list(asked.vectors),
            plan=_plan(page.plan),
            interpretation=asked.interpretation,
            took_ms=TookMs(
                encode=_ms(encoding_s if asked.encode_s else 0.0),
                search=_ms(found.search_s),
                rows=_ms(found.rows_s),
                total=_ms(time.perf_counter() - started),
            ),
        )

    async def _find(self, question: Question) -> _Found:
        """Search, each space in a thread of its own where there are several, and read the rows."""
        if not question.also:
            return await self._searches.run(self._search, question)
        started = time.perf_counter()
        begun = await self._searches.run(self._retrieval.begin, question)
        await asyncio.gather(*map(self._searches.run, begun.inquiry.jobs()))
        return await self._searches.run(self._page, begun, started)

    def _search(self, question: Question) -> _Found:
        started = time.perf_counter()
        return self._page(self._retrieval.begin(question), started)

    def _page(self, begun: BegunSearch, started: float) -> _Found:
        page = begun.page()
        searched = time.perf_counter()
        rows = self._catalog.images([hit.row_id for hit in page.hits])
        collapsed = sorted({row for hit in page.hits for row in hit.collapsed})
        return _Found(
            page=page,
            rows=rows,
            collapsed=self._catalog.image_ids(collapsed),
            search_s=searched - started,
            rows_s=time.perf_counter() - searched,
        )


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page, its rows, the image ids of what its hits stand for, and the time of each."""

    page: Page
    rows: tuple[ImageRow, ...]
    collapsed: dict[int, UUID]
    search_s: float
    rows_s: float


def _question(search: Search, asked: _Asked) -> Question:
    (space, vector), *others = asked.vectors.items()
    return Question(
        space=space,
        vector=vector,
        also=dict(others),
        filter=asked.filter,
        prefer=asked.prefer,
        limit=search.limit,
        cursor=search.cursor,
        exact=search.exact,
        diversify=search.diversify,
        collapse=search.collapse,
        made_from=asked.made_from,
    )


def _encoded(kind: Kind, encoded: Mapping[str, Encoded], content: bytes, limits: Filter) -> _Asked:
    return _Asked(
        kind=kind,
        vectors={space: one.vector for space, one in encoded.items()},
        made_from=kind.encode() + b" " + content,
        encode_s={space: one.seconds for space, one in encoded.items()},
        filter=limits,
    )


def _plan(plan: retrieval.Plan) -> Plan:
    return Plan(
        path=plan.path,
        rows_scored=plan.rows_scored,
        segments=[
            SegmentPlan(
                space=segment.space,
                segment=segment.name,
                path=segment.path,
                passing=segment.passing,
                rows_scored=segment.scored,
                lists=segment.lists,
                codes=segment.codes,
                why=segment.why,
            )
            for segment in plan.segments
        ],
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
