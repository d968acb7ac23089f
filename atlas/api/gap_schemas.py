"""Gaps over the wire: a ranking with the question as it was understood, and one cell explained.

Pure data; what the survey itself says is used as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from atlas.api.schemas import CellNumber, Geometry, Interpretation, Record, Schema
from atlas.species.distribution import TargetGroup
from atlas.species.gap_answers import (
    ExpectedSpecies,
    Gap,
    GapDetail,
    GapRanking,
    GapTaxon,
    Lives,
    NeighbourCell,
    RecordedSpecies,
    Unrecorded,
)
from atlas.species.gaps import SamplingState
from atlas.species.occupancy import HeldBack


class Understood(Schema, frozen=True, kw_only=True):
    """The question as it was read, so that a person can correct it.

    Of a text, `photos` are those its search found, `read` those of the taxa that are ranked for;
    `interpretation` is that search's own. Its words of place limit the photos, not the area.
    """

    text: str | None
    photos: int | None
    read: int | None
    interpretation: Interpretation | None
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


class NearRecord(Schema, frozen=True, kw_only=True):
    """A record of an expected species, its distance from the cell's centre, and its photo."""

    distance_km: float
    observed_on: Annotated[dt.date | None, Meta(description="null where the day is not known")]
    record: Record


class ExpectedHere(Schema, frozen=True, kw_only=True):
    """A species expected in the cell and not recorded there, with the evidence.

    `probability` that it would be recorded at a standard effort; `by_now`, at the effort that the
    cell has had: where that is high the species was looked for. `frequency`, the weighted share of
    the neighbourhood's cells where it was recorded; `neighbours`, the nearest of those `cells`;
    `records`, the nearest, with their photos.
    """

    taxon_id: int
    scientific_name: str
    common_name: str | None
    probability: float
    by_now: float
    frequency: float
    cells: int
    neighbours: list[NeighbourCell]
    records: list[NearRecord]


class UnrecordedHere(Schema, frozen=True, kw_only=True):
    """What the neighbourhood leads one to expect; no species where that is not `reliable`.

    `cells` neighbours were searched; by their weights they count as `effective_cells`. `phi` is
    their frequency-weighted mean frequency; `alpha` what their effort must be multiplied by to
    reach the standard. `more` species are probable enough and not listed.
    """

    reliable: bool
    why: str
    cells: int
    effective_cells: float
    phi: float | None
    alpha: float | None
    expected_richness: float | None
    species: list[ExpectedHere]
    more: int


class GapCellAnswer(Schema, frozen=True, kw_only=True):
    """Everything behind one cell's place in the ranking.

    `thresholds` are the settings that its state and score follow from. `recorded` lists the species
    met in most visits. `coarse_records` lie somewhere in a coarser cell that holds this one.
    """

    taxon: GapTaxon
    target_group: TargetGroup
    resolution: int
    lives: Lives
    as_of: dt.date
    gap: Gap
    thresholds: dict[str, float]
    recorded: list[RecordedSpecies]
    unrecorded: UnrecordedHere
    coarse_records: int
    held_back: list[HeldBack]


def cell_answer(detail: GapDetail, records: Mapping[int, Record]) -> GapCellAnswer:
    """The survey's answer with the records that it names by row."""
    kept = {name: getattr(detail, name) for name in detail.__struct_fields__}
    kept["unrecorded"] = _unrecorded(detail.unrecorded, records)
    return GapCellAnswer(**kept)


def _unrecorded(found: Unrecorded, records: Mapping[int, Record]) -> UnrecordedHere:
    kept = msgspec.structs.asdict(found)
    kept["species"] = [_expected(species, records) for species in found.species]
    return UnrecordedHere(**kept)


def _expected(species: ExpectedSpecies, records: Mapping[int, Record]) -> ExpectedHere:
    kept = msgspec.structs.asdict(species)
    kept["records"] = [
        NearRecord(
            distance_km=seen.distance_km,
            observed_on=seen.observed_on,
            record=records[seen.row_id],
        )
        for seen in kept.pop("sightings")
    ]
    return ExpectedHere(**kept)
