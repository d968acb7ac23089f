"""Which form of an answer the client asks for in `Accept` (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.datastructures.headers import Accept
from litestar.exceptions import HTTPException

JSON = "application/json"
GEOJSON = "application/geo+json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"

_REFUSED = re.compile(r";\s*q=0(\.0*)?\s*$")


def accepted(request: Request[Any, Any, Any], offered: Sequence[str]) -> str:
    """The offered media type that the client likes best; the first without a preference.

    Raises a 406 that names what is offered where the client takes none of it.
    """
    header = request.headers.get("accept", "").strip() or "*/*"
    wanted = [part for part in header.split(",") if "/" in part and not _REFUSED.search(part)]
    found = Accept(",".join(wanted)).best_match(list(offered)) if wanted else None
    if found is None:
        raise HTTPException(
            status_code=HTTPStatus.NOT_ACCEPTABLE, detail=f"Accept one of {', '.join(offered)}."
        )
    return found
