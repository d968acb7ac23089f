"""Every refusal as an RFC 9457 problem document; one table from error type to status.

Knows errors and HTTP, not questions. A 500 says nothing of the inside: telemetry logs it under
the request id that the document carries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from atlas.errors import AtlasError, InvalidQuery, NotFound, Overloaded, PictureError
from atlas.errors import SpaceUnavailable as SpaceUnavailableError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:atlas:problem:"
UPLOAD_FIELD = "file"


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One field at fault: its dotted path in the request, and what is wrong with it."""

    field: str
    problem: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457); `field`, `errors` and `request_id` are our own members.

    `type` is stable and is what programs should test. `field` names the part of the request at
    fault, `errors` all of them.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    field: str | None = None
    errors: tuple[FieldError, ...] = ()
    reason: str | None = None
    request_id: str | None = None


class Kind(msgspec.Struct, frozen=True):
    """A sort of problem: HTTP status, stable name, title."""

    status: int
    name: str
    title: str


INTERNAL = Kind(500, "internal", "The atlas failed")
KINDS: Mapping[type[Exception], Kind] = {
    InvalidQuery: Kind(422, "invalid-query", "The question cannot be answered as put"),
    NotFound: Kind(404, "not-found", "The atlas has no such thing"),
    PictureError: Kind(422, "unusable-picture", "The picture cannot be used"),
    SpaceUnavailableError: Kind(409, "space-unavailable", "This space cannot read text or photos"),
    Overloaded: Kind(503, "overloaded", "The atlas is busy"),
    ValidationException: Kind(422, "invalid-query", "The question cannot be answered as put"),
    RequestEntityTooLarge: Kind(413, "too-large", "The request is too large"),
}
# A file that is no picture at all is of the wrong type; a broken or huge one is a bad picture.
PICTURE_KINDS: Mapping[str, Kind] = {
    "not_an_image": Kind(415, "not-a-picture", "The file is not a picture"),
    "image_too_large": Kind(413, "picture-too-large", "The picture is too large"),
}
_MESSAGE_PATH = re.compile(r" - at `\$\.?([^`]*)`")
# A field that is missing or unknown is named in the message itself, by msgspec or by Litestar.
_NAMED_FIELD = re.compile(r"(?:field `|parameter ')([^`']*)[`']")


_MEANINGS: Mapping[int, str] = {
    400: "The body is not JSON, or not a form",
    404: "The atlas has no such thing",
    406: "None of the media types in Accept can be had; the document names those that can",
    409: "The space has no encoder on this server",
    413: "The upload is too large",
    415: "The upload is not a picture",
    422: "A field is at fault; the document names it",
    503: "Too busy; try again after Retry-After seconds",
}


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """What the OpenAPI document says of these refusals; 400 and 422 are always among them.

    Litestar would describe a 400 in its own form, which no client of this server ever sees.
    """
    return {
        status: ResponseSpec(
            Problem,
            description=_MEANINGS[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,  # they would be made of random letters
        )
        for status in sorted({400, 422, *statuses})
    }


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The exception handler of the whole application: any error as a problem document."""
    problem, headers = describe(error, body_limit_bytes=_body_limit(request))
    problem = msgspec.structs.replace(
        problem, request_id=structlog.contextvars.get_contextvars().get("request_id")
    )
    return Response(problem, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def describe(
    error: Exception, *, body_limit_bytes: int | None = None
) -> tuple[Problem, dict[str, str]]:
    """The document of an error and the headers to send with it."""
    kind = _kind(error)
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if kind.status >= 500 and not isinstance(error, Overloaded):
        return _document(kind, "The error is logged under this request id."), headers
    fields = _fields(error)
    return (
        _document(
            kind,
            _detail(error, fields, body_limit_bytes),
            fields,
            reason=error.reason if isinstance(error, PictureError) else None,
        ),
        headers,
    )


def _document(
    kind: Kind,
    detail: str,
    fields: tuple[FieldError, ...] = (),
    reason: str | None = None,
) -> Problem:
    return Problem(
        type=TYPE_PREFIX + kind.name,
        title=kind.title,
        status=kind.status,
        detail=detail,
        field=fields[0].field if fields else None,
        errors=fields,
        reason=reason,
    )


def _kind(error: Exception) -> Kind:
    if isinstance(error, PictureError) and error.reason in PICTURE_KINDS:
        return PICTURE_KINDS[error.reason]
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    if isinstance(error, HTTPException) and error.status_code != 500:
        status = HTTPStatus(error.status_code)
        return Kind(status.value, status.phrase.lower().replace(" ", "-"), status.phrase)
    return INTERNAL


def _fields(error: Exception) -> tuple[FieldError, ...]:  # noqa: PLR0911 - one for each type
    if isinstance(error, InvalidQuery):
        return (FieldError(field=error.field, problem=error.problem),)
    if isinstance(error, NotFound):
        return (FieldError(field=error.noun, problem=str(error)),)
    if isinstance(error, PictureError):
        return (FieldError(field=UPLOAD_FIELD, problem=error.problem),)
    if isinstance(error, SpaceUnavailableError):
        return (FieldError(field="space", problem=error.problem),)
    if isinstance(error, RequestEntityTooLarge):
        return (FieldError(field="body", problem="larger than this server takes"),)
    if isinstance(error, ValidationException):
        entries = error.extra if isinstance(error.extra, list) else [{"message": error.detail}]
        return tuple(_validation_field(entry) for entry in entries)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.BAD_REQUEST:
        return (FieldError(field="body", problem=error.detail),)
    return ()


def field_of(message: str) -> tuple[str, str]:
    """Field and problem of a msgspec message such as "Expected `int` - at `$.filter.taxon`"."""
    found = _MESSAGE_PATH.search(message)
    field = found[1] if found else ""
    problem = _MESSAGE_PATH.sub("", message)
    named = _NAMED_FIELD.search(problem)
    if named:
        field = f"{field}.{named[1]}" if field else named[1]
    return field or "body", problem


def _validation_field(entry: Mapping[str, Any]) -> FieldError:
    """Litestar's entry, with the parameter's wire name and the handler's `data` taken off."""
    key = str(entry.get("key", ""))
    key = "" if key == "data" else key.removeprefix("data.")
    field, problem = field_of(str(entry.get("message", "")))
    if field == "body":
        field = key or "body"
    elif key and field != key:
        field = f"{key}.{field}"
    return FieldError(field=field, problem=problem)


def _detail(error: Exception, fields: tuple[FieldError, ...], body_limit_bytes: int | None) -> str:
    if isinstance(error, RequestEntityTooLarge) and body_limit_bytes is not None:
        return f"A request body may hold {body_limit_bytes} bytes at most."
    if isinstance(error, AtlasError):
        return str(error)
    if fields:
        return "; ".join(f"{entry.field}: {entry.problem}" for entry in fields)
    return error.detail if isinstance(error, HTTPException) else ""


def _body_limit(request: Request[Any, Any, Any]) -> int | None:
    handler = request.scope.get("route_handler")
    return (
        handler.resolve_request_max_body_size() if isinstance(handler, HTTPRouteHandler) else None
    )
