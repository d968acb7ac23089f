"""From the spans of a question to a filter: which of them limit the search, and why others do not.

What a client states in its filter goes before what the words say. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from atlas.api.applied_places import PlaceMeaning, PlaceMode, with_place
from atlas.api.not_applied import NotApplied
from atlas.api.schemas import Interpretation, SpanRead
from atlas.api.towns import Settled, settled
from atlas.geo.layers import Layers
from atlas.reading.places import Gazetteer
from atlas.reading.spans import (
    Elevation,
    Kind,
    LicenceMeant,
    LightMeant,
    Meaning,
    Near,
    SourceMeant,
    Span,
    TaxonMeant,
    Time,
    Within,
)
from atlas.search.filters import MAX_TAXA, DateRange, Filter

SURE_ENOUGH = 0.5
# Each costs a search of its own.
MOST_PREFERRED = 4
# Words that stay for the encoder although they became a filter: a name says what is seen.
_SEEN: frozenset[Kind] = frozenset({"taxon", "light"})
_PLACE: frozenset[Kind] = frozenset({"near", "within", "elevation"})
_OFF = "place is off"
_SOFT = "place is soft: photos that meet it come further up"
_PUBLIC_DOMAIN = re.compile(r"CC0|PDM|public[ -]?domain", re.IGNORECASE)


class WithoutSpan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span that is not to be read: of this kind, at this offset or anywhere."""

    kind: Kind
    start: (
        Annotated[int, Meta(ge=0, description="the span's `start`; all of the kind without")] | None
    ) = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a client wants its words read."""

    interpret: bool = True
    place: PlaceMode = "hard"
    without: tuple[WithoutSpan, ...] = ()


class Offered(NamedTuple):
    """What the bundle has that words can choose among."""

    licences: tuple[str, ...]
    layers: Layers
    gazetteer: Gazetteer


class Understood(NamedTuple):
    """What was understood, the filter that the search then has, and filters that it prefers."""

    interpretation: Interpretation
    limits: Filter
    prefer: tuple[Filter, ...] = ()


def apply_spans(
    text: str, spans: Sequence[Span], asked: Filter, reading: Reading, offered: Offered
) -> Understood:
    """What was understood, and what follows for the search."""
    limits = asked
    taxa = {
        span.value.taxon_id
        for span in spans
        if isinstance(span.value, TaxonMeant) and _not_wanted(span, reading) is None
    }
    shown: list[SpanRead] = []
    soft: list[PlaceMeaning] = []
    for span in spans:
        reason = _not_wanted(span, reading)
        meant = Settled(span.value)
        try:
            meant = settled(span.value, offered.layers, offered.gazetteer)
            if reason is None:
                if reading.place == "soft" and isinstance(meant.value, PlaceMeaning):
                    reason = _preferred(soft, asked, meant.value, offered)
                else:
                    limits = _limited(limits, asked, meant.value, taxa, offered)
        except NotApplied as why:
            reason = reason or str(why)
        shown.append(_shown(text, span, meant, reason, offered.gazetteer))
    applied = [span for span in shown if span.applied and span.kind not in _SEEN]
    interpretation = Interpretation(
        text=_without(text, applied),
        scene_text=_without(text, [span for span in applied if span.kind not in _PLACE]),
        spans=shown,
    )
    # Each place is preferred by itself, among what all other words leave.
    prefer = (with_place(limits, asked, one, offered.layers, offered.gazetteer) for one in soft)
    return Understood(interpretation, limits, tuple(prefer))


def _preferred(
    soft: list[PlaceMeaning], asked: Filter, meant: PlaceMeaning, offered: Offered
) -> str:
    """Note what a soft place means; NotApplied where no layer can tell, or there are too many."""
    with_place(asked, asked, meant, offered.layers, offered.gazetteer)
    if meant not in soft:
        if len(soft) == MOST_PREFERRED:
            raise NotApplied(f"{MOST_PREFERRED} places are preferred at most")
        soft.append(meant)
    return _SOFT


def limits_place(interpretation: Interpretation) -> bool:
    """Whether words of place limit the search."""
    return any(span.applied and span.kind in _PLACE for span in interpretation.spans)


def let_go_of_place(interpretation: Interpretation, notice: str) -> Interpretation:
    """The same with a notice, which is then the reason of what a soft place left out."""
    spans = [
        msgspec.structs.replace(span, reason=notice) if span.reason == _SOFT else span
        for span in interpretation.spans
    ]
    return msgspec.structs.replace(interpretation, spans=spans, notice=notice)


def _shown(
    text: str, span: Span, meant: Settled, reason: str | None, gazetteer: Gazetteer
) -> SpanRead:
    return SpanRead(
        start=span.start,
        end=span.end,
        words=text[span.start : span.end],
        kind=span.kind,
        value=msgspec.to_builtins(meant.value),
        confidence=span.confidence,
        applied=reason is None,
        reason=reason,
        origin=_origin(meant.value, gazetteer),
        note=meant.note,
    )


def _origin(value: Meaning, gazetteer: Gazetteer) -> str | None:
    """Whom to cite for the points of places that limit by their distance."""
    ids: tuple[str, ...] = ()
    if isinstance(value, Near) and value.place is not None:
        ids = (value.place,)
    elif isinstance(value, Within) and value.within_m:
        ids = value.place
    places = (gazetteer.get(place_id) for place_id in ids)
    return "; ".join(sorted({place.origin for place in places if place and place.origin})) or None


def _not_wanted(span: Span, reading: Reading) -> str | None:
    for off in reading.without:
        if off.kind == span.kind and off.start in {None, span.start}:
            return "switched off"
    if span.kind in _PLACE and reading.place == "off":
        return _OFF
    if isinstance(span.value, Time) and span.value.months_south:
        return "the months depend on the hemisphere: name a place on one side of the equator"
    if span.confidence < SURE_ENOUGH:
        return "it could as well mean something else"
    return None


def _limited(
    limits: Filter, asked: Filter, value: Meaning, taxa: Collection[int], offered: Offered
) -> Filter:
    """The filter with what one span says; NotApplied with the reason where it cannot be."""
    match value:
        case TaxonMeant():
            return _with_taxa(limits, asked, taxa)
        case Time():
            return _with_time(limits, asked, value)
        case LicenceMeant():
            if asked.licences is not None:
                raise NotApplied("the filter names licences")
            return _with_licences(limits, value.licence, offered.licences)
        case SourceMeant():
            if asked.sources is not None:
                raise NotApplied("the filter names sources")
            return msgspec.structs.replace(limits, sources=(value.source,))
        case LightMeant():
            raise NotApplied("records do not say the time of day")
        case Near() | Within() | Elevation():
            return with_place(limits, asked, value, offered.layers, offered.gazetteer)


def _with_taxa(limits: Filter, asked: Filter, taxa: Collection[int]) -> Filter:
    """With all taxa that are named, of which a record must be in one."""
    if asked.taxon is not None:
        raise NotApplied("the filter names a taxon")
    if len(taxa) > MAX_TAXA:
        raise NotApplied(f"a filter holds {MAX_TAXA} taxa")
    several = tuple(sorted(taxa))
    return msgspec.structs.replace(limits, taxon=several[0] if len(several) == 1 else several)


def _with_time(limits: Filter, asked: Filter, time: Time) -> Filter:
    if time.months:
        if asked.months is not None:
            raise NotApplied("the filter names months")
        months = tuple(sorted(set(time.months).intersection(limits.months or time.months)))
        if not months:
            raise NotApplied("no month is in this and in what was said before")
        limits = msgspec.structs.replace(limits, months=months)
    if time.first is not None or time.last is not None:
        if asked.observed is not None:
            raise NotApplied("the filter names days")
        limits = msgspec.structs.replace(limits, observed=_both(limits.observed, time))
    return limits


def _both(before: DateRange | None, time: Time) -> DateRange:
    before = before or DateRange()
    firsts: list[date] = [day for day in (before.first, time.first) if day is not None]
    lasts: list[date] = [day for day in (before.last, time.last) if day is not None]
    first, last = max(firsts, default=None), min(lasts, default=None)
    if first is not None and last is not None and first > last:
        raise NotApplied("no day is in this and in what was said before")
    return DateRange(first=first, last=last)


def _with_licences(limits: Filter, named: str, offered: Sequence[str]) -> Filter:
    """Every version of the licence that was named, unless a version was named too."""
    if named == "public-domain":
        codes = tuple(code for code in offered if _PUBLIC_DOMAIN.match(code))
    else:
        version = re.compile(rf"{re.escape(named)}(?:-\d.*)?", re.IGNORECASE)
        codes = tuple(code for code in offered if version.fullmatch(code))
    if limits.licences is not None:
        codes = tuple(sorted({*limits.licences, *codes}))
    if not codes:
        raise NotApplied("no photo of this atlas is under this licence")
    return msgspec.structs.replace(limits, licences=codes)


def _without(text: str, removed: Sequence[SpanRead]) -> str:
    """The text without some stretches, tidied; all of it where nothing would be left."""
    kept, at = [], 0
    for span in removed:
        kept.append(text[at : span.start])
        at = span.end
    rest = " ".join(" ".join([*kept, text[at:]]).split())
    rest = re.sub(r"\s+([,;.?!])", r"\1", rest).strip(" ,;")
    return rest if any(map(str.isalnum, rest)) else text
