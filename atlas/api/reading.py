"""`/v1/interpret`: how a question is read; `/v1/places`: completion of place names."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from atlas.api.applied import Reading, WithoutSpan
from atlas.api.applied_places import PlaceMode
from atlas.api.problems import refusals
from atlas.api.schemas import Interpretation, PlaceMatches
from atlas.api.search_requests import MAX_TEXT
from atlas.api.understanding import Understanding
from atlas.reading.places import Gazetteer
from atlas.search.filters import Filter


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question to be read, with what a search would state beside it."""

    text: Annotated[str, Meta(max_length=MAX_TEXT, description="the question, in words")]
    place: PlaceMode = "hard"
    without: Annotated[tuple[WithoutSpan, ...], Meta(max_length=100)] = ()
    filter: Filter = Filter()


class ReadingController(Controller):
    """What words are understood as, without searching."""

    path = "/v1"
    tags = ("reading",)

    @post(
        "/interpret",
        operation_id="interpret",
        summary="Read a question",
        status_code=200,
        responses=refusals(),
        sync_to_thread=True,
    )
    def interpret(
        self, data: JSONBody[Words], understanding: NamedDependency[Understanding]
    ) -> Interpretation:
        """The spans of a question, and the text that an encoder would be given."""
        reading = Reading(place=data.place, without=data.without)
        return understanding.understand(data.text, data.filter, reading).interpretation

    @get(
        "/places",
        operation_id="completePlaceName",
        summary="Complete the name of a place",
        responses=refusals(),
        sync_to_thread=True,
    )
    def places(
        self,
        gazetteer: NamedDependency[Gazetteer],
        q: Annotated[str, QueryParameter(max_length=200, description="beginning of a name")],
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
    ) -> PlaceMatches:
        """Places with a name that begins so, in any language that questions are read in."""
        return PlaceMatches(places=gazetteer.complete(q, limit))
