"""What goes over the wire: msgspec structs, named as in Darwin Core where a term exists.

Pure data. Structs of the domain that are already fit for the wire (the filter of a search, name
matches, distributions) are used as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from atlas.reading.places import Place
from atlas.reading.spans import Kind
from atlas.species.distribution import OccupiedCell, TargetGroup
from atlas.species.layers import LayerField, LayerName, Whose
from atlas.species.names import NameMatch
from atlas.species.occupancy import HeldBack


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the API."""


class TaxonName(Schema, frozen=True, kw_only=True):
    """A taxon as a hit names it."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    rank: str


CellNumber = Annotated[str, Meta(description="H3 cell as 15 hexadecimal digits")]
Day = Annotated[str, Meta(description="ISO 8601 day, or an interval of two days as first/last")]


class Record(Schema, frozen=True, kw_only=True):
    """One photo with the record it belongs to.

    `licence` is the photo's, `record_licence` the record's; they may differ. `lat` and `lon` are
    as published, which may be generalised; places of sensitive taxa are generalised here, too, as
    `data_generalizations` says. `cell` is never finer than `uncertainty_m` allows.
    """

    image_id: UUID
    taxon: TaxonName
    verbatim_name: Annotated[str, Meta(description="scientificName as the record gives it")]
    cell: CellNumber | None
    lat: float | None
    lon: float | None
    uncertainty_m: float | None
    observed_on: Day | None
    observer: str | None
    basis_of_record: str | None
    media_url: str | None
    source_url: str | None
    licence: str | None
    record_licence: str | None
    rights_holder: str | None
    dataset: str
    occurrence_id: str | None
    data_generalizations: Annotated[
        str | None, Meta(description="how the place was made less exact, and why")
    ]
    flags: list[str]


class StoredRecord(Record, frozen=True, kw_only=True):
    """A record as it is stored, and which photos repeat it."""

    duplicate_of: Annotated[
        UUID | None,
        Meta(
            description="the photo that this one repeats: the same file, or near-identical in a "
            "burst; null where it repeats none, or the bundle does not say"
        ),
    ]
    duplicates: Annotated[int, Meta(description="how many photos repeat this one")]


class SpaceScore(Schema, frozen=True, kw_only=True):
    """A hit as one space sees it: its rank there, and its exact cosine with the question.

    `rank` counts from 1. It is null where the space did not rank the hit among those that were
    fused.
    """

    space: str
    rank: int | None
    score: float


class Hit(Record, frozen=True, kw_only=True):
    """A record that answers a search.

    `score` is the exact cosine with the question where one space was searched, and the sum of
    1 / (k + rank) over the spaces where several were. `collapsed` photos of the same burst look
    like this one and are not listed; `collapsed_images` names them. Where the question prefers
    places, `score` is that sum over the list of all photos and that of each place, and `places_met`
    says how many of the places the photo meets.
    """

    score: float
    spaces: list[SpaceScore]
    collapsed: int
    collapsed_images: list[UUID]
    places_met: int | None = None


class Plan(Schema, frozen=True, kw_only=True):
    """How a search ran: the path taken, in all segments together, and the rows it scored."""

    path: str
    rows_scored: int
    segments: list[SegmentPlan]


class SegmentPlan(Schema, frozen=True, kw_only=True):
    """How one segment was searched in one space."""

    space: str
    segment: str
    path: str
    passing: int
    rows_scored: int
    lists: Annotated[int, Meta(description="inverted lists that were looked into")]
    codes: Annotated[int, Meta(description="rows that those lists hold")]
    why: Annotated[str, Meta(description="why this path was taken, for people")]


class SpanRead(Schema, frozen=True, kw_only=True):
    """A stretch of the question that was understood as something else than looks.

    Offsets count characters (code points). Where it does not limit the search, `applied` is false
    and `reason` says why.
    """

    start: int
    end: int
    words: Annotated[str, Meta(description="the stretch as typed")]
    kind: Kind
    value: Annotated[
        dict[str, Any], Meta(description="what it means; the fields of each kind are in the guide")
    ]
    confidence: float
    applied: bool
    reason: str | None
    origin: Annotated[str | None, Meta(description="whom to cite for where a named town is")] = None
    note: Annotated[
        str | None, Meta(description="what is supposed where the words leave it open")
    ] = None


class Interpretation(Schema, frozen=True, kw_only=True):
    """How the words were read; `text` is what the encoder was given.

    `scene_text` is what encoders that know scenes were given: words of place are still in it.
    `notice` says where the search departs from what the words say.
    """

    text: str
    scene_text: str
    spans: list[SpanRead]
    notice: str | None = None


class PlaceMatches(Schema, frozen=True, kw_only=True):
    """Completions, best first."""

    places: list[Place]


class TookMs(Schema, frozen=True, kw_only=True):
    """Time of each step, in milliseconds."""

    encode: float
    search: float
    rows: float
    total: float


class LayerSummary(Schema, frozen=True, kw_only=True):
    """A place layer: what it tells of, how it was made, and whom to cite."""

    name: str
    kind: Literal["distance", "category", "value"]
    feature: str
    unit: str
    orders: Annotated[list[float], Meta(description="order classes that `min_order` can ask for")]
    accuracy_m: Annotated[
        float, Meta(description="how far the data may be off: added to every record's uncertainty")
    ]
    rule: Annotated[str, Meta(description="how a value was found, for people")]
    title: str
    origin: str
    licence: str
    citation: str
    url: str
    made_at: str


class HeldBackRows(Schema, frozen=True, kw_only=True):
    """Rows that the default quality filter hides for one reason."""

    flag: str
    meaning: str
    rows: int


class SearchAnswer(Schema, frozen=True, kw_only=True):
    """A page of hits, best first.

    `matching` is the exact number of rows that pass the filter, `held_back` how many more the
    default quality filter hides, and `held_back_for` why: a row may be hidden for several reasons.
    `unjudged` counts rows that pass the rest of the filter and of which a place layer cannot tell,
    for their uncertainty or for lack of a value; `layers` are the place layers that the answer
    rests on. `next_cursor` is null on the last page. `spaces` were searched; where there are
    several, `score` is the fused one.
    """

    hits: list[Hit]
    next_cursor: str | None
    matching: int
    held_back: int
    unjudged: int
    layers: list[LayerSummary]
    held_back_for: list[HeldBackRows]
    spaces: list[str]
    plan: Plan
    interpretation: Interpretation | None
    took_ms: TookMs


class RankName(Schema, frozen=True, kw_only=True):
    """One rank of a lineage; both nulls where the source left the rank empty."""

    rank: str
    scientific_name: str | None
    taxon_id: int | None


class ChildTaxon(Schema, frozen=True, kw_only=True):
    """A direct child in the tree."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    rank: str
    images: int


