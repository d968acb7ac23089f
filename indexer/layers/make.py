"""Makes a layer's files from its features, for the rows and cells of some segments.

The one place that knows which kind of layer is made how; knows no manifest. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.bundle.manifest import LayerEntry
from atlas.errors import BuildError
from atlas.geo.layers import NAME, NAMES
from atlas.geo.outlines import Cells, Floats, Integers
from indexer.layers.columns import Column, Names, write_cells, write_column, write_interval
from indexer.layers.distances import Order, RunningNearest, of_order, order_classes
from indexer.layers.features import FeatureSource
from indexer.layers.packaged import packaged
from indexer.layers.places import Places, centres, groups_of_places, occupied_cells
from indexer.layers.section import LayerSection
from indexer.layers.vector_file import VectorFile
from indexer.progress import Watcher

Advance = Callable[[int], None]
ScalarT = TypeVar("ScalarT", bound=np.generic)
# More order classes than this are asked for by name.
MOST_ORDERS = 10


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of the files that were made."""

    orders: tuple[float, ...] = ()
    named: bool = False
    features: int
    without_geometry: int


CELLS = "cells.parquet"
_RULES = {
    "distance": "geodesic distance on WGS84 from the record's coordinates, 0 inside an area; "
    "of a cell, from its centre",
    "category": "the area that holds the record's coordinates, the smallest where several do; "
    "of a cell, of its centre",
}


def make_layer(
    section: LayerSection,
    segments: Sequence[tuple[str, Path]],
    work: Path,
    *,
    folder: str,
    made_at: str,
    watcher: Watcher,
) -> LayerEntry:
    """Make the files of a layer in `work`, for segments given by name and folder.

    `folder` is the name that they will have in the bundle. Raises PlanError naming the file and
    feature at fault.
    """
    source = _source(section)
    made = make_distances(source, segments, work, CELLS, section.orders, watcher)
    watcher.note(f"layer {section.name}: {made.features:,} features")
    if made.without_geometry:
        watcher.note(f"layer {section.name}: {made.without_geometry:,} have no geometry: left out")
    package = packaged(section.package) if section.package else None
    return LayerEntry(
        name=section.name,
        kind=section.kind,
        feature=section.tells_of,
        folder=folder,
        cells=CELLS,
        segments=tuple(name for name, _ in segments),
        orders=made.orders,
        names=NAMES if made.named else "",
        unit=section.unit,
        rule=_RULES[section.kind],
        title=section.title or (package.title if package else section.tells_of),
        origin=f"package {package.package}" if package else f"file {source_name(section)}",
        fingerprint=source.fingerprint(),
        licence=section.licence or (package.licence if package else ""),
        citation=section.citation or (package.citation if package else ""),
        url=section.url or (package.url if package else ""),
        made_at=made_at,
    )


def source_name(section: LayerSection) -> str:
    """The file's name, without the folders of whoever made the layer."""
    return section.file.name if section.file else ""


def _source(section: LayerSection) -> FeatureSource:
    if section.file is None:
        return packaged(section.package)
    return VectorFile(
        path=section.file,
        layer=section.layer,
        order_column=section.order_column,
        name_column=section.name_column,
        code_column=section.code_column,
        crs=section.crs,
    )


def make_distances(
    source: FeatureSource,
    segments: Sequence[tuple[str, Path]],
    folder: Path,
    cells_name: str,
    orders: Sequence[float] | None,
    watcher: Watcher,
) -> Made:
    """Write the distances of every row and every occupied cell to the nearest feature.

    `segments` are names and folders. `orders` are the order classes, None for every whole number
    that the source has. Raises BuildError where the source holds nothing.
    """
    seen, empty, found_orders = _survey(source)
    classes = order_classes(found_orders if orders is None else orders)
    if orders is None and len(found_orders) > MOST_ORDERS:
        raise BuildError(
            "layer", f"{len(found_orders)} different orders; say which to tell apart: --orders"
        )
    names = Names()
    cells = occupied_cells(segments)
    at_cells = [RunningNearest(*centres(cells)) for _ in classes]
    first = True
    for places in groups_of_places(segments):
        at_places = [RunningNearest(places.latitude, places.longitude) for _ in classes]
        with watcher.stage("layer", seen, "features") as advance:
            _stream(source, classes, [at_places, *([at_cells] if first else [])], names, advance)
        first = False
        _write_rows(folder, places, classes, at_places, names)
    _write_cells(folder / cells_name, cells, classes, at_cells, names)
    if names.count:
        names.write(folder / NAMES)
    return Made(
        orders=tuple(order for order in classes if order is not None),
        named=names.count > 0,
        features=seen,
        without_geometry=empty,
    )


def _survey(source: FeatureSource) -> tuple[int, int, tuple[float, ...]]:
    """Number of features, of those without a geometry, and their orders."""
    seen = empty = 0
    orders: set[float] = set()
    for features in source.features():
        seen += len(features.geometry)
        empty += sum(shape is None or shape.is_empty for shape in features.geometry)
        orders.update(np.unique(features.order[np.isfinite(features.order)]).tolist())
    if seen == empty:
        raise BuildError("layer", "the source holds no feature with a geometry")
    return seen, empty, tuple(sorted(orders))


def _stream(
    source: FeatureSource,
    classes: Sequence[Order],
    groups: Sequence[Sequence[RunningNearest]],
    names: Names,
    advance: Advance,
) -> None:
    for features in source.features():
        numbers = names.numbers(features.name, features.code)
        for at, order in enumerate(classes):
            chosen, chosen_numbers = of_order(features, numbers, order)
            for group in groups:
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
            at = _of_rows(distance_m, rows.place)
            uncertainty_m = rows.uncertainty_m.astype(np.float64)
            low = np.maximum(at - uncertainty_m, 0.0)
            write_interval(folder, rows, low, at + uncertainty_m, order)
            if order is None and names.count:
                write_column(folder / rows.name / NAME, _of_rows(found.name, rows.place))


def _of_rows(values: NDArray[ScalarT], place: Integers) -> NDArray[ScalarT]:
    """The value of each row's place; 0 for a row without one, which is not looked at."""
    found = np.zeros(len(place), values.dtype)
    found[place >= 0] = values[place[place >= 0]]
    return found


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
