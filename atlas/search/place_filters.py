"""What a question may ask of place layers, and the statements that it makes of them.

Pure but for the layers' lists of names: safe from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from atlas.errors import InvalidQuery
from atlas.geo.layers import Layer, Layers
from atlas.search.place_statements import InRange, IsNamed, IsOneOf, Statement

MAX_CONDITIONS = 8
MAX_VALUES = 300
Values = Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_VALUES)]
Word = Annotated[str, Meta(min_length=1, max_length=100)]
ELEVATION = "elevation"


class Near(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Within a distance of a feature."""

    feature: Annotated[Word, Meta(description="A feature or a layer's name: river, lake, coast.")]
    within_m: Annotated[
        float,
        Meta(
            gt=0,
            description="Metres. A record passes when it lies within them wherever in its "
            "uncertainty it was; one of unknown uncertainty cannot be judged.",
        ),
    ]
    min_order: Annotated[
        float | None, Meta(description="Only features of this order or size class and above.")
    ] = None
    name: Annotated[
        Word | None, Meta(description="The nearest feature must carry this name or code.")
    ] = None


class Around(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Within a distance of a point, in degrees and metres."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    within_m: Annotated[
        float,
        Meta(
            gt=0,
            le=20_100_000,
            description="Metres. A record passes when it lies within them wherever in its "
            "uncertainty it was; one of unknown uncertainty cannot be judged.",
        ),
    ]


class ElevationRange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metres above the sea, both ends included; either may be left out."""

    min_m: float | None = None
    max_m: float | None = None


class LayerRange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A range of a quantity, both ends included, or some values of a category."""

    min: float | None = None
    max: float | None = None
    values: Values | None = None


class PlaceFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a filter that place layers answer; what is left out does not limit."""

    near: Annotated[
        Annotated[tuple[Near, ...], Meta(min_length=1, max_length=MAX_CONDITIONS)] | None,
        Meta(description="Features that a record must be near, all of them."),
    ] = None
    around: Annotated[
        Annotated[tuple[Around, ...], Meta(min_length=1, max_length=MAX_CONDITIONS)] | None,
        Meta(description="Points that a record must be near, all of them; needs no layer."),
    ] = None
    around_any: Annotated[
        Annotated[tuple[Around, ...], Meta(min_length=1, max_length=MAX_CONDITIONS)] | None,
        Meta(description="Points of which a record must be near one; needs no layer."),
    ] = None
    country: Annotated[
        Values | None,
        Meta(description="Countries by ISO 3166-1 alpha-2 code or name, territorial waters too."),
    ] = None
    region: Annotated[Values | None, Meta(description="First-level regions by name or code.")] = (
        None
    )
    habitat: Annotated[Values | None, Meta(description="Habitats or biomes by name.")] = None
    elevation: Annotated[
        ElevationRange | None, Meta(description="Elevation that the place must have.")
    ] = None
    layers: Annotated[
        Annotated[dict[str, LayerRange], Meta(min_length=1, max_length=MAX_CONDITIONS)] | None,
        Meta(description="Ranges or values of any place layer, by its name."),
    ] = None


def statements_of(asked: PlaceFilter, layers: Layers) -> tuple[Statement, ...]:
    """The statements of a filter about layers; InvalidQuery names the field at fault."""
    return tuple(_statements(asked, layers))


def _statements(asked: PlaceFilter, layers: Layers) -> Iterator[Statement]:
    for near in asked.near or ():
        yield from _near(near, layers)
    for field in ("country", "region", "habitat"):
        values: Values | None = getattr(asked, field)
        if values is not None:
            name = f"filter.{field}"
            yield _one_of(_layer(layers, field, name, ("category",)), values, name)
    if asked.elevation is not None:
        name = "filter.elevation"
        layer = _layer(layers, ELEVATION, name, ("value",))
        yield _in_range(layer, asked.elevation.min_m, asked.elevation.max_m, name, "min_m or max_m")
    for word, range_ in (asked.layers or {}).items():
        name = f"filter.layers.{word}"
        layer = _layer(layers, word, name, ("distance", "category", "value"))
        if range_.values is not None:
            if layer.entry.kind != "category" or range_.min is not None or range_.max is not None:
                raise InvalidQuery(name, "`values` are for a layer of a category, without a range")
            yield _one_of(layer, range_.values, name)
        else:
            if layer.entry.kind == "category":
                raise InvalidQuery(name, f"layer {layer.entry.name} is a category: give `values`")
            yield _in_range(layer, range_.min, range_.max, name, "min, max or values")


def _near(near: Near, layers: Layers) -> Iterator[Statement]:
    name = "filter.near"
    layer = _layer(layers, near.feature, name, ("distance",))
    if not math.isfinite(near.within_m):
        raise InvalidQuery(name, "`within_m` must be a number above 0")
    order = None
    if near.min_order is not None:
        order = layer.order_class(near.min_order)
        if order is None:
            offered = ", ".join(f"{one:g}" for one in layer.entry.orders) or "none"
            raise InvalidQuery(name, f"layer {layer.entry.name} has these orders: {offered}")
    yield InRange(layer=layer, low=-math.inf, high=near.within_m, order=order)
    if near.name is not None:
        if order is not None:
            raise InvalidQuery(name, "`name` and `min_order` do not go together")
        yield IsNamed(layer=layer, names=_numbers(layer, (near.name,), name))


def _in_range(
    layer: Layer, least: float | None, most: float | None, field: str, needs: str
) -> InRange:
    low = -math.inf if least is None else least
    high = math.inf if most is None else most
    if least is None and most is None:
        raise InvalidQuery(field, f"needs {needs}")
    if math.isnan(low) or math.isnan(high) or low > high:
        raise InvalidQuery(field, "the least is above the most")
    return InRange(layer=layer, low=low, high=high)


def _one_of(layer: Layer, values: Values, field: str) -> IsOneOf:
    return IsOneOf(layer=layer, values=_numbers(layer, values, field))


def _numbers(layer: Layer, words: Sequence[str], field: str) -> frozenset[int]:
    found: set[int] = set()
    for word in words:
        numbers = layer.numbers_of(word)
        if not numbers:
            raise InvalidQuery(field, f"layer {layer.entry.name} knows no {word!r}")
        found |= numbers
    return frozenset(found)


def _layer(layers: Layers, word: str, field: str, kinds: tuple[str, ...]) -> Layer:
    """The one layer that a word means."""
    found = [layer for layer in layers.called(word) if layer.entry.kind in kinds]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(layer.entry.name for layer in found)
        raise InvalidQuery(field, f"{word!r} is told by several layers; name one: {named}")
    fit = (layer.entry.name for layer in layers.all() if layer.entry.kind in kinds)
    raise InvalidQuery(
        field, f"this atlas has no layer {word!r}; it has: {', '.join(sorted(fit)) or 'none'}"
    )
