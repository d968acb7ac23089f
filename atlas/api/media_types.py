"""Which form of an answer a client asked for by `Accept`, and refusing what there is not.

Pure functions on headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_406_NOT_ACCEPTABLE

JSON = "application/json"
GEOJSON = "application/geo+json"
CSV = "text/csv"


def accepted(request: Request[Any, Any, Any], offered: Sequence[str]) -> str:
    """The offered media type that the client prefers, the first where it has no preference.

    HTTPException (406) where it takes none of them.
    """
    found = request.accept.best_match(list(offered)) if "accept" in request.headers else offered[0]
    if found is None:
        raise HTTPException(
            status_code=HTTP_406_NOT_ACCEPTABLE,
            detail=f"this answer comes as {', '.join(offered)}",
        )
    return found
