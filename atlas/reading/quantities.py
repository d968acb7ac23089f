"""Numbers, lengths and dates as a grammar writes them. Pure."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import NamedTuple

from atlas.reading.grammar import ISO_DAY, NUMBER, Grammar


class Days(NamedTuple):
    """First and last day of a date; a bare year is its whole year."""

    first: date
    last: date


def number_of(text: str, grammar: Grammar) -> float:
    """A number in digits or as a word. Three digits after a mark are thousands: 1,000 and 1.000."""
    plain = " ".join(text.split())
    if plain in grammar.numbers:
        return grammar.numbers[plain]
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", plain):
        return float(re.sub(r"[.,]", "", plain))
    return float(plain.replace(",", "."))


def metres_of(text: str, grammar: Grammar, *, unit_of: str | None = None) -> float:
    """A length in metres; a number without a unit has that of the length `unit_of`."""
    number, unit = _number_and_unit(text, grammar)
    if unit is None and unit_of is not None:
        unit = _number_and_unit(unit_of, grammar)[1]
    return number * grammar.units[unit or "m"]


def _number_and_unit(text: str, grammar: Grammar) -> tuple[float, str | None]:
    digits = re.match(NUMBER, text)
    if digits:
        number, rest = digits[0], text[digits.end() :].strip()
        return number_of(number, grammar), rest or None
    words = text.split()
    if words[-1] in grammar.units:
        return number_of(" ".join(words[:-1]), grammar), words[-1]
    return number_of(text, grammar), None


def months_in(text: str, grammar: Grammar) -> tuple[int, ...]:
    """The months named in a text, in its order."""
    return tuple(
        grammar.months[word] for word in re.findall(r"[^\W\d_]+", text) if word in grammar.months
    )


def months_between(first: int, last: int) -> tuple[int, ...]:
    """Months from one to another, both included, over the new year where need be; sorted."""
    return tuple(sorted((first - 1 + step) % 12 + 1 for step in range((last - first) % 12 + 1)))


def days_of(text: str, grammar: Grammar) -> Days | None:
    """The days of a written date; None where the calendar has no such day."""
    if re.fullmatch(ISO_DAY, text):
        return _day(*map(int, text.split("-")))
    for form in grammar.date_forms:
        match = form.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        year = int(parts["year1"])
        month = grammar.months[parts["month1"]] if parts.get("month1") else None
        if parts.get("day1") and month:
            return _day(year, month, int(re.sub(r"\D", "", parts["day1"])))
        return year_days(year) if month is None else month_days(year, month)
    return None


def _day(year: int, month: int, day: int) -> Days | None:
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    return Days(date(year, month, day), date(year, month, day))


def year_days(year: int) -> Days:
    """A whole year."""
    return Days(date(year, 1, 1), date(year, 12, 31))


def month_days(year: int, month: int) -> Days:
    """A whole month."""
    return Days(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def before(today: date, count: int, unit: str) -> date | None:
    """The day so many years, months, weeks or days before; None before the calendar begins."""
    if unit in {"day", "week"}:
        days = count * (7 if unit == "week" else 1)
        return today - timedelta(days) if days < today.toordinal() else None
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "year" else 1)
    if months < 12:
        return None
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(today.day, calendar.monthrange(year, month)[1]))


def period_before(today: date, unit: str, back: int) -> Days:
    """The calendar's year, month, week or day that lies `back` of them before today's."""
    if unit == "year":
        return year_days(today.year - back)
    if unit == "month":
        months = today.year * 12 + today.month - 1 - back
        return month_days(months // 12, months % 12 + 1)
    if unit == "week":
        monday = today - timedelta(today.weekday() + 7 * back)
        return Days(monday, monday + timedelta(6))
    return Days(today - timedelta(back), today - timedelta(back))
