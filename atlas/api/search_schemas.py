"""A search over the wire: hits, how they were found, and what was left out.

Pure data.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from atlas.api.schemas import Interpretation, LayerSummary, Record, Schema


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


class Plan(Schema, frozen=True, kw_only=True):
    """How a search ran: the path taken, in all segments together, and the rows it scored."""

    path: str
    rows_scored: int
    segments: list[SegmentPlan]


class TookMs(Schema, frozen=True, kw_only=True):
    """Time of each step, in milliseconds."""

    encode: float
    search: float
    rows: float
    total: float


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
