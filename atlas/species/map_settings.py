"""What an operator may change of maps; docs/tuning.md explains each. Pure data."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MapSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large maps may become, and what stands behind their numbers."""

    max_cells: Annotated[
        int, Meta(ge=100, le=5_000_000, description="most cells in one distribution answer")
    ] = 50_000
    tile_cache_s: Annotated[
        int, Meta(ge=0, le=31_536_000, description="how long a client may keep a tile, in seconds")
    ] = 3600
    target_group_rank: Annotated[
        str, Meta(min_length=1, description="rank of the ancestor whose records count as effort")
    ] = "class"
    smoothing_rings: Annotated[
        int, Meta(ge=0, le=10, description="rings of cells around a cell that its density is from")
    ] = 2
    smoothing_prior: Annotated[
        float,
        Meta(ge=0, le=1000, description="visits of average rate that every place is given"),
    ] = 2.0
    half_confidence_visits: Annotated[
        float,
        Meta(gt=0, le=10_000, description="visits of the group at which confidence is one half"),
    ] = 5.0
    max_range_points: Annotated[
        int,
        Meta(ge=1000, le=20_000_000, description="records read one by one for a range"),
    ] = 300_000
    range_resolution: Annotated[
        int,
        Meta(ge=0, le=7, description="H3 resolution of the cells that a large range is read by"),
    ] = 5
    picture_cells: Annotated[
        int, Meta(ge=100, le=100_000, description="most cells drawn in a picture of a map")
    ] = 12_000
