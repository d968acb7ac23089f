"""The form that comes with an uploaded photo, and how its body is taken in."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from msgspec import Meta

from atlas.search.diversity import Diversify


class SearchForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Multipart form: the photo, and the rest of a search beside it."""

    file: UploadFile
    filter: Annotated[str | None, Meta(description="a search's filter, as JSON")] = None
    limit: int | None = None
    cursor: str | None = None
    exact: bool = False
    recall: float | None = None
    space: str | None = None
    diversify: Diversify = "none"
    collapse: bool = False


async def take_whole(request: Request[Any, Any, Any]) -> None:
    """Read a form's body into memory, up to the server's limit, before it is taken apart.

    Litestar's parser leaves the temporary file of a half-read part open when the limit is passed.
    """
    await request.body()
