"""`/v1/images`: one photo with its record, and the picture itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from atlas.api.media import NOT_MODIFIED, cache_headers, entity_tag, is_current, not_modified
from atlas.api.problems import refusals
from atlas.api.records import Records
from atlas.api.schemas import StoredRecord
from atlas.api.serving import Serving
from atlas.catalog import ImageRow
from atlas.errors import NotFound

# Left as they are in headers, which carry ASCII only; everything else is percent-encoded.
_URL_MARKS = ":/?#&=%+,;@~"
_TEXT_MARKS = " /:().,-+"


class ImagesController(Controller):
    """Photos by their identifier."""

    path = "/v1/images/{image_id:uuid}"
    tags = ("images",)

    @get(
        "/",
        operation_id="getImage",
        summary="One photo's record",
        responses=refusals(404),
        sync_to_thread=True,
    )
    def image(self, records: NamedDependency[Records], image_id: FromPath[UUID]) -> StoredRecord:
        """The record of one photo, with licence, rights holder and source."""
        return records.read(image_id)

    @get(
        "/media",
        operation_id="getImageMedia",
        summary="One photo",
        media_type="image/jpeg",
        responses=refusals(404)
        | NOT_MODIFIED
        | {
            307: ResponseSpec(
                None, description="The photo is at its source", generate_examples=False
            ),
        },
        sync_to_thread=True,
        no_compression=True,
    )
    def media(
        self,
        request: Request[Any, Any, Any],
        records: NamedDependency[Records],
        serving: NamedDependency[Serving],
        image_id: FromPath[UUID],
    ) -> Response[Any]:
        """The photo where the bundle hosts it, else a redirect to its source.

        `Link` gives the photo's licence and its record, `X-Rights-Holder` whom to credit
        (percent-encoded UTF-8).
        """
        row = records.row(image_id)
        hosted = records.picture(row)
        if hosted is None:
            # Litestar's Redirect refuses to stand beside the media type of the handler.
            headers = {"Location": quote(_source_url(row), safe=_URL_MARKS)} | _credit(row)
            return Response(b"", status_code=307, headers=headers)
        tag = entity_tag(serving.bundle_tag, "media", image_id)
        headers = cache_headers(tag, serving.picture_cache_s) | _credit(row)
        if is_current(request, tag):
            return not_modified(headers)
        return Response(hosted[0], media_type=hosted[1], headers=headers)


def _source_url(row: ImageRow) -> str:
    """Where the photo is published; NotFound when that is nowhere that a browser may be sent."""
    if row.media_url is None or urlsplit(row.media_url).scheme not in {"http", "https"}:
        raise NotFound("picture", str(row.image_id))
    return row.media_url


def _credit(row: ImageRow) -> dict[str, str]:
    links = [f'</v1/images/{row.image_id}>; rel="describedby"']
    credit = {}
    if row.media_licence is not None:
        if row.media_licence.url:
            links.append(f'<{quote(row.media_licence.url, safe=_URL_MARKS)}>; rel="license"')
        credit["X-Licence"] = quote(row.media_licence.code, safe=_TEXT_MARKS)
    if row.rights_holder:
        credit["X-Rights-Holder"] = quote(row.rights_holder, safe=_TEXT_MARKS)
    return {"Link": ", ".join(links), **credit}
