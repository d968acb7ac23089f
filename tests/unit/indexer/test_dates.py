"""Reading of Darwin Core dates."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.dates import parse_event_date

DAYS = st.dates(min_value=date(1000, 1, 1), max_value=date(2999, 12, 31))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2021", "2021-01-01", "2021-12-31"),
        ("1906-06", "1906-06-01", "1906-06-30"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("1809-02-12", "1809-02-12", "1809-02-12"),
        (" 20210531 ", "2021-05-31", "2021-05-31"),
        ("2021-151", "2021-05-31", "2021-05-31"),
        ("2020-05-30T04:57:37+02:00", "2020-05-30", "2020-05-30"),
        ("2009-02-20T23:40Z", "2009-02-20", "2009-02-20"),
        ("1963-03-08T14:07-0600", "1963-03-08", "1963-03-08"),
        ("2021-05-31 08:25:38.5", "2021-05-31", "2021-05-31"),
        ("2021-05-31T24:00", "2021-05-31", "2021-05-31"),
        ("1900/1909", "1900-01-01", "1909-12-31"),
        ("2007-11-13/15", "2007-11-13", "2007-11-15"),
        ("2007-11-13/12-02", "2007-11-13", "2007-12-02"),
        ("2007-11/12", "2007-11-01", "2007-12-31"),
        ("2007-03-01T13:00:00Z/2008-05-11T15:30:00Z", "2007-03-01", "2008-05-11"),
        ("2007-11-13T10:00/12:30", "2007-11-13", "2007-11-13"),
        ("2007-11-13/2007-11-13", "2007-11-13", "2007-11-13"),
    ],
)
def test_forms_of_iso_8601_are_read(text: str, first: str, last: str) -> None:
    """Would break: a form that publishers use loses its date, or the day shifts with its zone."""
    days = parse_event_date(text)
    assert days is not None
    assert (days.first.isoformat(), days.last.isoformat()) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spring",
        "31/05/2021",
        "05/31/2021",
        "2021-13",
        "2021-02-30",
        "2021-00-10",
        "0000",
        "2021-366",
        "2021-000",
        "2021-5-1",
        "2021-05-31T25:00",
        "2021-05-31T10:61",
        "2021T10:00",
        "2021-05-31/",
        "/2021",
        "2021-05-31/2020-01-01",
        "2021-05-31/30",
        "2007-11/15",
        "2007/08",
        "2020/2021/2022",
        "\u0662\u0660\u0662\u0661-\u0660\u0665",  # 2021-05 in Arabic digits
        "2021-05-31x",
        "NaT",
    ],
)
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    """Would break: a day is invented for text that does not say one (such as 05/06/2021)."""
    assert parse_event_date(text) is None


@given(DAYS, st.integers(0, 4000))
def test_intervals_keep_both_ends(first: date, length: int) -> None:
    """Would break: an interval loses or moves one of its ends."""
    last = first + timedelta(days=length)
    assert parse_event_date(f"{first.isoformat()}/{last.isoformat()}") == (first, last)


@given(st.text(alphabet="0123456789-/T:Z+ .", max_size=24))
def test_no_text_raises(text: str) -> None:
    """Would break: one odd date stops a build of millions of rows."""
    days = parse_event_date(text)
    assert days is None or days.first <= days.last
