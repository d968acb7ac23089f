"""Query parameters that are more than one value: read, and refused with the field's name.

Pure. A parameter may be repeated or hold several values with commas between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar.params import QueryParameter

from atlas.api.problems import field_of
from atlas.api.search_requests import Search
from atlas.api.uploads import SearchForm
from atlas.errors import InvalidQuery
from atlas.geo.shapes import BoundingBox

# Parameters that are named otherwise than the field of the filter that they fill.
_PARAMETERS = {
    "observed": "from",
    "observed.from": "from",
    "observed.to": "to",
    "elevation": "min_elevation_m",
}

_POINT = ("latitude", "longitude", "within_m")

BoxText: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        description="west,south,east,north in degrees; west > east crosses the antimeridian",
        max_length=200,
    ),
]


def parse_box(text: str | None, field: str = "bbox") -> BoundingBox | None:
    """The box written as `west,south,east,north`; None for None."""
    return None if text is None else BoundingBox.parse(text, field)


def as_parameter(error: InvalidQuery) -> InvalidQuery:
    """The same error with the field named as the query parameter that it came from."""
    field = error.field.removeprefix("filter.")
    return InvalidQuery(_PARAMETERS.get(field, field), error.problem)


def search_of_query(
    *,
    text: str,
    limit: int | None,
    cursor: str | None,
    exact: bool,
    recall: float | None,
    space: str | None,
    diversify: str,
    collapse: bool,
    interpret: bool,
    place: str,
    without: Sequence[str] | None,
    taxon: Sequence[str] | None,
    bbox: str | None,
    first: str | None,
    last: str | None,
    months: Sequence[str] | None,
    licences: Sequence[str] | None,
    sources: Sequence[str] | None,
    cells: Sequence[str] | None,
    max_uncertainty_m: float | None,
    flags: str | None,
    near: Sequence[str] | None,
    around: Sequence[str] | None,
    around_any: Sequence[str] | None,
    country: Sequence[str] | None,
    region: Sequence[str] | None,
    habitat: Sequence[str] | None,
    min_elevation_m: float | None,
    max_elevation_m: float | None,
) -> Search:
    """The search that query parameters ask for; InvalidQuery names the parameter at fault."""
    box = parse_box(bbox)
    observed = _given({"from": first, "to": last})
    limits = {
        "taxon": _one_or_several(taxon),
        "bbox": None if box is None else (box.west, box.south, box.east, box.north),
        "observed": observed or None,
        "months": words(months),
        "licences": words(licences),
        "sources": words(sources),
        "cells": words(cells),
        "max_uncertainty_m": max_uncertainty_m,
        "flags": flags,
        "near": None if near is None else [_near(text) for text in words(near) or []],
        "around": _points(around, "around"),
        "around_any": _points(around_any, "around_any"),
        "country": words(country),
        "region": words(region),
        "habitat": words(habitat),
        "elevation": _given({"min_m": min_elevation_m, "max_m": max_elevation_m}) or None,
    }
    asked = {
        "text": text,
        "limit": limit,
        "cursor": cursor,
        "exact": exact,
        "recall": recall,
        "space": space,
        "diversify": diversify,
        "collapse": collapse,
        "interpret": interpret,
        "place": place,
        "without": spans_off(without),
    }
    try:
        return to_search({**_given(asked), "filter": _given(limits)})
    except InvalidQuery as error:
        raise as_parameter(error) from error


def spans_off(written: Sequence[str] | None) -> list[dict[str, str]] | None:
    """Spans written as `kind` or `kind:start`."""
    listed = words(written or None)
    if listed is None:
        return None
    pairs = (word.partition(":") for word in listed)
    return [_given({"kind": kind, "start": start or None}) for kind, _, start in pairs]


def search_of_form(form: SearchForm) -> Search:
    """The search that goes with an uploaded photo; `filter` is JSON."""
    named = ("limit", "cursor", "exact", "recall", "space", "diversify", "collapse")
    asked = _given({name: getattr(form, name) for name in named})
    if form.filter:
        try:
            asked["filter"] = msgspec.json.decode(form.filter)
        except msgspec.DecodeError as error:
            raise InvalidQuery("filter", f"is not JSON: {error}") from error
    return to_search(asked)


def to_search(values: Mapping[str, Any]) -> Search:
    """Check plain values against `Search`; InvalidQuery names the field by its dotted path."""
    try:
        return msgspec.convert(values, Search, strict=False)
    except msgspec.ValidationError as error:
        field, problem = field_of(str(error))
        raise InvalidQuery(field, problem) from error


def _near(text: str) -> dict[str, str]:
    """A feature, metres, and the least order where one is asked for, with colons between."""
    parts = text.split(":")
    if len(parts) not in {2, 3}:
        raise InvalidQuery("near", "must be feature:metres or feature:metres:order")
    return dict(zip(("feature", "within_m", "min_order"), parts, strict=False))


def _points(written: Sequence[str] | None, parameter: str) -> list[dict[str, str]] | None:
    """Latitude, longitude and metres of each, with colons between."""
    if written is None:
        return None
    points = [text.split(":") for text in words(written) or []]
    if any(len(parts) != len(_POINT) for parts in points):
        raise InvalidQuery(parameter, "must be latitude:longitude:metres")
    return [dict(zip(_POINT, parts, strict=True)) for parts in points]


def _one_or_several(values: Sequence[str] | None) -> str | list[str] | None:
    listed = words(values)
    return listed[0] if listed is not None and len(listed) == 1 else listed


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def words(values: Sequence[str] | None) -> list[str] | None:
    """All values of a repeated or comma-separated parameter; None where it is not given."""
    if values is None:
        return None
    return [word.strip() for value in values for word in value.split(",") if word.strip()]
