"""Places that words name: the layer that knows one by its name, or the point of a town. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from atlas.api.not_applied import NotApplied
from atlas.geo.layers import Layer, Layers
from atlas.reading.places import SHORT_NAME, Gazetteer, Place, PlaceKind
from atlas.reading.spans import Near
from atlas.search import place_filters
from atlas.search.filters import Filter

_IN_GAZETTEER = frozenset({"country", "region"})
_KINDS: Mapping[str, PlaceKind] = {"river": "river", "lake": "lake"}
_WORD = re.compile(r"[^\W\d_]{3}")
# Maps write "Orange" where people say "the Orange River" or "el río Orange".
_WATER_WORD = re.compile(r"^(?:river|rio|río) | river$", re.IGNORECASE)
MOST_NEAR = place_filters.MAX_CONDITIONS


def names_of(place: Place | None) -> list[str]:
    """All names of a place, in any language, the first the one it is known by."""
    if place is None:
        return []
    return [place.name, *(name for listed in place.names.values() for name in listed)]


def names_on_maps(place: Place | None) -> list[str]:
    """All names of a place, and those without the word river."""
    names = names_of(place)
    return list(dict.fromkeys([*names, *(_WATER_WORD.sub("", name) for name in names)]))


def places_of(layers: Layers, gazetteer: Gazetteer) -> Iterator[Place]:
    """The names that layers carry and the gazetteer has not, except those of countries and regions.

    They are rivers, lakes, or areas; names without three letters in a row are codes. A river is not
    known by a town's name, for near Ottawa is near the town, nor by a short one ("You", "Main").
    """
    for layer in layers.all():
        if layer.entry.feature in _IN_GAZETTEER:
            continue
        kind = _KINDS.get(layer.entry.feature, "area")
        for name in layer.names:
            known = gazetteer.named(name.name)
            free = all(place.kind == "city" for place in known)
            if kind != "area":
                free = not known and len(name.name) > SHORT_NAME
            if free and _WORD.search(name.name):
                yield Place(id=f"{kind}/{layer.entry.name}:{name.id}", kind=kind, name=name.name)


def near_place(limits: Filter, meant: Near, layers: Layers, gazetteer: Gazetteer) -> Filter:
    """The filter with what is near a named place; NotApplied where nothing knows the name.

    A layer of distances that has a feature of this name goes before the point of a town.
    """
    if meant.within_m <= 0:
        raise NotApplied("a distance must be above 0")
    place = None if meant.place is None else gazetteer.get(meant.place)
    known = _that_knows(layers, "distance", place)
    if known is not None:
        layer, name = known
        stated = place_filters.Near(
            feature=layer.entry.name, within_m=float(meant.within_m), name=name
        )
        return with_near(limits, stated)
    if place is None or place.kind != "city" or place.latitude is None or place.longitude is None:
        raise NotApplied("this atlas has no layer of named places that knows this one")
    point = place_filters.Around(
        latitude=place.latitude, longitude=place.longitude, within_m=float(meant.within_m)
    )
    return with_around(limits, point)


def with_around(limits: Filter, point: place_filters.Around) -> Filter:
    """The filter with one more point to be near."""
    around = (*(limits.around or ()), point)
    if len(around) > MOST_NEAR:
        raise NotApplied(f"a filter holds {MOST_NEAR} points to be near")
    return msgspec.structs.replace(limits, around=around)


def with_near(limits: Filter, stated: place_filters.Near) -> Filter:
    """The filter with one more feature to be near."""
    near = (*(limits.near or ()), stated)
    if len(near) > MOST_NEAR:
        raise NotApplied(f"a filter holds {MOST_NEAR} features to be near")
    return msgspec.structs.replace(limits, near=near)


def in_places(
    limits: Filter, asked: Filter, ids: Sequence[str], layers: Layers, gazetteer: Gazetteer
) -> Filter:
    """The filter with named areas, of which a record must be in one; one layer has to know all."""
    found = [_area(place_id, layers, gazetteer) for place_id in ids]
    layer = found[0][0]
    if any(other.entry.name != layer.entry.name for other, _ in found):
        raise NotApplied("these areas are of several layers, and a filter holds both only at once")
    if any(layer.entry.name in (one.layers or {}) for one in (asked, limits)):
        raise NotApplied(f"the layer {layer.entry.name} limits already")
    values = tuple(sorted({name for _, name in found}))
    stated = {layer.entry.name: place_filters.LayerRange(values=values)}
    return msgspec.structs.replace(limits, layers={**(limits.layers or {}), **stated})


def _area(place_id: str, layers: Layers, gazetteer: Gazetteer) -> tuple[Layer, str]:
    place = gazetteer.get(place_id)
    known = area_layer(layers, place)
    if known is None:
        raise NotApplied("this atlas has no layer of areas that knows this one")
    return known


def area_layer(layers: Layers, place: Place | None) -> tuple[Layer, str] | None:
    """The layer of areas that has a place, and its name there; NotApplied where several have."""
    return _that_knows(layers, "category", place)


def _that_knows(
    layers: Layers, kind: Literal["distance", "category"], place: Place | None
) -> tuple[Layer, str] | None:
    """The one layer that has a place by one of its names, and that name; None where none has."""
    found = list(_knowing(layers, kind, names_of(place)))
    if len(found) > 1:
        named = ", ".join(layer.entry.name for layer, _ in found)
        raise NotApplied(f"several layers know this name: name one in the filter, of {named}")
    return found[0] if found else None


def _knowing(layers: Layers, kind: str, names: Sequence[str]) -> Iterator[tuple[Layer, str]]:
    for layer in layers.all():
        if layer.entry.kind == kind:
            name = next((one for one in names if layer.numbers_of(one)), None)
            if name is not None:
                yield layer, name
