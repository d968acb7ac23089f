"""Taxa over the wire: one taxon with its lineage, children and counts, and names that match.

Pure data; a match is used as the search of names gives it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from atlas.api.schemas import Schema
from atlas.species.names import NameMatch


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


class CommonName(Schema, frozen=True, kw_only=True):
    """A name in a language (ISO 639 code, empty where unknown)."""

    name: str
    language: str


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


class TaxonMatches(Schema, frozen=True, kw_only=True):
    """Completions, best first."""

    taxa: list[NameMatch]
