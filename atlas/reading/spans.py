"""What a question says besides looks: one struct for each kind of span. Pure data."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal["near", "within", "elevation", "time", "taxon", "light", "licence", "source"]
Feature = Literal["river", "lake", "coast", "place"]
Season = Literal["spring", "summer", "autumn", "winter", "wet", "dry"]
Light = Literal["night", "day", "dusk", "dawn"]


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a span means; what is not said is left out."""


class Near(Value, frozen=True, kw_only=True):
    """At most `within_m` metres from a river, a lake, the coast, or from the named place.

    `place` names one river, lake, sea or other place by its id in the gazetteer.
    """

    feature: Feature
    within_m: int
    min_order: Annotated[int | None, Meta(description="least stream order (Strahler)")] = None
    place: str | None = None


class Within(Value, frozen=True, kw_only=True):
    """In any of these: ISO 3166 codes, and ids of the gazetteer.

    `within_m` has a number for each `place` where these are towns of which only points are known:
    the metres from its point that count as in it. The reader leaves it out.
    """

    country: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    continent: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    within_m: tuple[int, ...] = ()


class Elevation(Value, frozen=True, kw_only=True):
    """Metres above the sea, both ends included."""

    min_m: int | None = None
    max_m: int | None = None


class Time(Value, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """Days, both included, and months of any year.

    Where a season was named and the hemisphere is unknown, `months` is the northern reading and
    `months_south` the southern.
    """

    first: date | None = None
    last: date | None = None
    months: tuple[int, ...] = ()
    months_south: tuple[int, ...] = ()
    season: Season | None = None


class TaxonMeant(Value, frozen=True, kw_only=True):
    """A taxon of the table."""

    taxon_id: int
    scientific_name: str


class LightMeant(Value, frozen=True, kw_only=True):
    """A time of day."""

    period: Light


class LicenceMeant(Value, frozen=True, kw_only=True):
    """A licence, without its version where none was said; or `public-domain`."""

    licence: str


class SourceMeant(Value, frozen=True, kw_only=True):
    """The key of a source of the bundle."""

    source: str


Meaning = Near | Within | Elevation | Time | TaxonMeant | LightMeant | LicenceMeant | SourceMeant


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the question and what it was read as.

    `start` and `end` count characters (code points) of the question as typed; `confidence` is in
    [0, 1] and below one half where the words could as well mean something else.
    """

    start: int
    end: int
    kind: Kind
    value: Meaning
    confidence: float
