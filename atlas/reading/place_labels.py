"""Names of countries and towns as points for maps, from the gazetteer's packages.

A country's name stands in the middle of its towns. Written once for each language; any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from atlas.errors import NotFound
from atlas.reading.places import Gazetteer, Place, PlaceKind

# From which zoom a place is named, by its people: as many names as a screen has room for.
_FROM_ZOOM: dict[PlaceKind, tuple[tuple[int, float], ...]] = {
    "country": ((60_000_000, 1.0), (15_000_000, 2.0), (3_000_000, 3.0), (0, 4.0)),
    "city": ((8_000_000, 2.5), (3_000_000, 3.5), (800_000, 4.5), (300_000, 5.5), (0, 6.5)),
}
_KINDS: dict[PlaceKind, str] = {"country": "country", "city": "town"}
# What is shown below this zoom is in the coarse labels; the page asks for the fine ones there.
_COARSE_BELOW = 4.0
_DETAILS = ("coarse", "fine")


class _Label(NamedTuple):
    """A name to draw; longitude and latitude in degrees."""

    name: str
    kind: str
    from_zoom: float
    people: int
    longitude: float
    latitude: float


def place_labels(gazetteer: Gazetteer, detail: str, language: str) -> bytes:
    """A GeoJSON FeatureCollection of points, the places with most people first.

    Names are in `language` where they are known in it. NotFound for another detail than `coarse`
    and `fine`.
    """
    if detail not in _DETAILS:
        raise NotFound("basemap", detail)
    known = language if language in gazetteer.languages else ""
    return _written(gazetteer, detail, known)


@lru_cache(maxsize=16)
def _written(gazetteer: Gazetteer, detail: str, language: str) -> bytes:
    labels = sorted(_labels(gazetteer, language), key=lambda label: (label.kind, -label.people))
    features = [
        {
            "type": "Feature",
            "properties": {
                "name": label.name,
                "kind": label.kind,
                "from_zoom": label.from_zoom,
            },
            "geometry": {"type": "Point", "coordinates": [label.longitude, label.latitude]},
        }
        for label in labels
        if detail == "fine" or label.from_zoom < _COARSE_BELOW
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def _labels(gazetteer: Gazetteer, language: str) -> Iterator[_Label]:
    for place in gazetteer.places():
        steps = _FROM_ZOOM.get(place.kind)
        if steps is None or place.longitude is None or place.latitude is None:
            continue
        yield _Label(
            name=_name(place, language),
            kind=_KINDS[place.kind],
            from_zoom=next(zoom for people, zoom in steps if place.population >= people),
            people=place.population,
            longitude=round(place.longitude, 2),
            latitude=round(place.latitude, 2),
        )


def _name(place: Place, language: str) -> str:
    listed = place.names.get(language)
    return listed[0] if listed else place.name
