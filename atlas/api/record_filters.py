"""The query parameters that say which records count, the same for every map."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from atlas.species.maps import Maps
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


def records_that_count(
    maps: NamedDependency[Maps],
    first: _FirstDay = None,
    last: _LastDay = None,
    months: _Months = None,
    sources: _Sources = None,
    max_uncertainty_m: _Uncertainty = None,
) -> RecordFilter:
    """What a handler that asks for `only` is given."""
    return maps.filters.read(
        first=first,
        last=last,
        months=months,
        sources=sources,
        max_uncertainty_m=max_uncertainty_m,
    )
