"""What a client asks of a search, as it comes over the wire. Pure data, checked as it is read."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from atlas.api.applied import WithoutSpan
from atlas.api.applied_places import PlaceMode
from atlas.search.diversity import Diversify
from atlas.search.filters import Filter
from atlas.search.retrieval import MAX_LIMIT

MAX_TEXT = 1_000
MAX_VECTOR = 16_384


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
    space: Annotated[
        str | None, Meta(description="one vector space (see /v1/atlas); all that can when left out")
    ] = None
    filter: Filter = Filter()
    interpret: Annotated[
        bool, Meta(description="read place, time, taxon and licence from the words of `text`")
    ] = True
    place: Annotated[
        PlaceMode,
        Meta(description="what places in the words do: limit, raise what meets them, or nothing"),
    ] = "hard"
    without: Annotated[
        tuple[WithoutSpan, ...], Meta(max_length=100, description="spans that are not to be read")
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="most hits of a page")] = 30
    cursor: (
        Annotated[str, Meta(max_length=500, description="next_cursor of the page before")] | None
    ) = None
    exact: Annotated[bool, Meta(description="score every passing row, whatever it takes")] = False
    recall: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="recall@10 to aim at: the cheapest setting that reached it is taken"),
    ] = None
    diversify: Annotated[
        Diversify, Meta(description="at most one hit a species, or a place (an H3 cell)")
    ] = "none"
    collapse: Annotated[
        bool, Meta(description="let one photo stand for the photos of its burst that look alike")
    ] = False


class SeasonsAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose seasons: the photos that pass the filter, and what the words of `text` limit it to."""

    text: Annotated[str, Meta(max_length=MAX_TEXT, description="a question in words, or none")] = ""
    interpret: Annotated[bool, Meta(description="read `text` as a search does")] = True
    place: PlaceMode = "hard"
    without: Annotated[
        tuple[WithoutSpan, ...], Meta(max_length=100, description="spans that are not to be read")
    ] = ()
    filter: Filter = Filter()
