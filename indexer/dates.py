"""Reads Darwin Core `eventDate`: ISO 8601 dates, times and intervals, to a first and a last day.

A time's zone is not applied: the day is the one written, which is the observer's. Knows nothing
of records. Pure functions, safe from any thread.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import NamedTuple

_DATE = re.compile(
    r"(?P<year>\d{4})"
    r"(?:-(?P<month>\d{2})(?:-(?P<day>\d{2}))?|-(?P<ordinal>\d{3})"
    r"|(?P<basic_month>\d{2})(?P<basic_day>\d{2}))?",
    re.ASCII,
)
_TIME = re.compile(
    r"(?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,]\d+)?)?)?"
    r"\s?(?:Z|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_SHORT_END = re.compile(r"(?:(?P<month>\d{2})-)?(?P<last>\d{2})", re.ASCII)


class DateRange(NamedTuple):
    """The first and the last day on which something was observed, both inclusive."""

    first: date
    last: date


class _Day(NamedTuple):
    """A date as precise as it was written: month and day are None where it was shorter."""

    year: int
    month: int | None
    day: int | None

    def range(self) -> DateRange:
        """Days covered; ValueError where the calendar has no such month or day."""
        if self.month is None:
            return DateRange(date(self.year, 1, 1), date(self.year, 12, 31))
        if self.day is None:
            days = calendar.monthrange(self.year, self.month)[1]
            return DateRange(date(self.year, self.month, 1), date(self.year, self.month, days))
        only = date(self.year, self.month, self.day)
        return DateRange(only, only)


def parse_event_date(text: str) -> DateRange | None:
    """The days meant by `text`, or None where it is not an ISO 8601 date, time or interval.

    Understood: `2021`, `2021-05`, `2021-05-31`, `20210531`, `2021-151`, each full date also with
    a time after `T` or a blank, and two of these with `/` between. The end of an interval may
    leave out what it shares with the start (`2007-11-13/15`, `2007-11/12`). An interval that ends
    before it begins is not understood.
    """
    first_text, separator, last_text = text.strip().partition("/")
    try:
        start = _parse_day(first_text)
        if start is None:
            return None
        if not separator:
            return start.range()
        end = _parse_end(last_text, start, starts_with_time=_has_time(first_text))
        if end is None:
            return None
        return _joined(start.range(), end.range())
    except ValueError:
        # `date` refuses what the calendar does not have (30 February, year 0).
        return None


def _joined(start: DateRange, end: DateRange) -> DateRange | None:
    if end.last < start.first:
        return None
    return DateRange(start.first, end.last)


def _has_time(text: str) -> bool:
    return _split_time(text)[1] is not None


def _parse_day(text: str) -> _Day | None:
    """Read one date with or without a time; None where it is neither."""
    day_text, time_text = _split_time(text)
    match = _DATE.fullmatch(day_text)
    if match is None:
        return None
    day = _day_of(match)
    if time_text is not None and (day.day is None or not _is_time(time_text)):
        return None
    return day


def _split_time(text: str) -> tuple[str, str | None]:
    for separator in ("T", " "):
        day_text, found, time_text = text.partition(separator)
        if found:
            return day_text, time_text
    return text, None


def _day_of(match: re.Match[str]) -> _Day:
    year = int(match["year"])
    if match["ordinal"] is not None:
        moment = date(year, 1, 1) + timedelta(days=int(match["ordinal"]) - 1)
        if moment.year != year:
            raise ValueError("no such day of the year")
        return _Day(year, moment.month, moment.day)
    month = match["month"] or match["basic_month"]
    day = match["day"] or match["basic_day"]
    return _Day(year, int(month) if month else None, int(day) if day else None)


def _is_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    # A leap second is 60; midnight at the end of a day may be written 24:00.
    return (hour < 24 and minute < 60 and second <= 60) or (hour, minute, second) == (24, 0, 0)


def _parse_end(text: str, start: _Day, *, starts_with_time: bool) -> _Day | None:
    """Read the end of an interval, which may leave out what it shares with its start."""
    short = _SHORT_END.fullmatch(text)
    if short is not None and start.month is not None:
        last = int(short["last"])
        if start.day is None:
            return None if short["month"] else _Day(start.year, last, None)
        if not (starts_with_time and short["month"] is None):
            return _Day(start.year, int(short["month"] or start.month), last)
    if starts_with_time and ":" in text and _is_time(text):
        return start
    return _parse_day(text)
