"""From spans to a filter: what limits, what does not and why, and what the encoder is given."""

from __future__ import annotations

from datetime import date

import pytest

from atlas.api.applied import Offered, Reading, WithoutSpan, apply_spans
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
)
from atlas.search.filters import DateRange, Filter

OFFERED = Offered(
    licences=("CC-BY-4.0", "CC-BY-3.0-DE", "CC-BY-NC-4.0", "CC0-1.0", "PDM-1.0"),
    layers=Layers(),
    gazetteer=Gazetteer([]),
)
FROG = TaxonMeant(taxon_id=7, scientific_name="Anura")


def span(text: str, words: str, kind: Kind, value: Meaning, confidence: float = 0.9) -> Span:
    """A span around some words of a text."""
    start = text.index(words)
    end = start + len(words)
    return Span(start=start, end=end, kind=kind, value=value, confidence=confidence)


def limits(value: Meaning, kind: Kind, asked: Filter | None = None) -> tuple[Filter, str | None]:
    """The filter that one span gives, and the reason where it gives none."""
    text = "some words"
    found = [span(text, "words", kind, value)]
    interpretation, limited, _ = apply_spans(text, found, asked or Filter(), Reading(), OFFERED)
    assert interpretation.spans[0].applied == (interpretation.spans[0].reason is None)
    return limited, interpretation.spans[0].reason


def test_what_limits() -> None:
    """Each kind fills its own part of the filter."""
    assert limits(FROG, "taxon")[0] == Filter(taxon=7)
    assert limits(SourceMeant(source="b"), "source")[0] == Filter(sources=("b",))
    year = Time(first=date(2020, 1, 1), months=(5, 6))
    assert limits(year, "time")[0] == Filter(
        observed=DateRange(first=date(2020, 1, 1)), months=(5, 6)
    )


@pytest.mark.parametrize(
    ("named", "codes"),
    [
        ("CC-BY", ("CC-BY-4.0", "CC-BY-3.0-DE")),
        ("CC-BY-4.0", ("CC-BY-4.0",)),
        ("CC-BY-NC", ("CC-BY-NC-4.0",)),
        ("CC0", ("CC0-1.0",)),
        ("public-domain", ("CC0-1.0", "PDM-1.0")),
    ],
)
def test_licences_by_family(named: str, codes: tuple[str, ...]) -> None:
    """CC BY must never let CC BY-NC pass: that would be a wrong permission."""
    assert limits(LicenceMeant(licence=named), "licence")[0] == Filter(licences=codes)


@pytest.mark.parametrize(
    ("value", "kind", "asked", "reason"),
    [
        (FROG, "taxon", Filter(taxon=3), "names a taxon"),
        (Time(months=(5,)), "time", Filter(months=(6,)), "names months"),
        (Time(first=date(2020, 1, 1)), "time", Filter(observed=DateRange()), "names days"),
        (SourceMeant(source="a"), "source", Filter(sources=("b",)), "names sources"),
        (LicenceMeant(licence="CC0"), "licence", Filter(licences=("PDM-1.0",)), "names licences"),
        (LicenceMeant(licence="CC-BY-ND"), "licence", Filter(), "under this licence"),
        (Near(feature="river", within_m=10), "near", Filter(), "layer of rivers"),
        (Elevation(min_m=10), "elevation", Filter(), "layer of elevation"),
        (LightMeant(period="night"), "light", Filter(), "time of day"),
        (Time(months=(3,), months_south=(9,)), "time", Filter(), "hemisphere"),
    ],
)
def test_what_does_not_limit_says_why(
    value: Meaning, kind: Kind, asked: Filter, reason: str
) -> None:
    """The filter of the client stays as it is, and the person reads why the words did nothing."""
    limited, why = limits(value, kind, asked)
    assert limited == asked
    assert why is not None
    assert reason in why


def test_several_times_are_met_together_and_contradictions_are_told() -> None:
    """Since 2015 and in May are both meant; in May and in June cannot be."""
    text = "since 2015 before 2020 in May in June"
    found = [
        span(text, "since 2015", "time", Time(first=date(2015, 1, 1))),
        span(text, "before 2020", "time", Time(last=date(2019, 12, 31))),
        span(text, "in May", "time", Time(months=(5,))),
        span(text, "in June", "time", Time(months=(6,))),
    ]
    interpretation, limited, _ = apply_spans(text, found, Filter(), Reading(), OFFERED)
    assert limited == Filter(
        observed=DateRange(first=date(2015, 1, 1), last=date(2019, 12, 31)), months=(5,)
    )
    assert [each.applied for each in interpretation.spans] == [True, True, True, False]


def test_several_taxa_are_any_of_them() -> None:
    """The first alone would hide the second without a word."""
    text = "frogs and newts"
    newt = TaxonMeant(taxon_id=9, scientific_name="Caudata")
    found = [span(text, "frogs", "taxon", FROG), span(text, "newts", "taxon", newt)]
    understood = apply_spans(text, found, Filter(), Reading(), OFFERED)
    assert understood.limits == Filter(taxon=(7, 9))
    assert all(each.applied for each in understood.interpretation.spans)
    assert understood.interpretation.text == text
    off = Reading(without=(WithoutSpan(kind="taxon", start=10),))
    assert apply_spans(text, found, Filter(), off, OFFERED).limits == Filter(taxon=7)


def test_switches() -> None:
    """A person corrects a misreading by kind and offset."""
    text = "frogs near rivers in 2020"
    found = [
        span(text, "frogs", "taxon", FROG),
        span(text, "near rivers", "near", Near(feature="river", within_m=10)),
        span(text, "in 2020", "time", Time(first=date(2020, 1, 1), last=date(2020, 12, 31))),
    ]

    def reasons(reading: Reading) -> list[str | None]:
        return [
            each.reason for each in apply_spans(text, found, Filter(), reading, OFFERED)[0].spans
        ]

    assert reasons(Reading(without=(WithoutSpan(kind="taxon"),)))[0] == "switched off"
    assert reasons(Reading(without=(WithoutSpan(kind="taxon", start=1),)))[0] is None
    assert reasons(Reading(place="off"))[1] == "place is off"
    assert reasons(Reading(place="off"))[2] is None
    assert "no layer" in (reasons(Reading(place="soft"))[1] or "")


def test_the_encoder_gets_what_is_left() -> None:
    """Words that became a filter say nothing of looks; a taxon's name does."""
    text = "red frogs, in 2020 (CC0)"
    found = [
        span(text, "frogs", "taxon", FROG),
        span(text, "in 2020", "time", Time(first=date(2020, 1, 1))),
    ]
    assert apply_spans(text, found, Filter(), Reading(), OFFERED)[0].text == "red frogs, (CC0)"
    alone = "in 2020"
    only = [span(alone, alone, "time", Time(first=date(2020, 1, 1)))]
    assert apply_spans(alone, only, Filter(), Reading(), OFFERED)[0].text == alone


def test_doubt_is_shown_and_does_nothing() -> None:
    """A filter from a guess would hide what was asked for."""
    text = "a robin"
    found = [span(text, "robin", "taxon", FROG, confidence=0.45)]
    interpretation, limited, _ = apply_spans(text, found, Filter(), Reading(), OFFERED)
    assert limited == Filter()
    assert interpretation.spans[0].reason == "it could as well mean something else"
