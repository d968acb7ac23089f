"""What a catalog holds, as read: images with taxon, source and licences, and taxa. Pure data."""

from __future__ import annotations

import uuid
from datetime import date

import msgspec


class TaxonLabel(msgspec.Struct, frozen=True, kw_only=True):
    """Enough of a taxon to name it."""

    taxon_id: int
    scientific_name: str
    common_name: str | None
    rank: str


class Taxon(msgspec.Struct, frozen=True, kw_only=True):
    """A taxon. Its subtree is the ids `taxon_id` to `last_descendant`.

    `lineage` runs from the root to the parent. `path` has one name a rank of the bundle, "" where
    a rank is empty. `images` counts the subtree, `images_here` the taxon itself.
    """

    taxon_id: int
    parent_id: int | None
    last_descendant: int
    depth: int
    rank: str
    scientific_name: str
    common_name: str | None
    lineage: tuple[TaxonLabel, ...]
    path: tuple[str, ...]
    images: int
    images_here: int


class TaxonNameRow(msgspec.Struct, frozen=True, kw_only=True):
    """One name of a taxon; `kind` is `scientific` or `common`."""

    name: str
    kind: str
    language: str | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows came from, and how to cite it."""

    source_id: int
    key: str
    title: str
    citation: str
    licence: str
    url: str
    kind: str
    rows: int


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """A licence; `hosting` tells whether the build kept pictures under it."""

    licence_id: int
    code: str
    title: str
    url: str
    hosting: bool


class QualityFlag(msgspec.Struct, frozen=True, kw_only=True):
    """A quality flag as the bundle was built with it; `bit` is its value in `flags`."""

    bit: int
    name: str
    meaning: str


class DuplicateRule(msgspec.Struct, frozen=True, kw_only=True):
    """By what rule photos of a burst count as near-identical, and how many groups were found.

    `space` is the one whose cosines were taken, "" where only identical files were looked for.
    `groups` hold `rows` photos, the first of each among them.
    """

    space: str
    least_cosine: float
    near_rows: int
    groups: int
    rows: int


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the atlas with its taxon, source and licences.

    `scientific_name` is the record's own spelling, `taxon` what it was matched to. `licence` is
    the record's, `media_licence` the photo's. `dataset_key` is the data set that the record is
    published in, by GBIF's key or its publisher's. `media_type` is None where the bundle does not
    host the picture. Dates are the first and last day the observation may have been on.
    """

    row_id: int
    image_id: uuid.UUID
    occurrence_id: str | None
    taxon: TaxonLabel
    scientific_name: str | None
    cell: int | None
    cell_resolution: int | None
    latitude: float | None
    longitude: float | None
    uncertainty_m: float | None
    observed_from: date | None
    observed_to: date | None
    observer: str | None
    basis_of_record: str | None
    dataset_key: str | None
    source: Source
    licence: Licence | None
    media_licence: Licence | None
    rights_holder: str | None
    reference_url: str | None
    media_url: str | None
    media_type: str | None
    flags: int
