"""What is said of time: years, dates, months, seasons. Pure; today is passed in.

Seasons are calendar quarters by the hemisphere. Wet and dry seasons follow one rule of latitude:
within 5 degrees of the equator it rains in March to May and October to December, north of it in
May to October, south of it in November to April. That is right for most of the tropics, and wrong
where winters bring the rain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from atlas.reading.grammar import Grammar
from atlas.reading.quantities import (
    Days,
    before,
    days_of,
    months_between,
    months_in,
    number_of,
    period_before,
    year_days,
)
from atlas.reading.rules import Phrase
from atlas.reading.spans import Season, Time

NEAR_EQUATOR = 5.0  # degrees
MOST_PERIODS = 1_000
_ONE_DAY = timedelta(1)
_NORTHERN: Mapping[Season, tuple[int, ...]] = {
    "spring": (3, 4, 5),
    "summer": (6, 7, 8),
    "autumn": (9, 10, 11),
    "winter": (1, 2, 12),
    "wet": (5, 6, 7, 8, 9, 10),
    "dry": (1, 2, 3, 4, 11, 12),
}
_EQUATORIAL: Mapping[Season, tuple[int, ...]] = {
    "wet": (3, 4, 5, 10, 11, 12),
    "dry": (1, 2, 6, 7, 8, 9),
}


def season_months(season: Season, latitude: float | None) -> Time:
    """The months of a season at a latitude; both readings where that is None."""
    north = _NORTHERN[season]
    south = tuple(sorted((month + 5) % 12 + 1 for month in north))
    if latitude is None:
        return Time(months=north, months_south=south, season=season)
    if abs(latitude) < NEAR_EQUATOR:
        if season in _EQUATORIAL:
            return Time(months=_EQUATORIAL[season], season=season)
        return Time(months=north, months_south=south, season=season)
    return Time(months=north if latitude > 0 else south, season=season)


def read_time(phrase: Phrase, grammar: Grammar, today: date) -> Time | None:
    """The time that a phrase states; None where it states none, such as 31 February."""
    reader = _READERS.get(phrase.reading)
    return None if reader is None else reader(phrase, grammar, today)


def _days(phrase: Phrase, grammar: Grammar, number: int = 1) -> Days | None:
    text = phrase.part("date", number)
    return None if text is None else days_of(text, grammar)


def _during(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    listed, spread, year = phrase.part("months"), phrase.part("month_range"), phrase.part("year")
    if listed is not None or spread is not None:
        months = (
            tuple(sorted(set(months_in(listed, grammar))))
            if listed is not None
            else months_between(*months_in(spread or "", grammar))
        )
        if year is None:
            return Time(months=months)
        whole = year_days(int(year))
        return Time(months=months, first=whole.first, last=whole.last)
    days = _days(phrase, grammar)
    return None if days is None else Time(first=days.first, last=days.last)


def _decade(phrase: Phrase, _: Grammar, __: date) -> Time:
    year = int((phrase.part("decade") or phrase.part("year") or "")[:4])
    return Time(first=date(year, 1, 1), last=date(year + 9, 12, 31))


def _since(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    days = _days(phrase, grammar)
    return None if days is None else Time(first=days.first)


def _after(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    days = _days(phrase, grammar)
    return None if days is None else Time(first=days.last + _ONE_DAY)


def _before(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    days = _days(phrase, grammar)
    return None if days is None else Time(last=days.first - _ONE_DAY)


def _until(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    days = _days(phrase, grammar)
    return None if days is None else Time(last=days.last)


def _between_dates(phrase: Phrase, grammar: Grammar, _: date) -> Time | None:
    years = phrase.part("year_range")
    if years is not None:
        first, last = (year_days(int(year)) for year in years.split("-"))
        return _from_to(first, last)
    return _from_to(_days(phrase, grammar), _days(phrase, grammar, 2))


def _from_to(first: Days | None, last: Days | None) -> Time | None:
    if first is None or last is None or first.first > last.last:
        return None
    return Time(first=first.first, last=last.last)


def _between_months(phrase: Phrase, grammar: Grammar, _: date) -> Time:
    first, last = (
        grammar.months[phrase.part("month") or ""],
        grammar.months[phrase.part("month", 2) or ""],
    )
    return Time(months=months_between(first, last))


def _last_periods(phrase: Phrase, grammar: Grammar, today: date) -> Time | None:
    count = number_of(phrase.part("number") or "", grammar)
    if not (1 <= count <= MOST_PERIODS and count == int(count)):
        return None
    first = before(today, int(count), _unit(phrase, grammar))
    return None if first is None else Time(first=first)


def _last_period(phrase: Phrase, grammar: Grammar, today: date) -> Time:
    days = period_before(today, _unit(phrase, grammar), 1)
    return Time(first=days.first, last=days.last)


def _since_last(phrase: Phrase, grammar: Grammar, today: date) -> Time:
    return Time(first=period_before(today, _unit(phrase, grammar), 1).first)


def _this_period(phrase: Phrase, grammar: Grammar, today: date) -> Time:
    days = period_before(today, _unit(phrase, grammar), 0)
    return Time(first=days.first, last=days.last)


def _season(phrase: Phrase, grammar: Grammar, _: date) -> Time:
    """The season alone; its months depend on the place and are filled in later."""
    named = phrase.part("season") or ""
    season = next(key for key, listed in grammar.seasons.items() if named in listed)
    year = phrase.part("year")
    if year is None:
        return Time(season=season)
    days = year_days(int(year))
    return Time(season=season, first=days.first, last=days.last)


def _unit(phrase: Phrase, grammar: Grammar) -> str:
    named = phrase.part("period")
    return next(unit for unit, listed in grammar.periods.items() if named in listed)


_READERS: Mapping[str, Callable[[Phrase, Grammar, date], Time | None]] = {
    "during": _during,
    "decade": _decade,
    "since": _since,
    "after": _after,
    "before": _before,
    "until": _until,
    "between_dates": _between_dates,
    "between_months": _between_months,
    "last_periods": _last_periods,
    "last_period": _last_period,
    "since_last": _since_last,
    "this_period": _this_period,
    "season": _season,
}
