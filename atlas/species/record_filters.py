"""Which records a map counts, read from what people write: days, months, keys of sources.

The sources are known when the bundle is opened; nothing is read later. Any thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

from atlas.catalog import Source
from atlas.errors import InvalidQuery
from atlas.species.occupancy import RecordFilter


class RecordFilters:
    """Reads filters of records for a bundle with these sources."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._ids = {source.key: source.source_id for source in sources}

    def read(
        self,
        *,
        first: str | None = None,
        last: str | None = None,
        months: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        max_uncertainty_m: float | None = None,
    ) -> RecordFilter:
        """The filter; `months` and `sources` hold one each, or several with commas between.

        InvalidQuery names the parameter at fault: `from`, `to`, `months`, `sources` or
        `max_uncertainty_m`. Equal filters compare equal.
        """
        start, end = _day("from", first), _day("to", last)
        if start and end and start > end:
            raise InvalidQuery("from", f"{start} is after {end}")
        if max_uncertainty_m is not None and not 0.0 <= max_uncertainty_m < math.inf:
            raise InvalidQuery("max_uncertainty_m", "must be a number of metres, 0 or more")
        return RecordFilter(
            observed_from=start,
            observed_to=end,
            months=tuple(sorted({_month(word) for word in _words(months)})),
            source_ids=tuple(sorted({self._source(word) for word in _words(sources)})),
            max_uncertainty_m=max_uncertainty_m,
        )

    def _source(self, key: str) -> int:
        if key not in self._ids:
            known = ", ".join(sorted(self._ids)[:20])
            raise InvalidQuery("sources", f"there is no source {key!r}; there are {known}")
        return self._ids[key]


def _day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidQuery(field, f"{text[:40]!r} is not a day such as 2021-05-30") from error


def _month(word: str) -> int:
    month = int(word) if word.isdecimal() and len(word) <= 2 else 0
    if not 1 <= month <= 12:
        raise InvalidQuery("months", f"{word[:40]!r} is not a month from 1 to 12")
    return month


def _words(values: Sequence[str] | None) -> list[str]:
    parts = (part.strip() for value in values or () for part in value.split(","))
    return [part for part in parts if part]
