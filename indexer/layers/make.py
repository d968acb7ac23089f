"""Makes a layer's files for the rows and cells of some segments, whatever its kind.

Knows no manifest but the entry it gives back. One thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from atlas.bundle.manifest import LayerEntry
from atlas.errors import BuildError, PlanError
from atlas.geo.layers import NAMES
from indexer.layers.altitude import PackagedRaster, altitude
from indexer.layers.category_layer import AREA_RULE, make_categories
from indexer.layers.columns import Made
from indexer.layers.distance_layer import DISTANCE_RULE, make_distances
from indexer.layers.features import FeatureSource
from indexer.layers.packaged import Packaged, packaged
from indexer.layers.places import RowFiles
from indexer.layers.raster_file import RASTERS, RasterFile
from indexer.layers.raster_layer import (
    PIXEL_RULE,
    VALUE_RULE,
    make_pixel_categories,
    make_values,
    read_names,
)
from indexer.layers.section import LayerSection, origin_of
from indexer.layers.vector_file import VectorFile
from indexer.progress import Watcher


class LayerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a layer's files go, and when: `work` for now, `folder` is their name in the bundle."""

    work: Path
    folder: str
    cells: str
    made_at: str


def make_layer(
    section: LayerSection,
    segments: Sequence[tuple[str, Path]],
    place: LayerPlace,
    watcher: Watcher,
) -> LayerEntry:
    """Make the files of a layer for segments given by name and folder; returns its description.

    Raises PlanError naming the file, and where known the feature, at fault.
    """
    source = source_of(section)
    rule, made = _made(section, source, segments, place, watcher)
    if not isinstance(source, RasterFile):
        watcher.note(f"layer {section.name}: {made.features:,} features")
    if made.without_geometry:
        watcher.note(f"layer {section.name}: {made.without_geometry:,} have no geometry: left out")
    package = source if isinstance(source, Packaged | PackagedRaster) else None
    return LayerEntry(
        name=section.name,
        kind=section.kind,
        feature=section.tells_of,
        folder=place.folder,
        cells=place.cells,
        segments=tuple(name for name, _ in segments),
        orders=made.orders,
        names=NAMES if made.named else "",
        unit=section.unit if section.kind != "category" else "",
        accuracy_m=section.accuracy_m,
        rule=rule,
        title=section.title or (package.title if package else section.tells_of),
        origin=origin_of(section),
        fingerprint=source.fingerprint(),
        licence=section.licence or (package.licence if package else ""),
        citation=section.citation or (package.citation if package else ""),
        url=section.url or (package.url if package else ""),
        made_at=place.made_at,
    )


def _made(
    section: LayerSection,
    source: FeatureSource | RasterFile,
    segments: Sequence[tuple[str, Path]],
    place: LayerPlace,
    watcher: Watcher,
) -> tuple[str, Made]:
    """Make the files, as the kind of layer and of source have it; how, in words, and what."""
    work, cells = place.work, place.cells
    rows = RowFiles(segments=tuple(segments), accuracy_m=section.accuracy_m)
    if isinstance(source, RasterFile):
        if section.kind == "value":
            return VALUE_RULE, make_values(source, rows, work, cells, watcher)
        if section.kind == "category":
            named = read_names(section.values_file)
            return PIXEL_RULE, make_pixel_categories(source, rows, work, cells, named, watcher)
        raise PlanError(source.path, "is a raster: a distance needs points, lines or areas")
    if section.kind == "distance":
        return DISTANCE_RULE, make_distances(source, rows, work, cells, section.orders, watcher)
    if section.kind == "category":
        return AREA_RULE, make_categories(source, rows, work, cells, watcher)
    raise BuildError("layer", f"{section.name}: a value needs a raster (GeoTIFF)")


def source_of(section: LayerSection) -> FeatureSource | RasterFile:
    """Where a layer comes from."""
    if section.package == "elevation":
        return altitude()
    if section.file is None:
        return packaged(section.package)
    if section.file.suffix.lower() in RASTERS:
        return RasterFile(path=section.file, band=section.band, crs=section.crs)
    return VectorFile(
        path=section.file,
        layer=section.layer,
        order_column=section.order_column,
        name_column=section.name_column,
        code_column=section.code_column,
        crs=section.crs,
    )
