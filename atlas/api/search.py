"""`/v1/search`: photos by words, by a stored photo, by a vector, by an uploaded photo."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, MultipartBody, QueryParameter

from atlas.api.applied_places import PlaceMode
from atlas.api.params import BoxText, as_parameter, search_of_form, search_of_query
from atlas.api.problems import refusals
from atlas.api.questions import Questions
from atlas.api.search_requests import Search, SeasonsAsked
from atlas.api.search_schemas import SearchAnswer
from atlas.api.uploads import SearchForm, take_whole
from atlas.errors import InvalidQuery
from atlas.search.diversity import Diversify
from atlas.search.seasons import Seasons

Words = Annotated[
    list[str] | None, QueryParameter(description="several by repetition or with commas")
]


class SearchController(Controller):
    """Photos, best first, with an exact count of what passes the filter."""

    path = "/v1/search"
    tags = ("search",)

    @post(
        "/", operation_id="search", summary="Search", status_code=200, responses=refusals(409, 503)
    )
    async def search(
        self, data: JSONBody[Search], questions: NamedDependency[Questions]
    ) -> SearchAnswer:
        """Search by exactly one of `text`, `image_id` and `vector`, within a filter."""
        return await questions.ask(data)

    @get("/", operation_id="searchByText", summary="Search by words", responses=refusals(409, 503))
    async def search_by_text(
        self,
        questions: NamedDependency[Questions],
        text: Annotated[str, QueryParameter(description="what the photo shows")],
        taxon: Annotated[
            list[str] | None,
            QueryParameter(
                description="taxon_id; it and all below; several by repetition or with commas"
            ),
        ] = None,
        bbox: BoxText = None,
        first: Annotated[
            str | None, QueryParameter(name="from", description="first day, ISO 8601")
        ] = None,
        last: Annotated[
            str | None, QueryParameter(name="to", description="last day, included, ISO 8601")
        ] = None,
        months: Words = None,
        licences: Words = None,
        sources: Words = None,
        cells: Words = None,
        max_uncertainty_m: FromQuery[float | None] = None,
        flags: FromQuery[str | None] = None,
        near: Annotated[
            list[str] | None,
            QueryParameter(
                description="feature:metres or feature:metres:order, such as river:5000"
            ),
        ] = None,
        around: Annotated[
            list[str] | None,
            QueryParameter(description="latitude:longitude:metres, such as -1.29:36.82:25000"),
        ] = None,
        around_any: Annotated[
            list[str] | None,
            QueryParameter(description="the same: points of which a record must be near one"),
        ] = None,
        country: Words = None,
        region: Words = None,
        habitat: Words = None,
        min_elevation_m: FromQuery[float | None] = None,
        max_elevation_m: FromQuery[float | None] = None,
        limit: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        exact: FromQuery[bool] = False,
        recall: FromQuery[float | None] = None,
        space: FromQuery[str | None] = None,
        diversify: FromQuery[Diversify] = "none",
        collapse: FromQuery[bool] = False,
        interpret: FromQuery[bool] = True,
        place: FromQuery[PlaceMode] = "hard",
        without: Annotated[
            list[str] | None,
            QueryParameter(description="spans not to be read: a kind, or kind:start; several"),
        ] = None,
    ) -> SearchAnswer:
        """The same with query parameters, for links and simple clients."""
        search = search_of_query(
            text=text,
            limit=limit,
            cursor=cursor,
            exact=exact,
            recall=recall,
            space=space,
            diversify=diversify,
            collapse=collapse,
            interpret=interpret,
            place=place,
            without=without,
            taxon=taxon,
            bbox=bbox,
            first=first,
            last=last,
            months=months,
            licences=licences,
            sources=sources,
            cells=cells,
            max_uncertainty_m=max_uncertainty_m,
            flags=flags,
            near=near,
            around=around,
            around_any=around_any,
            country=country,
            region=region,
            habitat=habitat,
            min_elevation_m=min_elevation_m,
            max_elevation_m=max_elevation_m,
        )
        try:
            return await questions.ask(search)
        except InvalidQuery as error:
            raise as_parameter(error) from error

    @post(
        "/image",
        operation_id="searchByPhoto",
        summary="Search by an uploaded photo",
        status_code=200,
        responses=refusals(409, 413, 415, 503),
        before_request=take_whole,
    )
    async def search_by_photo(
        self, data: MultipartBody[SearchForm], questions: NamedDependency[Questions]
    ) -> SearchAnswer:
        """Photos like the one in the part `file`; `filter` is JSON as in a search."""
        try:
            content = await data.file.read()
        finally:
            await data.file.close()
        return await questions.ask_photo(content, search_of_form(data))

    @post(
        "/seasons",
        operation_id="countSeasons",
        summary="When the photos of a question were taken",
        status_code=200,
        responses=refusals(503),
    )
    async def seasons(
        self, data: JSONBody[SeasonsAsked], questions: NamedDependency[Questions]
    ) -> Seasons:
        """Photos that pass the filter by month and by year; words limit it as in a search.

        A search orders all the photos that pass, so this is when those were taken that it lists.
        """
        return await questions.seasons(data)
