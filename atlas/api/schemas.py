"""What several answers share over the wire: records, words as they were read, place layers.

Pure data, named as in Darwin Core where a term exists. Structs of the domain that are already fit
for the wire (the filter of a search, name matches, distributions) are used as they are. What is
asked and answered stands by subject in `search_requests`, `search_schemas`, `taxon_schemas`,
`map_schemas`, `gap_schemas` and `atlas_schemas`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from atlas.reading.places import Place
from atlas.reading.spans import Kind


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
    dataset_key: Annotated[
        str | None,
        Meta(
            description="the data set that the record is published in, by GBIF's key or its "
            "publisher's; cite these"
        ),
    ]
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


class Geometry(Schema, frozen=True, kw_only=True):
    """GeoJSON geometry of a cell; a cell across the antimeridian has several polygons."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: list[list[list[tuple[float, float]]]]


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
