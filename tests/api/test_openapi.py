"""The committed OpenAPI document is the one that the code gives."""

from __future__ import annotations

from pathlib import Path

from atlas.app import openapi_document

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def test_committed_document_is_current() -> None:
    """A change must be seen in review: `atlas openapi --output docs/openapi.json`."""
    assert DOCUMENT.read_bytes() == openapi_document()
