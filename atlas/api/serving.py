"""What controllers need to know of the bundle that is served. Pure data."""

from __future__ import annotations

import msgspec


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's number and tag, and how long clients may keep what came from it."""

    bundle_number: int
    bundle_tag: str
    tile_cache_s: int
    picture_cache_s: int
