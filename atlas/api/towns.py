"""Towns that words say to be in: nobody bounds them, so the distance to their points limits. Pure.

A layer of areas that knows a town goes first, and the region of a town's name before the town.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from atlas.api.named_places import MOST_NEAR, area_layer, names_of, with_around
from atlas.api.not_applied import NotApplied
from atlas.geo.layers import Layers
from atlas.reading.places import Gazetteer, Place
from atlas.reading.spans import Meaning, Within
from atlas.search import place_filters
from atlas.search.filters import Filter

TOWN_ENDS, TOWNS_END = "where the town ends is not known", "where the towns end is not known"
REGION_ENDS = "where the region ends is not known"


class Settled(NamedTuple):
    """What a span comes to in this atlas, and what was supposed where its words leave it open."""

    value: Meaning
    note: str | None = None


def settled(value: Meaning, layers: Layers, gazetteer: Gazetteer) -> Settled:
    """The same value, or that of towns with their reach where only their points are known.

    NotApplied where several layers know a town.
    """
    if not isinstance(value, Within) or value.country or value.continent:
        return Settled(value)
    instead = _towns_of_regions(value.region, layers, gazetteer)
    named = [place for place in map(gazetteer.get, value.place) if place is not None]
    towns = list({town.id: town for town in (*instead, *named)}.values())
    if len(instead) < len(value.region) or not towns or any(one.reach_m is None for one in towns):
        return Settled(value)
    ends = REGION_ENDS if not named else TOWN_ENDS if len(towns) == 1 else TOWNS_END
    ids = tuple(town.id for town in towns)
    if any(area_layer(layers, town) is not None for town in towns):
        return Settled(Within(place=ids))
    reaches = tuple(town.reach_m for town in towns if town.reach_m is not None)
    return Settled(Within(place=ids, within_m=reaches), f"{_in_words(towns)}; {ends}")


def in_towns(limits: Filter, asked: Filter, meant: Within, gazetteer: Gazetteer) -> Filter:
    """The filter with the points of towns, of which a record must be near one."""
    if asked.around is not None or asked.around_any is not None:
        raise NotApplied("the filter says what to be near")
    points = []
    for place_id, metres in zip(meant.place, meant.within_m, strict=True):
        town = gazetteer.get(place_id)
        if town is None or town.latitude is None or town.longitude is None:
            raise NotApplied("this atlas has no layer of areas that knows this one")
        points.append(
            place_filters.Around(
                latitude=town.latitude, longitude=town.longitude, within_m=float(metres)
            )
        )
    if len(points) == 1:
        return with_around(limits, points[0])
    if limits.around_any is not None:
        raise NotApplied("several towns limit already")
    if len(points) > MOST_NEAR:
        raise NotApplied(f"a filter holds {MOST_NEAR} points to be near")
    return msgspec.structs.replace(limits, around_any=tuple(points))


def _towns_of_regions(codes: Sequence[str], layers: Layers, gazetteer: Gazetteer) -> list[Place]:
    """For each region the largest town of its name that lies there.

    None for a region without one, and none at all where a layer knows a region.
    """
    known = [layer for layer in layers.called("region") if layer.entry.kind == "category"]
    if any(layer.numbers_of(code) for layer in known for code in codes):
        return []
    regions = (gazetteer.get(f"region/{code}") for code in codes)
    towns = (None if region is None else _town_of(region, gazetteer) for region in regions)
    return [town for town in towns if town is not None]


def _town_of(region: Place, gazetteer: Gazetteer) -> Place | None:
    towns = [
        place
        for name in names_of(region)
        for place in gazetteer.named(name)
        if place.kind == "city" and place.countries == region.countries and _inside(place, region)
    ]
    return max(towns, key=lambda town: town.population, default=None)


def _inside(town: Place, region: Place) -> bool:
    """Whether a town lies in the box of a region, if it has one; boxes of regions are narrow."""
    if region.box is None or town.latitude is None or town.longitude is None:
        return region.box is None
    west, south, east, north = region.box
    across = (
        west <= town.longitude <= east
        if west <= east
        else town.longitude >= west or town.longitude <= east
    )
    return south <= town.latitude <= north and across


def _in_words(towns: Sequence[Place]) -> str:
    return " or ".join(
        f"within {(town.reach_m or 0) // 1_000} km of the middle of {town.name}" for town in towns
    )
