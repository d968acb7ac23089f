"""Entity tags, caching and conditional answers, which Litestar does not have.

Pure functions on headers; a bundle never changes, so its tag (`Serving.bundle_tag`) and a thing's
address are enough to name a representation of it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec

NOT_MODIFIED = {
    304: ResponseSpec(None, description="The client's copy is current", generate_examples=False)
}
"""What the OpenAPI document says of a conditional answer."""


def entity_tag(*parts: object) -> str:
    """A strong entity tag for the representation that `parts` name."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16)
    return f'"{digest.hexdigest()}"'


def is_current(request: Request[Any, Any, Any], tag: str) -> bool:
    """Whether the client's copy is still good (weak comparison, as RFC 9110 asks for GET)."""
    given = request.headers.get("if-none-match", "")
    tags = [part.strip().removeprefix("W/") for part in given.split(",")]
    return "*" in tags or tag in tags


def cache_headers(tag: str, max_age_s: int) -> dict[str, str]:
    """Headers that let a client keep an answer and ask again cheaply."""
    return {"ETag": tag, "Cache-Control": f"public, max-age={max_age_s}"}


def not_modified(headers: dict[str, str]) -> Response[bytes]:
    """The 304 answer: the headers of the full one, without a body."""
    return Response(b"", status_code=304, headers=headers)
