"""Gaps over the wire: a ranking with the question as it was understood, and one cell explained.

Pure data; what the survey itself says is used as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from atlas.api.schemas import CellNumber, Geometry, Record, Schema, TaxonName
from atlas.species.gap_answers import Gap, GapDetail, GapRanking
from atlas.species.gaps import SamplingState


class Understood(Schema, frozen=True, kw_only=True):
    """The question as it was read, so that a person can correct it.

    Of a text, `photos` are those its search found, `read` those of the taxa that are ranked for.
    """

    text: str | None
    photos: int | None
    read: int | None
    area: Literal["the whole earth", "bbox", "polygon"]
    states: list[SamplingState]
    words: Annotated[str, Meta(description="the question in a sentence")]


class GapAnswer(GapRanking, frozen=True, kw_only=True):
    """Cells most worth a visit, best first, and what was asked."""

    question: Understood


class GapFeature(Schema, frozen=True, kw_only=True):
    """A cell as a GeoJSON feature."""

    type: Literal["Feature"] = "Feature"
    id: CellNumber
    geometry: Geometry
    properties: Gap


class GapFeatures(Schema, frozen=True, kw_only=True):
    """A ranking as GeoJSON, best first; `ranking` says of the whole what the JSON answer says."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[GapFeature]
    ranking: Annotated[dict[str, object], Meta(description="the JSON answer without its gaps")]
