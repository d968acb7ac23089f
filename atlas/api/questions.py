"""From what a client asks to a page of hits: the use case behind every search.

Text goes through a batcher, photos and searches through bounded pools, so nothing here runs long
on the event loop. The command line and the API use the same object.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import numpy as np
from msgspec import Meta

from atlas.api.records import as_hits
from atlas.api.schemas import Interpretation, Plan, SearchAnswer, SegmentPlan, TookMs
from atlas.api.spaces import SpaceReader, Spaces, Vector
from atlas.api.workers import BoundedPool
from atlas.catalog import Catalog, ImageRow
from atlas.errors import InvalidQuery, NotFound
from atlas.search import retrieval
from atlas.search.filters import Filter
from atlas.search.retrieval import MAX_LIMIT, Page, Question, Retrieval

MAX_TEXT = 1_000
MAX_VECTOR = 16_384
Kind = Literal["text", "image", "vector", "photo"]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search: exactly one of `text`, `image_id` and `vector`."""

    text: (
        Annotated[str, Meta(max_length=MAX_TEXT, description="what the photo shows, in words")]
        | None
    ) = None
    image_id: Annotated[UUID | None, Meta(description="a photo of this atlas to be like")] = None
    vector: (
        Annotated[
            tuple[float, ...],
            Meta(max_length=MAX_VECTOR, description="a vector of the space, of any length above 0"),
        ]
        | None
    ) = None
    space: Annotated[str | None, Meta(description="vector space; see /v1/atlas")] = None
    filter: Filter = Filter()
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="most hits of a page")] = 30
    cursor: (
        Annotated[str, Meta(max_length=500, description="next_cursor of the page before")] | None
    ) = None
    exact: Annotated[bool, Meta(description="score every passing row, whatever it takes")] = False
    recall: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="recall@10 to aim at: the cheapest setting that reached it is taken"),
    ] = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one search took, for telemetry; `encode_s` is None when nothing was encoded."""

    space: str
    kind: Kind
    path: str
    rows_scored: int
    encode_s: float | None


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose vector is known."""

    kind: Kind
    vector: Vector
    made_from: bytes | None
    encode_s: float | None


class Questions:
    """Answers searches over one open bundle."""

    def __init__(
        self,
        search: Retrieval,
        catalog: Catalog,
        spaces: Spaces,
        *,
        searches: BoundedPool,
        photos: BoundedPool,
        observe: Callable[[Measured], None],
    ) -> None:
        self._retrieval = search
        self._catalog = catalog
        self._spaces = spaces
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
        reader = self._spaces.get(search.space)
        asked = await self._vector(search, reader)
        return await self._answer(search, reader.space.name, asked, started)

    async def ask_photo(self, content: bytes, search: Search) -> SearchAnswer:
        """The same for a photo's bytes; PictureError when they are no usable photo."""
        started = time.perf_counter()
        reader = self._spaces.get(search.space)
        vector = await reader.read_photo(content, self._photos)
        asked = _Asked(
            kind="photo",
            vector=vector,
            made_from=b"photo " + hashlib.sha256(content).digest(),
            encode_s=time.perf_counter() - started,
        )
        return await self._answer(search, reader.space.name, asked, started)

    async def _vector(self, search: Search, reader: SpaceReader) -> _Asked:
        given = [
            name for name in ("text", "image_id", "vector") if getattr(search, name) is not None
        ]
        if len(given) != 1:
            found = "none of them" if not given else " and ".join(given)
            problem = f"give exactly one of text, image_id and vector; there is {found}"
            raise InvalidQuery(given[1] if given else "text", problem)
        if search.text is not None:
            return await _read_text(search.text, reader)
        if search.image_id is not None:
            image_id = search.image_id
            vector = await self._searches.run(self._stored, image_id, reader.space.name)
            made_from = b"image " + image_id.bytes
            return _Asked(kind="image", vector=vector, made_from=made_from, encode_s=None)
        with np.errstate(over="ignore"):
            # A number beyond float32 becomes infinite here and is refused as not finite later.
            numbers = np.asarray(search.vector, np.float64).astype(np.float32)
        return _Asked(kind="vector", vector=numbers, made_from=None, encode_s=None)

    def _stored(self, image_id: UUID, space: str) -> Vector:
        try:
            return self._retrieval.vector(image_id, space)
        except NotFound as error:
            raise InvalidQuery("image_id", f"this atlas has no image {image_id}") from error

    async def _answer(
        self, search: Search, space: str, asked: _Asked, started: float
    ) -> SearchAnswer:
        question = Question(
            space=space,
            vector=asked.vector,
            filter=search.filter,
            limit=search.limit,
            cursor=search.cursor,
            exact=search.exact,
            recall=search.recall,
            made_from=asked.made_from,
        )
        page, rows, search_s, rows_s = await self._searches.run(self._find, question)
        self._observe(
            Measured(
                space=space,
                kind=asked.kind,
                path=page.plan.path,
                rows_scored=page.plan.rows_scored,
                encode_s=asked.encode_s,
            )
        )
        return SearchAnswer(
            hits=as_hits(rows, [hit.score for hit in page.hits]),
            next_cursor=page.next_cursor,
            matching=page.matching,
            held_back=page.held_back,
            space=space,
            plan=_plan(page.plan),
            interpretation=None if search.text is None else Interpretation(text=search.text),
            took_ms=TookMs(
                encode=_ms(asked.encode_s or 0.0),
                search=_ms(search_s),
                rows=_ms(rows_s),
                total=_ms(time.perf_counter() - started),
            ),
        )

    def _find(self, question: Question) -> tuple[Page, tuple[ImageRow, ...], float, float]:
        """Search and read the rows in one visit to the pool; with the time of each."""
        started = time.perf_counter()
        page = self._retrieval.search(question)
        searched = time.perf_counter()
        rows = self._catalog.images([hit.row_id for hit in page.hits])
        return page, rows, searched - started, time.perf_counter() - searched


async def _read_text(text: str, reader: SpaceReader) -> _Asked:
    if not text.strip():
        raise InvalidQuery("text", "is empty")
    started = time.perf_counter()
    vector = await reader.read_text(text)
    return _Asked(
        kind="text",
        vector=vector,
        made_from=b"text " + text.encode("utf-8", "surrogatepass"),
        encode_s=time.perf_counter() - started,
    )


def _plan(plan: retrieval.Plan) -> Plan:
    return Plan(
        path=plan.path,
        rows_scored=plan.rows_scored,
        segments=[
            SegmentPlan(
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
