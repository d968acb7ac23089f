"""Which records a map counts, read from query parameters that all maps share.

One cursor of nothing: the sources are known when the bundle is opened. Any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from atlas.api.params import words
from atlas.api.problems import field_of
from atlas.catalog import Source
from atlas.errors import InvalidQuery
from atlas.species.occupancy import RecordFilter

_FirstDay = Annotated[
    str | None,
    QueryParameter(name="from", description="first day, ISO 8601", max_length=40),
]
_LastDay = Annotated[
    str | None,
    QueryParameter(name="to", description="last day, included, ISO 8601", max_length=40),
]
_Months = Annotated[
    list[str] | None,
    QueryParameter(description="months 1 to 12, several by repetition or with commas"),
]
_Sources = Annotated[
    list[str] | None,
    QueryParameter(description="keys of sources, several by repetition or with commas"),
]
_Uncertainty = Annotated[
    float | None,
    QueryParameter(description="greatest coordinate uncertainty in metres; unknown does not pass"),
]


class _Asked(msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    first: date | None = None
    last: date | None = None
    months: tuple[Annotated[int, msgspec.Meta(ge=1, le=12)], ...] = ()
    sources: tuple[str, ...] = ()
    max_uncertainty_m: Annotated[float, msgspec.Meta(ge=0)] | None = None


class RecordFilters:
    """Reads filters of records for a bundle with these sources."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._ids = {source.key: source.source_id for source in sources}

    def read(
        self,
        *,
        first: str | None,
        last: str | None,
        months: Sequence[str] | None,
        sources: Sequence[str] | None,
        max_uncertainty_m: float | None,
    ) -> RecordFilter:
        """The filter; InvalidQuery names the parameter at fault. Equal filters compare equal."""
        given = {
            "from": first,
            "to": last,
            "months": words(months),
            "sources": words(sources),
            "max_uncertainty_m": max_uncertainty_m,
        }
        plain = {name: value for name, value in given.items() if value is not None}
        try:
            asked = msgspec.convert(plain, _Asked, strict=False)
        except msgspec.ValidationError as error:
            field, problem = field_of(str(error))
            raise InvalidQuery(field.split("[")[0], problem) from error
        if asked.first and asked.last and asked.first > asked.last:
            raise InvalidQuery("from", f"{asked.first} is after {asked.last}")
        unknown = [key for key in asked.sources if key not in self._ids]
        if unknown:
            raise InvalidQuery("sources", f"there is no source {unknown[0]!r}")
        return RecordFilter(
            observed_from=asked.first,
            observed_to=asked.last,
            months=tuple(sorted(set(asked.months))),
            source_ids=tuple(sorted({self._ids[key] for key in asked.sources})),
            max_uncertainty_m=asked.max_uncertainty_m,
        )


def records_that_count(
    record_filters: RecordFilters,
    first: _FirstDay = None,
    last: _LastDay = None,
    months: _Months = None,
    sources: _Sources = None,
    max_uncertainty_m: _Uncertainty = None,
) -> RecordFilter:
    """What a handler that asks for `only` is given."""
    return record_filters.read(
        first=first,
        last=last,
        months=months,
        sources=sources,
        max_uncertainty_m=max_uncertainty_m,
    )