class TaxonCounts(Schema, frozen=True, kw_only=True):
    """Counts of a taxon with all below it, and of what hangs on the taxon itself."""

    images: int
    images_here: int
    taxa: Annotated[int, Meta(description="taxa below this one")]
    children: int


class Taxon(Schema, frozen=True, kw_only=True):
    """One taxon: its lineage with empty ranks kept, its children, its counts."""

    taxon_id: int
    parent_id: int | None
    scientific_name: str
    common_name: str | None
    common_names: list[CommonName]
    rank: str
    lineage: list[RankName]
    children: list[ChildTaxon]
    counts: TaxonCounts


class CommonName(Schema, frozen=True, kw_only=True):
    """A name in a language (ISO 639 code, empty where unknown)."""

    name: str
    language: str


class TaxonMatches(Schema, frozen=True, kw_only=True):
    """Completions, best first."""

    taxa: list[NameMatch]


class Geometry(Schema, frozen=True, kw_only=True):
    """GeoJSON geometry of a cell; a cell across the antimeridian has several polygons."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: list[list[list[tuple[float, float]]]]


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


class AtlasCounts(Schema, frozen=True, kw_only=True):
    """What the bundle holds."""

    images: int
    records: int
    taxa: int
    species: int
    cells: int
    held_back: Annotated[int, Meta(description="images that the default quality filter hides")]
    duplicate_groups: Annotated[
        int | None,
        Meta(
            description="groups of identical files and near-identical photos of bursts; null "
            "where the bundle does not say"
        ),
    ]
    duplicates: Annotated[
        int | None, Meta(description="images in such groups that repeat the first of their group")
    ]
    rejects: int


class SpaceSummary(Schema, frozen=True, kw_only=True):
    """One encoder's vector space and what was measured of it."""

    name: str
    encoder: str
    dim: int
    fingerprint: str | None
    index: Annotated[str | None, Meta(description="FAISS factory; null where search is exact")]
    reads_text: Annotated[bool, Meta(description="whether this server has its encoder loaded")]
    recall: Annotated[Any, Meta(description="the bundle's curve.json; null where none was made")]


class SourceSummary(Schema, frozen=True, kw_only=True):
    """A source to cite, and its account: rows in = rows out + rejects."""

    key: str
    kind: str
    title: str
    citation: str
    licence: str
    url: str
    rows_in: int
    rows_out: int
    rejects: dict[str, int]
    removed: Annotated[int, Meta(description="of rows_out, those that were removed since")]


class LicenceSummary(Schema, frozen=True, kw_only=True):
    """A licence that records or photos of the bundle carry."""

    code: str
    title: str
    url: str
    hosting: Annotated[bool, Meta(description="whether photos under it may be hosted")]
    images: int


class FlagSummary(Schema, frozen=True, kw_only=True):
    """A quality flag; `held_back` flags are hidden unless a filter asks for them."""

    name: str
    meaning: str
    held_back: bool
    images: int


class AtlasDescription(Schema, frozen=True, kw_only=True):
    """What this atlas is and what to cite."""

    title: str
    description: str
    demonstration: bool
    bundle: int
    built_at: str
    counts: AtlasCounts
    ranks: list[str]
    cell_resolution: int
    default_space: Annotated[
        str | None, Meta(description="null where the atlas holds records without pictures")
    ]
    spaces: list[SpaceSummary]
    sources: list[SourceSummary]
    layers: list[LayerSummary]
    licences: list[LicenceSummary]
    flags: list[FlagSummary]
    rejects: Annotated[dict[str, int], Meta(description="refused rows by reason, all sources")]


class Health(Schema, frozen=True, kw_only=True):
    """State of the server."""

    status: Literal["ok"] = "ok"
    bundle: int | None = None
    refused: Annotated[
        str | None,
        Meta(description="manifest of a newer state that cannot be served; the log says why"),
    ] = None
