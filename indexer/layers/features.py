"""The features of a layer's source as they stream by: geometry in degrees, order and name.

What every kind of source gives; knows no file format and no bundle. One thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import shapely

from atlas.errors import BuildError
from atlas.geo.outlines import Flags, Floats, Geometries, Integers
from indexer.progress import Advance, Watcher

_SEAM_LONGITUDE, _POLE_LATITUDE = 179.9999, 89.9999


class Features(NamedTuple):
    """Some features of a source: two-dimensional geometries in WGS84 degrees, and what they are.

    `order` is NaN and `name` empty where the source states none; `code` is a short name, such as
    an ISO code. `first` is the number of the first of them in the source, from 0.
    """

    geometry: Geometries
    order: Floats
    name: list[str]
    code: list[str]
    first: int


class FeatureSource(Protocol):
    """Where features come from: a file, or a package of this environment."""

    def features(self) -> Iterator[Features]:
        """All features, in batches; each call begins anew."""

    def count(self) -> int:
        """Number of features; 0 where it is not known beforehand."""

    def fingerprint(self) -> str:
        """What stands for the content: equal means equal features."""


class Survey(NamedTuple):
    """What a source holds: features, those without a geometry, areas, and the orders there are."""

    features: int
    without_geometry: int
    areas: int
    orders: tuple[float, ...]


def survey(source: FeatureSource, watcher: Watcher) -> Survey:
    """Read all of a source once; BuildError where it holds no geometry."""
    with watcher.stage("survey", source.count(), "features") as advance:
        return _survey(source, advance)


def _survey(source: FeatureSource, advance: Advance) -> Survey:
    seen = empty = areas = 0
    orders: set[float] = set()
    for features in source.features():
        seen += len(features.geometry)
        empty += int(np.count_nonzero(_missing(features.geometry)))
        areas += int(np.count_nonzero(is_area(features.geometry)))
        orders.update(np.unique(features.order[np.isfinite(features.order)]).tolist())
        advance(len(features.geometry))
    if seen == empty:
        raise BuildError("layer", "the source holds no feature with a geometry")
    return Survey(seen, empty, areas, tuple(sorted(orders)))


def _missing(geometry: Geometries) -> Flags:
    missing: Flags = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    return missing


def is_area(geometry: Geometries) -> Flags:
    """Which geometries are polygons of some size; bool (n,)."""
    kinds = [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON]
    found: Flags = np.isin(shapely.get_type_id(geometry), kinds) & ~_missing(geometry)
    return found


class Lines(NamedTuple):
    """Vertices of lines in degrees, (n,) each, with the number of each one's line, ascending.

    `owner` is the number of the feature that each line belongs to.
    """

    longitude: Floats
    latitude: Floats
    line: Integers
    owner: Integers


def lines_of(geometry: Geometries) -> Lines:
    """Every line, ring and point of the geometries.

    Not the edges along which shapes are cut at the antimeridian and the poles: no coast is there.
    """
    parts, owner = shapely.get_parts(geometry, return_index=True)
    areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings, of = shapely.get_rings(parts[areas], return_index=True)
    shapes = np.concatenate([parts[~areas], rings])
    owners = np.concatenate([owner[~areas], owner[areas][of]])
    points, line = shapely.get_coordinates(shapes, return_index=True)
    longitude, latitude = points.T
    seam = (np.abs(longitude) > _SEAM_LONGITUDE) | (np.abs(latitude) > _POLE_LATITUDE)
    cut = (line[1:] == line[:-1]) & seam[1:] & seam[:-1]
    if not cut.any():
        return Lines(longitude, latitude, line, owners)
    pieces = line + np.concatenate([[0], np.cumsum(cut)])
    _, first, number, size = np.unique(
        pieces, return_index=True, return_inverse=True, return_counts=True
    )
    # A vertex between two cuts is no point of its line; a line of one vertex was a point before.
    alone = (size == 1) & (np.bincount(line)[line[first]] > 1)
    kept = ~alone[number]
    renumbered = np.cumsum(~alone) - 1
    return Lines(
        longitude[kept], latitude[kept], renumbered[number[kept]], owners[line[first]][~alone]
    )
