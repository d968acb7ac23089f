"""The layers of the map: what each shows, of whom, and in which fields. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from atlas.errors import NotFound

LayerName: TypeAlias = Literal["occurrence", "richness", "effort", "completeness", "gaps"]
# Whose records are counted: those of the taxon asked for, or those of its target group.
Whose: TypeAlias = Literal["taxon", "target group"]


class LayerField(msgspec.Struct, frozen=True):
    """A property of a layer's features; left out of a feature where it is not known."""

    name: str
    type: Literal["integer", "number", "boolean", "text"]
    unit: str | None
    meaning: str


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer; `shown` is the field that its legend colours."""

    name: LayerName
    title: str
    meaning: str
    whose: Whose
    shown: str
    fields: tuple[LayerField, ...]


_CELL = LayerField("cell", "text", None, "H3 cell, fifteen hexadecimal digits")
_N = LayerField("n", "integer", "records", "records of the taxon")
_OBSERVERS = LayerField("observers", "integer", "people", "people who made them")
_VISITS = LayerField("visits", "integer", "visits", "distinct days and people")
_GROUP_N = LayerField("n", "integer", "records", "records of the target group")
_GROUP_VISITS = LayerField("visits", "integer", "visits", "visits that recorded the group")
_DENSITY = LayerField("per_1000_km2", "number", "records per 1000 km²", "records by area")
_CONFIDENCE = LayerField(
    "confidence",
    "number",
    None,
    "visits of the group / (visits + half), 0 to 1: one less ignorance",
)

LAYERS: dict[LayerName, Layer] = {
    "occurrence": Layer(
        name="occurrence",
        title="Records",
        meaning="where a taxon was recorded, beside the effort of its target group",
        whose="taxon",
        shown="n",
        fields=(
            _CELL,
            _N,
            LayerField(
                "coarse",
                "boolean",
                None,
                "records too uncertain for this zoom, drawn as the cell that holds them",
            ),
            _OBSERVERS,
            _VISITS,
            _DENSITY,
            LayerField("effort", "integer", "records", "records of the target group"),
            LayerField("effort_visits", "integer", "visits", "visits that recorded the group"),
            LayerField("rate", "number", None, "share of these that recorded the taxon"),
            _CONFIDENCE,
        ),
    ),
    "richness": Layer(
        name="richness",
        title="Species recorded",
        meaning="species of a taxon that were recorded in each cell; grows with effort",
        whose="taxon",
        shown="species",
        fields=(
            _CELL,
            LayerField("species", "integer", "species", "species recorded"),
            _N,
            _OBSERVERS,
            _VISITS,
        ),
    ),
    "effort": Layer(
        name="effort",
        title="Effort",
        meaning="where the target group of a taxon was looked for: its visits and records",
        whose="target group",
        shown="visits",
        fields=(
            _CELL,
            _GROUP_VISITS,
            _GROUP_N,
            _OBSERVERS,
            _DENSITY,
            LayerField("last_year", "integer", "year", "year of the last dated record"),
            _CONFIDENCE,
        ),
    ),
    "completeness": Layer(
        name="completeness",
        title="Completeness",
        meaning="share of the individuals met that belong to species already recorded",
        whose="target group",
        shown="coverage",
        fields=(
            _CELL,
            LayerField(
                "coverage",
                "number",
                None,
                "sample coverage, 0 to 1; left out where visits are too few to say",
            ),
            LayerField("species", "integer", "species", "species recorded"),
            LayerField("at_least", "number", "species", "Chao2: at least so many live here"),
            _GROUP_VISITS,
            LayerField("state", "text", None, "how well the cell is sampled, as in the layer gaps"),
        ),
    ),
    "gaps": Layer(
        name="gaps",
        title="How well searched",
        meaning="how well each cell is sampled for the target group of a taxon",
        whose="target group",
        shown="state",
        fields=(
            _CELL,
            LayerField(
                "state", "text", None, "no_data, insufficient, under_sampled or well_sampled"
            ),
            LayerField("species", "integer", "species", "species recorded"),
            _GROUP_VISITS,
            LayerField("new_species", "number", "species", "expected of the next visit"),
            LayerField("last_year", "integer", "year", "year of the last dated record"),
            _CONFIDENCE,
        ),
    ),
}


def layer_named(name: str) -> Layer:
    """The layer of this name; NotFound where there is none."""
    for layer in LAYERS.values():
        if layer.name == name:
            return layer
    raise NotFound("layer", name)
