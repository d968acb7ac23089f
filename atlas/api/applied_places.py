"""From what words say of place to a filter on the place layers that a bundle has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from atlas.api.named_places import in_places, names_on_maps, near_place, with_near
from atlas.api.not_applied import NotApplied
from atlas.api.towns import in_towns
from atlas.geo.layers import Layer, Layers
from atlas.reading.place_words import DEFAULT_WITHIN_M
from atlas.reading.places import Gazetteer
from atlas.reading.spans import Elevation, Near, Within
from atlas.search import place_filters
from atlas.search.filters import Filter

PlaceMode = Literal["hard", "soft", "off"]
PlaceMeaning = Near | Within | Elevation
_FEATURES = {"river": "rivers", "lake": "lakes", "coast": "coasts"}
_AREAS = {"country": "countries", "region": "regions"}


def with_place(
    limits: Filter, asked: Filter, meant: PlaceMeaning, layers: Layers, gazetteer: Gazetteer
) -> Filter:
    """The filter with what a span says of place; NotApplied where no layer can tell."""
    if isinstance(meant, Near):
        return _near(limits, asked, meant, layers, gazetteer)
    if isinstance(meant, Within):
        return _within(limits, asked, meant, layers, gazetteer)
    if asked.elevation is not None or limits.elevation is not None:
        raise NotApplied("an elevation is stated already")
    _layer(layers, place_filters.ELEVATION, "value", "elevation")
    range_ = place_filters.ElevationRange(min_m=meant.min_m, max_m=meant.max_m)
    return msgspec.structs.replace(limits, elevation=range_)


def usual_filters(layers: Layers) -> list[Filter]:
    """What words ask for where they say no distance ("near rivers"), of the layers there are."""
    return [
        Filter(near=(place_filters.Near(feature=feature, within_m=float(metres)),))
        for feature, metres in DEFAULT_WITHIN_M.items()
        if [layer.entry.kind for layer in layers.called(feature)] == ["distance"]
    ]


def _layer(layers: Layers, feature: str, kind: str, told: str) -> Layer:
    found = [layer for layer in layers.called(feature) if layer.entry.kind == kind]
    if not found:
        raise NotApplied(f"this atlas has no layer of {told}")
    if len(found) > 1:
        names = ", ".join(layer.entry.name for layer in found)
        raise NotApplied(f"several layers tell of {told}: name one in the filter, of {names}")
    return found[0]


def _near(
    limits: Filter, asked: Filter, meant: Near, layers: Layers, gazetteer: Gazetteer
) -> Filter:
    if any(stated is not None for stated in (asked.near, asked.around, asked.around_any)):
        raise NotApplied("the filter says what to be near")
    if meant.feature == "place":
        return near_place(limits, meant, layers, gazetteer)
    told = _FEATURES[meant.feature]
    layer = _layer(layers, meant.feature, "distance", told)
    if meant.within_m <= 0:
        raise NotApplied("a distance must be above 0")
    if meant.min_order is not None and layer.order_class(meant.min_order) is None:
        raise NotApplied(f"the layer of {told} does not know how large they are")
    name = None
    if meant.place is not None:
        names = names_on_maps(gazetteer.get(meant.place))
        name = next((one for one in names if layer.numbers_of(one)), None)
        if name is None:
            raise NotApplied(f"the layer of {told} does not know this name")
    stated = place_filters.Near(
        feature=meant.feature,
        within_m=float(meant.within_m),
        min_order=None if meant.min_order is None else float(meant.min_order),
        name=name,
    )
    return with_near(limits, stated)


def _within(
    limits: Filter, asked: Filter, meant: Within, layers: Layers, gazetteer: Gazetteer
) -> Filter:
    if meant.within_m:
        return in_towns(limits, asked, meant, gazetteer)
    if meant.place:
        if meant.country or meant.region or meant.continent:
            raise NotApplied("it is an area or something larger, and a filter holds both at once")
        return in_places(limits, asked, meant.place, layers, gazetteer)
    countries = [*meant.country, *_countries_of(meant.continent, gazetteer)]
    if countries and meant.region:
        raise NotApplied("it is a country or a region, and a filter holds both only at once")
    if meant.region:
        regions = _known(_layer(layers, "region", "category", "regions"), meant.region, "region")
        _free(asked, limits, "region")
        return msgspec.structs.replace(limits, region=regions)
    known = _known(_layer(layers, "country", "category", "countries"), countries, "country")
    _free(asked, limits, "country")
    return msgspec.structs.replace(limits, country=known)


def _free(asked: Filter, limits: Filter, field: Literal["country", "region"]) -> None:
    if getattr(asked, field) is not None or getattr(limits, field) is not None:
        raise NotApplied(f"a {field} is stated already")


def _countries_of(continents: Sequence[str], gazetteer: Gazetteer) -> list[str]:
    found: list[str] = []
    for code in continents:
        place = gazetteer.get(f"continent/{code}")
        if place is None or not place.countries:
            raise NotApplied("its countries are not listed")
        found += place.countries
    return sorted(set(found))


def _known(layer: Layer, codes: Sequence[str], field: str) -> tuple[str, ...]:
    """The codes that the layer has; a country without land in it has no records either."""
    known = tuple(code for code in codes if layer.numbers_of(code))
    if not known:
        raise NotApplied(f"the layer of {_AREAS[field]} does not know it")
    return known
