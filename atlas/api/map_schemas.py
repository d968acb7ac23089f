"""Maps over the wire: cells as GeoJSON, and what layers of tiles there are.

Pure data; what a cell holds is used as the distribution gives it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from atlas.api.schemas import CellNumber, Geometry, Schema
from atlas.species.distribution import OccupiedCell, TargetGroup
from atlas.species.layers import LayerField, LayerName, Whose
from atlas.species.occupancy import HeldBack


class Feature(Schema, frozen=True, kw_only=True):
    """A cell as a GeoJSON feature."""

    type: Literal["Feature"] = "Feature"
    id: CellNumber
    geometry: Geometry
    properties: OccupiedCell


class FeatureCollection(Schema, frozen=True, kw_only=True):
    """A distribution as GeoJSON, with what the JSON answer says about the whole."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    taxon_id: int
    resolution: int
    target_group: TargetGroup
    records: int
    coarse_records: int
    held_back: list[HeldBack]
    features: list[Feature]


class MapLayer(Schema, frozen=True, kw_only=True):
    """A layer of vector tiles; `tiles` and `legend` are addresses below this server's."""

    name: LayerName
    title: str
    meaning: str
    whose: Annotated[Whose, Meta(description="whose records are counted")]
    shown: Annotated[str, Meta(description="the field that the legend colours")]
    tiles: str
    legend: str
    fields: list[LayerField]


class MapCapabilities(Schema, frozen=True, kw_only=True):
    """What maps this atlas draws.

    `resolutions` has the H3 resolution of each zoom, from `min_zoom` on; `states` are the words for
    a cell, and there are no others.
    """

    min_zoom: int
    max_zoom: int
    extent: Annotated[int, Meta(description="units along the side of a tile")]
    resolutions: list[int]
    parameters: Annotated[list[str], Meta(description="what tiles and legends may be asked with")]
    states: list[str]
    layers: list[MapLayer]
