"""Why words that were understood do not limit a search. Pure data."""

from __future__ import annotations


class NotApplied(Exception):
    """No fault: why a span does not become a filter."""
