"""What controllers need to know of the bundle that is served. Pure data."""

from __future__ import annotations

import msgspec


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's number, tag and finest cells; how long clients may keep answers.

    `content_policy` is the Content-Security-Policy of the page.
    """

    bundle_number: int
    bundle_tag: str
    cell_resolution: int
    tile_cache_s: int
    picture_cache_s: int
    content_policy: str
