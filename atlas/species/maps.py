"""All that draws and counts maps of one catalog, put together: for the server and the commands.

Knows settings as plain values, not where they come from. Any thread.
"""

from __future__ import annotations

import msgspec

from atlas.catalog import Catalog
from atlas.geo.land import land_share
from atlas.species.distribution import Distributions
from atlas.species.gap_habitat import Habitats
from atlas.species.gaps import GapSettings
from atlas.species.legend import Legends
from atlas.species.map_settings import MapSettings
from atlas.species.occupancy import Occupancy
from atlas.species.picture import MapPictures
from atlas.species.range import Ranges
from atlas.species.record_filters import RecordFilters
from atlas.species.target_group import TargetGroups
from atlas.species.tiles import MapTiles


class Maps(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What answers questions about where taxa were recorded."""

    occupancy: Occupancy
    target_groups: TargetGroups
    filters: RecordFilters
    distributions: Distributions
    ranges: Ranges
    tiles: MapTiles
    legends: Legends
    pictures: MapPictures

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        *,
        finest: int,
        demonstration: bool,
        settings: MapSettings,
        gaps: GapSettings,
    ) -> Maps:
        """The maps of a catalog whose finest cells have `finest` resolution."""
        occupancy = Occupancy(catalog, finest=finest)
        groups = TargetGroups(catalog, settings.target_group_rank)
        habitats = Habitats(occupancy, land_share, gaps)
        return cls(
            occupancy=occupancy,
            target_groups=groups,
            filters=RecordFilters(catalog.sources()),
            distributions=Distributions(occupancy, groups, settings),
            ranges=Ranges(occupancy, groups, settings),
            tiles=MapTiles(occupancy, groups, settings, gaps, habitats),
            legends=Legends(occupancy, groups, settings),
            pictures=MapPictures(catalog, occupancy, groups, settings, demonstration=demonstration),
        )
