"""The form that comes with an uploaded photo. Pure data."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.datastructures import UploadFile
from msgspec import Meta


class SearchForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Multipart form: the photo, and the rest of a search beside it."""

    file: UploadFile
    filter: Annotated[str | None, Meta(description="a search's filter, as JSON")] = None
    limit: int | None = None
    cursor: str | None = None
    exact: bool = False
    space: str | None = None
