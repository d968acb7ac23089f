"""Countries of the whole earth, put together from the time zones of the package `tzfpy`.

Every zone of the time zone database belongs to one country (its `zone.tab`), and the zones' areas
follow borders and territorial waters to about 111 m. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import numpy as np
import shapely
import tzfpy

from indexer.layers.features import Features


def countries() -> Iterator[Features]:
    """One feature a country: its area, its English name, and its ISO 3166-1 alpha-2 code."""
    yield _countries()


@cache
def _countries() -> Features:
    """Put together once a process, in about ten seconds."""
    country_of = {zone: code for code, _, zone in _rows("zone.tab")}
    names = {code: name for code, name, *_ in _rows("iso3166.tab")}
    zones: dict[str, list[shapely.Geometry]] = {}
    for zone in tzfpy.timezonenames():
        if zone in country_of:  # the zones of the high seas belong to nobody
            collection = shapely.from_geojson(tzfpy.get_tz_polygon_geojson(zone))
            zones.setdefault(country_of[zone], []).extend(shapely.get_parts(collection))
    codes = sorted(zones)
    areas = [shapely.union_all([_valid(area) for area in zones[code]]) for code in codes]
    return Features(
        np.array(areas, dtype=object),
        np.full(len(codes), np.nan),
        [names[code] for code in codes],
        codes,
        0,
    )


def _valid(area: shapely.Geometry) -> shapely.Geometry:
    return area if area.is_valid else shapely.make_valid(area)


def _rows(table: str) -> list[list[str]]:
    """The lines of a table of the time zone database, without comments."""
    text = files("tzdata").joinpath("zoneinfo", table).read_text(encoding="utf-8")
    lines = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return [line[:3] for line in lines]
