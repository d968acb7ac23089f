"""The atlas itself over the wire: what it holds, whom to cite, and the state of the server.

Pure data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from atlas.api.schemas import LayerSummary, Schema


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
