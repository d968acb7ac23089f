"""A search that must succeed, as the tests of the API ask it."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]


def search(client: Client, **body: Any) -> dict[str, Any]:
    """POST a search that must succeed."""
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
