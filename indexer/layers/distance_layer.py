"""A layer of distances: to the nearest feature, and to the nearest of each order class.

Streams the features once for every ten million rows, and once before that to see what there is.
One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.errors import BuildError
from atlas.geo.layers import NAME, NAMES
from atlas.geo.outlines import Cells, Floats
from indexer.layers.columns import (
    Column,
    Made,
    Names,
    of_rows,
    write_cells,
    write_column,
    write_interval,
)
from indexer.layers.distances import Order, RunningNearest, Spots, of_order
from indexer.layers.features import FeatureSource, Survey, survey
from indexer.layers.places import Places, RowFiles, centres, groups_of_places, occupied_cells
from indexer.progress import Watcher

DISTANCE_RULE = (
    "geodesic distance on WGS84 from the record's coordinates, 0 inside an area; "
    "of a cell, from its centre"
)
# More order classes than this are asked for by name.
MOST_ORDERS = 10


def make_distances(
    source: FeatureSource,
    files: RowFiles,
    folder: Path,
    cells_name: str,
    orders: Sequence[float] | None,
    watcher: Watcher,
) -> Made:
    """Write the distances of every row and every occupied cell to the nearest feature.

    `orders` are the order classes, None for every order that the
    source has. Raises BuildError where the source holds nothing.
    """
    seen = survey(source)
    classes = _classes(seen, orders)
    names = Names()
    cells = occupied_cells(files)
    at_centres = Spots(*centres(cells))
    at_cells = [RunningNearest(at_centres) for _ in classes]
    also: Sequence[RunningNearest] = at_cells
    for places in groups_of_places(files):
        spots = Spots(places.latitude, places.longitude)
        at_places = [RunningNearest(spots) for _ in classes]
        with watcher.stage("layer", seen.features, "features") as advance:
            _stream(source, classes, [at_places, also], names, advance)
        also = []
        _write_rows(folder, places, classes, at_places, names)
    _write_cells(folder / cells_name, cells, classes, at_cells, names)
    if names.count:
        names.write(folder / NAMES)
    return Made(
        orders=tuple(order for order in classes if order is not None),
        named=names.count > 0,
        features=seen.features,
        without_geometry=seen.without_geometry,
    )


def _classes(seen: Survey, orders: Sequence[float] | None) -> tuple[Order, ...]:
    """All features, then those of each order class."""
    if orders is None and len(seen.orders) > MOST_ORDERS:
        raise BuildError(
            "layer", f"{len(seen.orders)} different orders; say which to tell apart: --orders"
        )
    return (None, *sorted(seen.orders if orders is None else orders))


def _stream(
    source: FeatureSource,
    classes: Sequence[Order],
    groups: Sequence[Sequence[RunningNearest]],
    names: Names,
    advance: Callable[[int], None],
) -> None:
    for features in source.features():
        numbers = names.numbers(features.name, features.code)
        for at, order in enumerate(classes):
            chosen, chosen_numbers = of_order(features, numbers, order)
            for group in groups:
                if group:
                    group[at].offer(chosen, chosen_numbers)
        advance(len(features.geometry))


def _write_rows(
    folder: Path,
    places: Places,
    classes: Sequence[Order],
    nearest: Sequence[RunningNearest],
    names: Names,
) -> None:
    for order, found in zip(classes, nearest, strict=True):
        distance_m = found.distance_m()
        for rows in places.rows:
            at = of_rows(distance_m, rows.place)
            uncertainty_m = rows.uncertainty_m.astype(np.float64)
            low = np.maximum(at - uncertainty_m, 0.0)
            write_interval(folder, rows, low, at + uncertainty_m, order)
            if order is None and names.count:
                write_column(folder / rows.name / NAME, of_rows(found.name, rows.place))


def _write_cells(
    path: Path,
    cells: Cells,
    classes: Sequence[Order],
    nearest: Sequence[RunningNearest],
    names: Names,
) -> None:
    columns: dict[str, Column] = {}
    for order, found in zip(classes, nearest, strict=True):
        suffix = "" if order is None else f"_order_{order:g}"
        columns[f"distance_m{suffix}"] = _finite(found.distance_m())
    columns["order"] = nearest[0].order.astype(np.float32)
    if names.count:
        columns["name"] = nearest[0].name
    write_cells(path, cells, columns)


def _finite(metres: Floats) -> NDArray[np.float32]:
    return np.where(np.isfinite(metres), metres, np.nan).astype(np.float32)
