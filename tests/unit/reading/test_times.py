"""Dates, seasons and lengths as people write them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.reading.grammar import Grammar
from atlas.reading.quantities import (
    before,
    metres_of,
    months_between,
    number_of,
    period_before,
)
from atlas.reading.times import season_months
from tests.unit.reading.conftest import Read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("birds in 2020", {"from": "2020-01-01", "to": "2020-12-31"}),
        ("birds since May 2019", {"from": "2019-05-01"}),
        ("birds after May 2019", {"from": "2019-06-01"}),
        ("birds before 3 May 2019", {"to": "2019-05-02"}),
        ("birds until 2019", {"to": "2019-12-31"}),
        ("birds on May 3, 2019", {"from": "2019-05-03", "to": "2019-05-03"}),
        ("birds on the 3rd of May 2019", {"from": "2019-05-03", "to": "2019-05-03"}),
        ("birds in February 2020", {"from": "2020-02-01", "to": "2020-02-29"}),
        (
            "birds in May and June 2020",
            {"from": "2020-01-01", "to": "2020-12-31", "months": [5, 6]},
        ),
        ("birds from November to February", {"months": [1, 2, 11, 12]}),
        ("birds in the last two years", {"from": "2024-06-15"}),
        ("birds in the past 2 weeks", {"from": "2026-06-01"}),
        ("birds last month", {"from": "2026-05-01", "to": "2026-05-31"}),
        ("birds last week", {"from": "2026-06-08", "to": "2026-06-14"}),
        ("birds in the 1990s", {"from": "1990-01-01", "to": "1999-12-31"}),
        ("aves el 3 de mayo de 2019", {"from": "2019-05-03", "to": "2019-05-03"}),
        ("aves en los años 1990", {"from": "1990-01-01", "to": "1999-12-31"}),
        ("aves en mayo", {"months": [5]}),
        ("birds on 31 February 2020", None),
        ("birds between 2014 and 2010", None),
        ("birds in the last 0 years", None),
    ],
)
def test_times(read: Read, text: str, value: dict[str, Any] | None) -> None:
    """A day off by one hides records; a date that is none must not become another."""
    found = [span["value"] for span in read(text) if span["kind"] == "time"]
    assert found == ([] if value is None else [value])


def test_seasons_follow_the_hemisphere_of_the_place(read: Read) -> None:
    """Summer in Chile is winter in Norway; without a place both are shown, and neither is sure."""

    def months(text: str) -> list[int]:
        found: list[int] = read(text)[-1]["value"]["months"]
        return found

    assert months("in Norway in summer") == [6, 7, 8]
    assert months("in Chile in summer") == [1, 2, 12]
    assert read("birds in summer")[-1]["value"]["months_south"] == [1, 2, 12]
    assert "months_south" in read("insects in Chile and Japan in spring")[-1]["value"]
    assert months("in Kenya in the rainy season") == [3, 4, 5, 10, 11, 12]
    assert months("in Peru in the dry season") == [5, 6, 7, 8, 9, 10]


@given(latitude=st.floats(-90, 90))
def test_wet_and_dry_season_share_no_month(latitude: float) -> None:
    """A month that is both would make one of the questions meaningless."""
    wet, dry = (set(season_months(season, latitude).months) for season in ("wet", "dry"))
    assert wet | dry == set(range(1, 13))
    assert not wet & dry


@given(first=st.integers(1, 12), last=st.integers(1, 12))
def test_months_run_over_the_new_year(first: int, last: int) -> None:
    """November to February are four months, not ten."""
    months = months_between(first, last)
    assert {first, last} <= set(months)
    assert len(months) == (last - first) % 12 + 1
    assert list(months) == sorted(set(months))


def test_periods_before_a_day() -> None:
    """The calendar's ends: leap days, short months, the first years."""
    assert before(date(2024, 2, 29), 1, "year") == date(2023, 2, 28)
    assert before(date(2024, 3, 31), 1, "month") == date(2024, 2, 29)
    assert before(date(2024, 3, 31), 9_999, "year") is None
    assert period_before(date(2024, 1, 15), "month", 1).first == date(2023, 12, 1)


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("20 km", 20_000),
        ("20km", 20_000),
        ("1,000 m", 1_000),
        ("1.5 km", 1_500),
        ("1,5 km", 1_500),
        ("6,000 ft", 1_828.8),
        ("half a kilometre", 500),
        ("a mile", 1_609.344),
        ("ten metres", 10),
    ],
)
def test_lengths(grammars: tuple[Grammar, ...], text: str, metres: float) -> None:
    """A thousand metres read as one would put every frog out of reach of its river."""
    english = next(grammar for grammar in grammars if grammar.language == "en")
    assert metres_of(text, english) == pytest.approx(metres)


def test_thousands_and_decimals(grammars: tuple[Grammar, ...]) -> None:
    """Three digits after a mark are thousands in either country's writing."""
    numbers = {text: number_of(text, grammars[0]) for text in ("1.000", "1,000", "0.5", "1,25")}
    assert numbers == {"1.000": 1000, "1,000": 1000, "0.5": 0.5, "1,25": 1.25}
